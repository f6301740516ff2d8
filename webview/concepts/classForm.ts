// The data of the concept view: which file, which columns, how many texts a class, and which classes there are.
import { css, html, LitElement, nothing } from "lit";
import type { ConceptsChoice } from "../../src/protocol/concepts.ts";
import type { LabelledData } from "../../src/protocol/labelledData.ts";
import { columnOptions } from "../components/columnOptions.ts";
import { fileName } from "../components/fileName.ts";
import { count } from "../components/numbers.ts";
import { typedSeeds } from "../components/seeds.ts";
import { controls, forms, palette } from "../components/style.ts";

type ColumnNames = ConceptsChoice["columns"];

export class SaeClassForm extends LitElement {
  static override properties = {
    data: { attribute: false },
    choice: { attribute: false },
    refused: { state: true },
  };
  declare data: LabelledData | undefined;
  declare choice: ConceptsChoice | undefined;
  /** Why the seeds typed last were not taken. */
  declare refused: string;

  constructor() {
    super();
    this.refused = "";
  }

  static override styles = [
    palette,
    controls,
    forms,
    css`
      .columns {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 14px;
      }
      .classes {
        align-self: start;
      }
      p {
        margin: 6px 0;
      }
    `,
  ];

  #emit(name: string, detail: unknown = null): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #change(change: Partial<ConceptsChoice>): void {
    if (this.choice) this.#emit("choice", { ...this.choice, ...change });
  }

  override render() {
    const { data, choice } = this;
    if (!data || !choice)
      return html`<p>Labelled texts, of a file or a data set of the hub: with a text and the class it belongs to.</p>`;
    const classes = new Map<string, number>();
    for (const { label, train } of data.counts) classes.set(label, (classes.get(label) ?? 0) + train);
    return html`<div class="fields">
      <span>texts</span>
      <span>${fileName(data.trainFile)} <button class="plain link" @click=${() => this.#emit("pick", "train")}>Choose…</button></span>
      <span>to test on</span>
      <span>${data.testFile === null ? "30% of each class, held out with the first seed" : fileName(data.testFile)}
        <button class="plain link" @click=${() => this.#emit("pick", "test")}>Choose…</button>
        ${data.testFile === null ? nothing : html`<button class="plain link" @click=${() => this.#emit("hold")}>Hold out instead</button>`}
      </span>
      ${data.leftOut ? html`<span></span><span class="dim">Left out: ${data.leftOut}.</span>` : nothing}
      <span>columns</span>
      <span class="columns">${this.#column(data, "text", "text")}${this.#column(data, "label", "class")}</span>
      <span class="classes">classes</span>
      <span class="dim">${[...classes].map(([name, texts]) => `${name} ${count(texts)}`).join(" · ")}</span>
      <label for="perClass">texts a class</label>
      <span><input id="perClass" type="number" min="20" step="20" .value=${String(choice.perClass)} @change=${(event: Event) => this.#perClass(event)} /> <span class="dim">at most, to train on; half as many to test on</span></span>
      <label for="seeds">seeds</label>
      <span><input id="seeds" type="text" size="12" .value=${choice.seeds.join(", ")} @change=${(event: Event) => this.#seeds(event)} /> ${this.refused === "" ? html`<span class="dim">of the texts to tell a class from: every number is a mean over them</span>` : html`<span role="alert">Left as they were: ${this.refused}.</span>`}</span>
    </div>
    ${data.trouble === "" ? nothing : html`<p class="error" role="alert">${data.trouble}</p>`}`;
  }

  #column(data: LabelledData, which: keyof ColumnNames, name: string) {
    const columns: ColumnNames = { text: data.columns.text, label: data.columns.label };
    return html`<label>${name}
      <select @change=${(event: Event) => this.#emit("columns", { ...columns, [which]: (event.target as HTMLSelectElement).value })}>
        ${columnOptions(data.names, columns[which])}
      </select></label>`;
  }

  #perClass(event: Event): void {
    const input = event.target as HTMLInputElement;
    const value = Number(input.value);
    if (Number.isInteger(value) && value >= 20) this.#change({ perClass: value });
    else input.value = String(this.choice?.perClass);
  }

  /** Seeds that can't be taken change nothing, and say why. */
  #seeds(event: Event): void {
    const input = event.target as HTMLInputElement;
    const { seeds, wrong } = typedSeeds(input.value);
    this.refused = wrong;
    if (wrong === "") this.#change({ seeds });
    else input.value = this.choice?.seeds.join(", ") ?? "";
  }
}
customElements.define("sae-class-form", SaeClassForm);

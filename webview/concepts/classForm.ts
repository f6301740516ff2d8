// The data of the concept view: which file, which columns, how many texts a class, and which classes there are.
import { css, html, LitElement, nothing } from "lit";
import type { ConceptsChoice } from "../../src/protocol/concepts.ts";
import type { LabelledData } from "../../src/protocol/labelledData.ts";
import { fileName } from "../components/fileName.ts";
import { count } from "../components/numbers.ts";
import { controls, forms, palette } from "../components/style.ts";

type ColumnNames = ConceptsChoice["columns"];

export class SaeClassForm extends LitElement {
  static override properties = {
    data: { attribute: false },
    choice: { attribute: false },
  };
  declare data: LabelledData | undefined;
  declare choice: ConceptsChoice | undefined;

  static override styles = [
    palette,
    controls,
    forms,
    css`
      .fields {
        display: grid;
        grid-template-columns: max-content minmax(0, 1fr);
        gap: 8px 12px;
        align-items: center;
      }
      .fields > span {
        overflow-wrap: anywhere;
      }
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
      <span><input id="seeds" type="text" size="12" .value=${choice.seeds.join(", ")} @change=${(event: Event) => this.#seeds(event)} /> <span class="dim">of the texts to tell a class from: every number is a mean over them</span></span>
    </div>`;
  }

  #column(data: LabelledData, which: keyof ColumnNames, name: string) {
    const columns: ColumnNames = { text: data.columns.text, label: data.columns.label };
    return html`<label>${name}
      <select .value=${columns[which]} @change=${(event: Event) => this.#emit("columns", { ...columns, [which]: (event.target as HTMLSelectElement).value })}>
        ${data.names.map((one) => html`<option value=${one} ?selected=${one === columns[which]}>${one}</option>`)}
      </select></label>`;
  }

  #perClass(event: Event): void {
    const value = Number((event.target as HTMLInputElement).value);
    if (Number.isInteger(value) && value >= 20) this.#change({ perClass: value });
  }

  #seeds(event: Event): void {
    const typed = (event.target as HTMLInputElement).value.split(/[\s,]+/).filter((word) => /^\d+$/.test(word));
    const seeds = [...new Set(typed.map(Number))].slice(0, 20);
    this.#change({ seeds: seeds.length > 0 ? seeds : [0] });
  }
}
customElements.define("sae-class-form", SaeClassForm);

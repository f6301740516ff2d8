// Step one: which file, which columns, which values stand on which side, and how many texts each of the four cells has.
import { css, html, LitElement, nothing } from "lit";
import type { DebiasChoice, ValuePair } from "../../src/protocol/debias.ts";
import type { Columns, LabelledData } from "../../src/protocol/labelledData.ts";
import { columnOptions } from "../components/columnOptions.ts";
import { fileName } from "../components/fileName.ts";
import { count } from "../components/numbers.ts";
import { typedSeeds } from "../components/seeds.ts";
import { controls, forms, palette } from "../components/style.ts";
import "./sides.ts";

export class SaeDataForm extends LitElement {
  static override properties = {
    data: { attribute: false },
    choice: { attribute: false },
    refused: { state: true },
    busy: { type: Boolean },
  };
  declare data: LabelledData | undefined;
  declare choice: DebiasChoice | undefined;
  declare busy: boolean;
  /** Why the seeds typed last were not taken. */
  declare refused: string;

  constructor() {
    super();
    this.busy = false;
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
      table {
        margin: 4px 0;
      }
      th,
      td {
        padding: 3px 12px 3px 0;
      }
      td {
        text-align: right;
        padding: 3px 10px;
        border: 1px solid var(--hairline);
      }
      td.corner {
        border: none;
      }
      thead th {
        padding: 3px 10px;
      }
      td.biased {
        box-shadow: inset 0 0 0 1px var(--activation);
      }
      /* The number keeps the colour that reads on every background. */
      td.few {
        font-weight: 600;
        text-decoration: underline 2px var(--vscode-errorForeground);
        text-underline-offset: 3px;
      }
      .go {
        margin-top: 12px;
        display: flex;
        gap: 12px;
        align-items: center;
        flex-wrap: wrap;
      }
      p {
        margin: 6px 0;
      }
    `,
  ];

  #emit(name: string, detail: unknown = null): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #change(change: Partial<DebiasChoice>): void {
    if (this.choice) this.#emit("choice", { ...this.choice, ...change });
  }

  override render() {
    const { data, choice } = this;
    if (!data || !choice)
      return html`<p>Labelled texts, of a file or a data set of the hub: with a text, a label (what a classifier should learn) and an attribute (what it should not use).</p>
        <button class="primary" ?disabled=${this.busy} @click=${() => this.#emit("pick", "train")}>Choose Texts…</button>`;
    const cells = cellsOf(data, choice);
    const lacking = data.trouble === "" ? lacks(data, choice, cells) : "";
    return html`<div class="fields">
        <span>texts</span>
        <span>${fileName(data.trainFile)} <button class="plain link" @click=${() => this.#emit("pick", "train")}>Choose…</button></span>
        <span>to test on</span>
        <span>${data.testFile === null ? "30% of them, held out with each seed" : fileName(data.testFile)}
          <button class="plain link" @click=${() => this.#emit("pick", "test")}>Choose…</button>
          ${data.testFile === null ? nothing : html`<button class="plain link" @click=${() => this.#emit("hold")}>Hold out instead</button>`}
        </span>
        ${data.leftOut ? html`<span></span><span class="dim">Left out: ${data.leftOut}.</span>` : nothing}
        <span>columns</span>
        <span class="columns">${(["text", "label", "attribute"] as const).map((which) => this.#column(data, choice.columns, which))}</span>
        ${data.trouble === "" ? this.#values(data, choice, cells) : nothing}
      </div>
      ${data.trouble === "" ? nothing : html`<p class="error" role="alert">${data.trouble}</p>`}
      <div class="go">
        <button class="primary" ?disabled=${this.busy || data.trouble !== "" || lacking !== ""} @click=${() => this.#emit("prepare", choice)}>Show the Bias</button>
        ${
          lacking === ""
            ? html`<span class="dim">Runs the texts through model and ensemble once; what comes of it is kept.</span>`
            : html`<span role="status">${lacking}</span>`
        }
      </div>`;
  }

  #values(data: LabelledData, choice: DebiasChoice, cells: readonly Cell[]) {
    return html`<span>${choice.columns.label}</span>
        <sae-sides name=${choice.columns.label} .values=${values(data, "label")} .pair=${choice.label} @pair=${(event: CustomEvent<ValuePair>) => this.#change({ label: event.detail })}></sae-sides>
        <span>${choice.columns.attribute}</span>
        <span>
          <sae-sides name=${choice.columns.attribute} .values=${values(data, "attribute")} .pair=${choice.attribute} @pair=${(event: CustomEvent<ValuePair>) => this.#change({ attribute: event.detail })}></sae-sides>
        </span>
        <span>cells</span>
        ${this.#cells(data, choice, cells)}
        <label for="perCell">texts a cell</label>
        <span><input id="perCell" type="number" min="10" step="10" placeholder="all" .value=${choice.perCell === null ? "" : String(choice.perCell)} @change=${(event: Event) => this.#perCell(event)} /> <span class="dim">at most, to train on; half as many to test on</span></span>
        <label for="seeds">seeds</label>
        <span><input id="seeds" type="text" size="12" .value=${choice.seeds.join(", ")} @change=${(event: Event) => this.#seeds(event)} /> ${this.refused === "" ? html`<span class="dim">of draws and probes: every number is a mean over them</span>` : html`<span role="alert">Left as they were: ${this.refused}.</span>`}</span>`;
  }

  #perCell(event: Event): void {
    const value = Number((event.target as HTMLInputElement).value);
    this.#change({ perCell: Number.isInteger(value) && value >= 10 ? value : null });
  }

  /** Seeds that can't be taken change nothing, and say why. */
  #seeds(event: Event): void {
    const input = event.target as HTMLInputElement;
    const { seeds, wrong } = typedSeeds(input.value);
    this.refused = wrong;
    if (wrong === "") this.#change({ seeds });
    else input.value = this.choice?.seeds.join(", ") ?? "";
  }

  #column(data: LabelledData, columns: Columns, which: keyof Columns) {
    return html`<label>${which}
      <select @change=${(event: Event) => this.#emit("columns", { ...columns, [which]: (event.target as HTMLSelectElement).value })}>
        ${columnOptions(data.names, columns[which])}
      </select></label>`;
  }

  #cells({ testFile }: LabelledData, { label, attribute }: DebiasChoice, cells: readonly Cell[]) {
    const side = (values: readonly string[]) => values.join(", ") || "–";
    const cell = (at: number) => {
      const { train, test, agrees, few } = cells[at]!;
      const name = [agrees ? "biased" : "", few ? "few" : ""].join(" ");
      return html`<td class=${name} title=${agrees ? "The biased data is drawn from here" : "Missing from the biased data"}>${count(train)}${test === null ? nothing : html` <span class="dim">+ ${count(test)}</span>`}</td>`;
    };
    return html`<div>
      <table aria-label="Texts of each cell">
        <thead><tr><td class="corner"></td><th scope="col">${side(attribute.positive)}</th><th scope="col">${side(attribute.negative)}</th></tr></thead>
        <tbody>
          <tr><th scope="row">${side(label.positive)}</th>${cell(0)}${cell(1)}</tr>
          <tr><th scope="row">${side(label.negative)}</th>${cell(2)}${cell(3)}</tr>
        </tbody>
      </table>
      ${testFile === null ? nothing : html`<p class="dim">Texts to train on + texts to test on.</p>`}
      ${
        [label, attribute].every(({ positive, negative }) => positive.length > 0 && negative.length > 0)
          ? html`<p class="dim">In the biased data every ${side(label.positive)} is ${side(attribute.positive)} and every ${side(label.negative)} ${side(attribute.negative)}.
              <button class="plain link" @click=${() => this.#change({ attribute: { positive: attribute.negative, negative: attribute.positive } })}>The other way round</button></p>`
          : nothing
      }
    </div>`;
  }
}
customElements.define("sae-data-form", SaeDataForm);

function values(data: LabelledData, which: "label" | "attribute"): [string, number][] {
  const counts = new Map<string, number>();
  for (const pair of data.counts) counts.set(pair[which], (counts.get(pair[which]) ?? 0) + pair.train);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** One of the four cells, in the order of a debiasing's. */
interface Cell {
  readonly label: readonly string[];
  readonly attribute: readonly string[];
  readonly train: number;
  /** Null where texts are held out of the first file. */
  readonly test: number | null;
  /** Whether the biased data is drawn from here. */
  readonly agrees: boolean;
  /** Whether it has too few texts to draw from. */
  readonly few: boolean;
}

function cellsOf(data: LabelledData, { label, attribute }: DebiasChoice): Cell[] {
  return [label.positive, label.negative].flatMap((y, row) =>
    [attribute.positive, attribute.negative].map((a, column): Cell => {
      const own = data.counts.filter((pair) => y.includes(pair.label) && a.includes(pair.attribute));
      const sum = (part: "train" | "test") => own.reduce((total, pair) => total + (pair[part] ?? 0), 0);
      const [train, test] = [sum("train"), data.testFile === null ? null : sum("test")];
      const agrees = row === column;
      const least = leastOf(data, agrees);
      return { label: y, attribute: a, train, test, agrees, few: train < least.train || (test ?? 0) < least.test };
    }),
  );
}

const leastOf = ({ least }: LabelledData, agrees: boolean) => (agrees ? least.agree : least.differ);

/** Why nothing can be drawn, by name; "" where it can. */
function lacks(data: LabelledData, { columns, label, attribute }: DebiasChoice, cells: readonly Cell[]): string {
  for (const [which, { positive, negative }] of [["label", label] as const, ["attribute", attribute] as const]) {
    const own = values(data, which);
    if (own.length < 2)
      return `Column ${columns[which]} has one value only, ${own[0]?.[0] ?? "none"}: ${which === "label" ? "a label" : "an attribute"} needs two at least.`;
    if (positive.length === 0 || negative.length === 0)
      return `No value of ${columns[which]} is on side ${positive.length === 0 ? "A" : "B"}.`;
  }
  const few = cells.filter((cell) => cell.few);
  if (few.length === 0) return "";
  const told = few.map(({ label: y, attribute: a, train, test, agrees }) => {
    const least = leastOf(data, agrees);
    const name = `${y.join(", ")} · ${a.join(", ")}`;
    if (test === null) return `${name} has ${count(train)} of ${least.train}`;
    return `${name} has ${count(train)} of ${least.train} to train on and ${count(test)} of ${least.test} to test on`;
  });
  return `Too few texts to draw from: ${told.join("; ")}.`;
}

/** The first two values of a column, as its sides: what a person sees before choosing. */
export function firstPair(data: LabelledData, which: "label" | "attribute"): ValuePair {
  const [first, second] = values(data, which);
  return { positive: first ? [first[0]] : [], negative: second ? [second[0]] : [] };
}

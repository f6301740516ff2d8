// The values of a column as chips: a click puts a value on side A, on side B, or on neither.
import { css, html, LitElement } from "lit";
import type { ValuePair } from "../../src/protocol/debias.ts";
import { count } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";

export class SaeSides extends LitElement {
  static override properties = { name: { type: String }, values: { attribute: false }, pair: { attribute: false } };
  declare name: string;
  /** Values with their texts, the most frequent first. */
  declare values: readonly (readonly [string, number])[];
  declare pair: ValuePair;

  constructor() {
    super();
    this.name = "";
    this.values = [];
    this.pair = { positive: [], negative: [] };
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      button .side {
        display: inline-block;
        width: 1.2em;
        font-weight: 600;
        text-align: center;
      }
      button[data-side="A"] {
        border-color: var(--activation);
        box-shadow: inset 0 0 0 1px var(--activation);
      }
      button[data-side="B"] {
        border-color: var(--negative);
        box-shadow: inset 0 0 0 1px var(--negative);
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.role = "group";
    this.ariaLabel = `${this.name}: values on side A, on side B, or left out`;
  }

  #turn(value: string): void {
    const { positive, negative } = this.pair;
    const without = (side: readonly string[]) => side.filter((one) => one !== value);
    const pair = positive.includes(value)
      ? { positive: without(positive), negative: [...negative, value] }
      : negative.includes(value)
        ? { positive, negative: without(negative) }
        : { positive: [...positive, value], negative };
    this.dispatchEvent(new CustomEvent("pair", { detail: pair }));
  }

  override render() {
    const { positive, negative } = this.pair;
    return this.values.map(([value, texts]) => {
      const side = positive.includes(value) ? "A" : negative.includes(value) ? "B" : "";
      const where = side ? `side ${side}` : "left out";
      return html`<button
        class="plain outlined"
        data-side=${side}
        title=${`${value}, ${count(texts)} texts: ${where}. Click to change.`}
        @click=${() => this.#turn(value)}
      ><span class="side">${side || "·"}</span> ${value} <span class="dim">${count(texts)}</span></button>`;
    });
  }
}
customElements.define("sae-sides", SaeSides);

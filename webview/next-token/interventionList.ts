// The list of interventions, each with its switch: which features, what is done to them, from where on.
import { css, html, LitElement, nothing } from "lit";
import type { FeatureName, ShownIntervention } from "../../src/protocol/inspection.ts";
import { controls, dropdown, palette } from "../components/style.ts";
import "../components/token.ts";

const kinds: Readonly<Record<ShownIntervention["kind"], string>> = {
  ablate: "ablate",
  scale: "scale by",
  set: "set to",
  add: "add",
};

export class SaeInterventionList extends LitElement {
  static override properties = {
    list: { attribute: false },
    names: { attribute: false },
    flagged: { attribute: false },
  };
  declare list: readonly ShownIntervention[];
  declare names: ReadonlyMap<number, FeatureName>;
  /** How many features are flagged, once that is known. */
  declare flagged: number | undefined;

  constructor() {
    super();
    this.list = [];
    this.names = new Map();
  }

  static override styles = [
    palette,
    controls,
    dropdown,
    css`
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 4px 8px;
        padding: 4px 0;
        border-top: 1px solid var(--hairline);
      }
      li.off .what {
        text-decoration: line-through;
      }
      .what {
        flex: 1 1 160px;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .flag {
        color: var(--flag);
      }
      .id {
        font-family: var(--mono);
      }
      input[type="number"] {
        font: inherit;
        border: 1px solid var(--vscode-input-border, var(--hairline));
        border-radius: 4px;
        padding: 2px 4px;
      }
      .how {
        display: flex;
        align-items: center;
        gap: 4px 8px;
        max-width: 100%;
      }
      .how select {
        flex: 0 1 auto;
        min-width: 0;
      }
      input[type="number"] {
        width: 96px;
        min-width: 72px;
        color: var(--vscode-input-foreground);
        background: var(--vscode-input-background);
      }
      /* Narrow: there is no room for ✕ beside all fields; it stands in the corner, and they may take two lines. */
      @container panel (max-width: 320px) {
        li {
          position: relative;
        }
        .what {
          padding-right: 28px;
        }
        .how {
          flex-wrap: wrap;
        }
        .how button {
          position: absolute;
          top: 4px;
          right: 0;
        }
      }
      .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        padding: 6px 0 0;
      }
    `,
  ];

  #change(at: number, part: Partial<ShownIntervention>): void {
    this.#tell(this.list.map((one, i) => (i === at ? { ...one, ...part } : one)));
  }

  #tell(list: readonly ShownIntervention[]): void {
    this.dispatchEvent(new CustomEvent("changed", { detail: { list } }));
  }

  override render() {
    return html`
      ${
        this.list.length === 0
          ? html`<p class="dim">No intervention: the model as it is. Add features here, or by “ablate” in the hover of an inspected token.</p>`
          : html`<ul>${this.list.map((one, at) => this.#row(one, at))}</ul>`
      }
      <div class="buttons">
        <button class="plain outlined" @click=${() => this.dispatchEvent(new CustomEvent("pick"))}>Add feature…</button>
        <button
          class="plain outlined"
          ?disabled=${this.list.some(({ flagged }) => flagged)}
          @click=${() => this.#tell([...this.list, { features: [], flagged: true, kind: "ablate", value: 0, from: "everywhere", on: true }])}
        >
          Ablate the flagged ones
        </button>
      </div>
    `;
  }

  #row(one: ShownIntervention, at: number) {
    const name = this.#name(one);
    return html`<li class=${one.on ? "" : "off"}>
      <input
        type="checkbox"
        aria-label=${`${name}: on`}
        .checked=${one.on}
        @change=${(event: Event) => this.#change(at, { on: (event.target as HTMLInputElement).checked })}
      />
      <span class="what">${one.flagged ? html`<b><span class="flag">⚑</span> all flagged features</b>${this.flagged === 0 ? html` <span class="dim">nothing is flagged</span>` : nothing}` : one.features.map((feature) => this.#feature(feature))}</span>
      <span class="how"><select aria-label=${`${name}: what to do`} @change=${(event: Event) => this.#change(at, { kind: (event.target as HTMLSelectElement).value as ShownIntervention["kind"] })}>
        ${Object.entries(kinds).map(([kind, words]) => html`<option value=${kind} ?selected=${kind === one.kind}>${words}</option>`)}
      </select>
      ${
        one.kind === "ablate"
          ? nothing
          : html`<input
              type="number"
              step="any"
              aria-label=${`${name}: value`}
              .value=${String(one.value)}
              @change=${(event: Event) => {
                const value = (event.target as HTMLInputElement).valueAsNumber;
                if (Number.isFinite(value)) this.#change(at, { value });
              }}
            />`
      }
      <select aria-label=${`${name}: where`} @change=${(event: Event) => this.#change(at, { from: (event.target as HTMLSelectElement).value as ShownIntervention["from"] })}>
        <option value="everywhere" ?selected=${one.from === "everywhere"}>everywhere</option>
        <option value="here" ?selected=${one.from === "here"}>from here on</option>
      </select>
      <button class="plain" title="Remove" aria-label=${`Remove ${name}`} @click=${() => this.#tell(this.list.filter((_, i) => i !== at))}>✕</button></span>
    </li>`;
  }

  #name({ flagged, features }: ShownIntervention): string {
    if (flagged) return "flagged features";
    return features.map((feature) => this.#id(feature)).join(", ");
  }

  #id(feature: number): string {
    const row = this.names.get(feature);
    return row ? `${row.member}/${row.index}` : `feature ${feature}`;
  }

  #feature(feature: number) {
    const row = this.names.get(feature);
    return html`<button class="plain link id" title="Show this feature" @click=${() => this.dispatchEvent(new CustomEvent("open", { detail: { feature } }))}>${this.#id(feature)}</button>${
      row?.label || row?.tokens.slice(0, 3).map(({ text }) => html`<sae-token .text=${text}></sae-token> `)
    } `;
  }
}
customElements.define("sae-intervention-list", SaeInterventionList);

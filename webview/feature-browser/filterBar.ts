// Search, filters and sort order: what the list shows, in one line, each filter visible, all of them removed by one click.
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import "@vscode-elements/elements/dist/vscode-single-select/index.js";
import "@vscode-elements/elements/dist/vscode-option/index.js";
import { css, html, LitElement } from "lit";
import { keyed } from "lit/directives/keyed.js";
import type { ListQuery } from "../../src/protocol/featureBrowser.ts";
import { controls, palette } from "../components/style.ts";

export const everything: ListQuery = {
  text: "",
  member: null,
  state: "alive",
  minFoundIn: 0,
  flaggedOnly: false,
  density: null,
  sort: "clarity",
  descending: true,
};

/** Bounds by what people read; neighbours share a bound, on which no density but a round one lies. */
const densities: readonly (readonly [string, ListQuery["density"]])[] = [
  ["any density", null],
  ["≥ 1% of tokens", [0.01, 1]],
  ["0.1% – 1%", [0.001, 0.01]],
  ["0.01% – 0.1%", [0.0001, 0.001]],
  ["≤ 0.01%", [0, 0.0001]],
];

const sorts: readonly (readonly [ListQuery["sort"], string])[] = [
  ["clarity", "clearest first"],
  ["density", "density"],
  ["max", "max activation"],
  ["mean", "mean activation"],
  ["foundIn", "found in members"],
  ["feature", "id"],
  ["label", "label"],
];

/** What stands for "clearest first" where tokens are searched for, by one or by a pattern: their rows are ranked by it (OpenEnsemble.page). */
const relevance = "most relevant first";
const searchesTokens = (text: string) => !/^(?:".*|label:.*|\/{0,2})$/s.test(text.trim());
export const searchesOneToken = (text: string) => searchesTokens(text) && !text.trim().startsWith("/");

/** Why a search that is typed as a /pattern/ is none; empty where it is, and for any other search. */
export function patternError(text: string): string {
  const pattern = /^\/(.*?)\/?$/s.exec(text.trim())?.[1] ?? "";
  try {
    new RegExp(pattern, "iu");
    return "";
  } catch (error) {
    // "Invalid regular expression: /(/iu: Unterminated group"
    const why = (error as Error).message.split(": ").at(-1)!;
    return `not a regular expression: ${why.charAt(0).toLowerCase()}${why.slice(1)}`;
  }
}

export class SaeFilterBar extends LitElement {
  static override properties = {
    query: { attribute: false },
    members: { type: Number },
  };
  declare query: ListQuery;
  declare members: number;

  constructor() {
    super();
    this.query = everything;
    this.members = 1;
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: flex;
        gap: 6px 8px;
        align-items: center;
        padding: 8px 12px;
        border-bottom: 1px solid var(--hairline);
      }
      vscode-textfield {
        flex: 1 1 150px;
        min-width: 150px;
      }
      vscode-single-select {
        width: auto;
        min-width: 106px;
      }
      /* As wide as its longest word, so that nothing moves while one types. */
      .sort {
        min-width: 152px;
      }
      button.chip {
        border-radius: 11px;
        padding: 0 9px;
        line-height: 20px;
        white-space: nowrap;
      }
      /* There all the time, so that nothing moves when it is needed. */
      button.clear:disabled {
        visibility: hidden;
      }
      button.flagged[aria-pressed="true"] {
        background: none;
        color: inherit;
        border-color: var(--flag);
      }
      /* The width alone says how many lines there are, whatever is chosen. */
      @media (max-width: 1039px) {
        :host {
          flex-wrap: wrap;
        }
        vscode-textfield {
          flex-basis: 100%;
        }
      }
      /* No line for a button that is mostly not there. */
      @media (max-width: 719px) {
        vscode-textfield {
          order: -2;
          flex-basis: calc(100% - 60px);
        }
        .clear {
          order: -1;
        }
      }
    `,
  ];

  #change(part: Partial<ListQuery>): void {
    this.dispatchEvent(new CustomEvent("query", { detail: { ...this.query, ...part } }));
  }

  focusSearch(): void {
    this.renderRoot.querySelector<HTMLElement>("vscode-textfield")?.focus();
  }

  override render() {
    const q = this.query;
    const filtered = Object.entries(everything).some(
      ([key, value]) => key !== "sort" && key !== "descending" && q[key as keyof ListQuery] !== value,
    );
    return html`
      <vscode-textfield
        id="search"
        type="search"
        placeholder='token, "text", /regex/, label:words'
        title='A token or a /pattern/ of tokens, among the 32 strongest of each feature; "a text" where features fire; or label:words (/)'
        label="Search features"
        aria-label="Search features"
        .value=${q.text}
        ?invalid=${patternError(q.text) !== ""}
        @input=${(event: Event) => this.#change({ text: (event.target as HTMLInputElement).value })}
      ></vscode-textfield>
      <vscode-single-select
        aria-label="State" label="State"
        .value=${q.state}
        @change=${(event: Event) => this.#change({ state: (event.target as HTMLInputElement).value as ListQuery["state"] })}
      >
        <vscode-option value="alive" ?selected=${q.state === "alive"}>alive</vscode-option>
        <vscode-option value="dead" ?selected=${q.state === "dead"}>dead</vscode-option>
        <vscode-option value="all" ?selected=${q.state === "all"}>alive and dead</vscode-option>
      </vscode-single-select>
      ${
        this.members > 1
          ? html`<vscode-single-select
              aria-label="Member" label="Member"
              @change=${(event: Event) => {
                const value = (event.target as HTMLInputElement).value;
                this.#change({ member: value === "any" ? null : Number(value) });
              }}
            >
              <vscode-option value="any" ?selected=${q.member === null}>any member</vscode-option>
              ${Array.from({ length: this.members }, (_, member) => html`<vscode-option value=${String(member)} ?selected=${q.member === member}>member ${member}</vscode-option>`)}
            </vscode-single-select>
            <vscode-single-select
              aria-label="Found in at least" label="Found in at least"
              @change=${(event: Event) => this.#change({ minFoundIn: Number((event.target as HTMLInputElement).value) })}
            >
              ${Array.from({ length: this.members }, (_, n) => html`<vscode-option value=${String(n)} ?selected=${q.minFoundIn === n}>${n === 0 ? "found in any" : `found in ≥ ${n + 1}`}</vscode-option>`)}
            </vscode-single-select>`
          : ""
      }
      <vscode-single-select
        aria-label="Density" label="Density"
        @change=${(event: Event) => this.#change({ density: densities[Number((event.target as HTMLInputElement).value)]![1] })}
      >
        ${densities.map(
          ([title, range], i) =>
            html`<vscode-option value=${String(i)} ?selected=${String(q.density) === String(range)}>${title}</vscode-option>`,
        )}
      </vscode-single-select>
      <vscode-single-select
        class="sort"
        aria-label="Sort by" label="Sort by"
        @change=${(event: Event) => this.#change({ sort: (event.target as HTMLInputElement).value as ListQuery["sort"] })}
      >
        ${sorts.map(([key, title]) => {
          const shown = key === "clarity" && searchesTokens(q.text) ? relevance : title;
          // Another option, not another text in it: the select hears of no text that changes.
          return keyed(shown, html`<vscode-option value=${key} ?selected=${q.sort === key}>${shown}</vscode-option>`);
        })}
      </vscode-single-select>
      <button class="plain outlined" title="Reverse the order" aria-label=${q.descending ? "Descending; reverse the order" : "Ascending; reverse the order"} @click=${() => this.#change({ descending: !q.descending })}>
        ${q.descending ? "↓" : "↑"}
      </button>
      <button class="plain outlined chip flagged" aria-pressed=${q.flaggedOnly ? "true" : "false"} @click=${() => this.#change({ flaggedOnly: !q.flaggedOnly })}>
        ⚑ flagged${q.flaggedOnly ? " ×" : ""}
      </button>
      <button class="plain link clear" title="Clear search and filters (x)" ?disabled=${!filtered} @click=${() => this.#change({ ...everything, sort: q.sort, descending: q.descending })}>Clear</button>
    `;
  }
}
customElements.define("sae-filter-bar", SaeFilterBar);

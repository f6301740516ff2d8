// The virtual list of features: one row each, 100,000 and more, by mouse, by keyboard and for a screen reader. Rows are of one height and made of few plain elements; as many exist as are seen, and scrolling gives those that left at one end the features that come at the other.
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { guard } from "lit/directives/guard.js";
import type { FeatureRow } from "../../src/protocol/featureBrowser.ts";
import { foundIn, foundInStyle, foundInTooltip, foundInWidth } from "../components/foundIn.ts";
import { smallHistogram, smallHistogramStyle } from "../components/histogram.ts";
import { density, significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import { tokenChip, tokenStyle } from "../components/token.ts";
import type { Pages } from "./pages.ts";

const rowHeight = 30;
/** Rows kept ready above and below those that are seen. */
const margin = 6;
/** Pixels of a chip beside its letters, with the gap behind it. */
const chipEdges = 10;
/** A letter's least width over its height, whatever the font. */
const leastLetter = 0.5;

/** What a click on a row was. */
export interface Chosen {
  readonly feature: number;
  readonly place: number;
  readonly toggle: boolean;
  readonly extend: boolean;
  readonly flagged: boolean;
}

export class SaeFeatureList extends LitElement {
  static override properties = {
    pages: { attribute: false },
    version: { type: Number },
    selection: { attribute: false },
    cursor: { type: Number },
    members: { type: Number },
    first: { state: true },
    fit: { state: true },
    letters: { state: true },
  };
  declare pages: Pages;
  /** Counts up with every change of the pages or of what they hold. */
  declare version: number;
  /** Selected features. */
  declare selection: ReadonlySet<number>;
  /** Place of the cursor; -1 for none. */
  declare cursor: number;
  declare members: number;
  /** First row that is seen, and how many fit. */
  declare first: number;
  declare fit: number;
  /** How many letters the column of tokens has room for at most: what can't be seen is not made. */
  declare letters: number;
  /** A chip's edges, in letters. */
  #edge = 0;
  readonly #resized = new ResizeObserver(() => {
    this.#measure();
    this.#measureTokens();
  });

  constructor() {
    super();
    this.version = 0;
    this.selection = new Set();
    this.cursor = 0;
    this.members = 1;
    this.first = 0;
    this.fit = 0;
    this.letters = 0;
  }

  static override styles = [
    palette,
    controls,
    tokenStyle,
    smallHistogramStyle,
    foundInStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        container-type: inline-size;
      }
      /* Opaque, so that scrolling moves what is painted already. */
      .scroller {
        flex: 1;
        min-height: 0;
        overflow-y: auto;
        contain: strict;
        background: var(--vscode-editor-background);
      }
      .all {
        position: relative;
      }
      .row,
      .head {
        display: grid;
        grid-template-columns: 24px 72px minmax(0, 3fr) 72px 70px 56px var(--dots) minmax(0, 2fr);
        gap: 12px;
        align-items: center;
        width: 100%;
        height: 30px;
        padding: 0 12px 0 6px;
        white-space: nowrap;
      }
      .head {
        height: 24px;
        color: var(--dim);
        font-size: 11px;
        border-bottom: 1px solid var(--hairline);
      }
      .row {
        position: absolute;
        left: 0;
        contain: strict;
        cursor: pointer;
      }
      .row:hover {
        background: var(--vscode-list-hoverBackground);
        color: var(--vscode-list-hoverForeground, inherit);
      }
      .row[aria-selected="true"] {
        background: var(--vscode-list-inactiveSelectionBackground);
        color: var(--vscode-list-inactiveSelectionForeground, inherit);
      }
      .row[aria-selected="true"] {
        --tint-scale: 0.8;
      }
      :host(:focus-within) .row[aria-selected="true"] {
        background: var(--vscode-list-activeSelectionBackground);
        color: var(--vscode-list-activeSelectionForeground);
      }
      /* High contrast has no background for what is selected or pointed at. */
      .row:hover {
        outline: 1px dashed var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      .row[aria-selected="true"] {
        outline: 1px dotted var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      .row.cursor {
        outline: 1px solid var(--vscode-list-focusOutline, var(--vscode-focusBorder));
        outline-offset: -1px;
      }
      .flag {
        width: 24px;
        font-size: 1.15em;
        opacity: 0.35;
        text-align: center;
        padding: 0 !important;
      }
      .row:hover .flag,
      :host-context(.vscode-high-contrast) .flag,
      :host-context(.vscode-high-contrast-light) .flag {
        opacity: 1;
      }
      .flag[aria-pressed="true"] {
        color: var(--flag);
        opacity: 1;
      }
      .id {
        font-family: var(--mono);
        font-variant-numeric: tabular-nums;
      }
      .heard {
        position: absolute;
        clip-path: inset(50%);
      }
      /* What does not fit goes to a second line, which nobody sees. High contrast needs three pixels for its borders. */
      .tokens {
        display: flex;
        flex-wrap: wrap;
        align-content: flex-start;
        gap: 8px 4px;
        height: calc(1.45 * var(--vscode-editor-font-size, 12px) + 3px);
        overflow: hidden;
      }
      .label {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .number {
        text-align: right;
        font-variant-numeric: tabular-nums;
      }
      .waiting {
        color: var(--dim);
      }
      /* Where there is no column for labels, a label stands before the tokens. */
      .tokens > .label {
        display: none;
        max-width: 100%;
        line-height: calc(1.45 * var(--vscode-editor-font-size, 12px));
      }
      @container (max-width: 760px) {
        .row,
        .head {
          grid-template-columns: 24px 66px minmax(0, 1fr) 72px 66px 50px var(--dots);
          gap: 8px;
        }
        .wider {
          display: none;
        }
        .tokens > .label {
          display: inline-block;
        }
      }
      @container (max-width: 520px) {
        .row,
        .head {
          grid-template-columns: 24px 66px minmax(0, 1fr) 66px;
        }
        .wide {
          display: none;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("members")) this.style.setProperty("--dots", `${Math.max(52, foundInWidth(this.members))}px`);
    this.pages.want(this.first, this.first + this.fit);
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("cursor")) this.reveal(this.cursor);
    // A shorter list ends further up than where one was.
    if (changed.has("version")) this.#measure();
  }

  override focus(): void {
    this.#scroller?.focus();
  }

  /** Scrolls a row into view if it is not. */
  reveal(place: number): void {
    const scroller = this.#scroller;
    if (!scroller || place < 0 || place >= (this.pages.total ?? 0)) return;
    const top = place * rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + rowHeight > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = top + rowHeight - scroller.clientHeight;
  }

  get #scroller(): HTMLElement | null {
    return this.renderRoot.querySelector(".scroller");
  }

  #measure(): void {
    const scroller = this.#scroller;
    if (!scroller) return;
    this.first = Math.floor(scroller.scrollTop / rowHeight);
    this.fit = Math.ceil(scroller.clientHeight / rowHeight) + 1;
  }

  #measureTokens(): void {
    const column = this.renderRoot.querySelector(".head .chips");
    if (!column) return;
    const size = Number.parseFloat(getComputedStyle(this).getPropertyValue("--vscode-editor-font-size")) || 12;
    this.letters = Math.ceil(column.clientWidth / (leastLetter * size));
    this.#edge = Math.floor(chipEdges / (leastLetter * size));
  }

  #click(event: MouseEvent): void {
    const row = (event.target as Element).closest<HTMLElement>(".row");
    const place = Number(row?.dataset["place"]);
    const shown = row && this.pages.at(place);
    if (!shown) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    const detail: Chosen = {
      feature: shown.feature,
      place,
      toggle: ctrlKey || metaKey,
      extend: shiftKey,
      flagged: !shown.flagged,
    };
    const name = (event.target as Element).closest(".flag") ? "flag" : "choose";
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  override render() {
    const total = this.pages.total ?? 0;
    return html`
      <div class="head" aria-hidden="true">
        <span></span><span>feature</span><span class="chips">activating tokens</span><span class="wide">activations</span>
        <span class="number">density</span><span class="number wide">max</span><span class="wide">found in</span><span class="wider">label</span>
      </div>
      <div
        class="scroller"
        role="listbox"
        aria-label="Features"
        aria-multiselectable="true"
        tabindex="0"
        aria-activedescendant=${this.#exists(this.cursor) ? `row-${this.cursor}` : nothing}
        @scroll=${this.#measure}
        @click=${this.#click}
      ><div class="all" role="presentation" style=${`height: ${total * rowHeight}px`}>${this.#slots(total).map((place) => this.#slot(place, total))}</div></div>
    `;
  }

  /** The window of rows that exist: from which place on, and how many. */
  #window(): { from: number; many: number } {
    return { from: Math.max(0, this.first - margin), many: this.fit + 2 * margin };
  }

  #exists(place: number): boolean {
    const { from, many } = this.#window();
    return place >= from && place < Math.min(from + many, this.pages.total ?? 0);
  }

  /** The place that each row's elements show now: a place keeps its elements for as long as it is in the window. */
  #slots(total: number): number[] {
    const { from, many } = this.#window();
    return Array.from({ length: Math.min(many, total) }, (_, slot) => from + ((((slot - from) % many) + many) % many));
  }

  #slot(place: number, total: number) {
    if (place >= total) return nothing;
    const row = this.pages.at(place);
    const selected = row !== undefined && this.selection.has(row.feature);
    const cursor = place === this.cursor;
    return guard([row, place, total, selected, cursor, this.letters], () =>
      this.#row(row, place, total, selected, cursor),
    );
  }

  #row(row: FeatureRow | undefined, place: number, total: number, selected: boolean, cursor: boolean) {
    return html`<div
      class=${`row${cursor ? " cursor" : ""}${row ? "" : " waiting"}`}
      style=${`top: ${place * rowHeight}px`}
      role="option"
      id=${`row-${place}`}
      data-place=${place}
      aria-selected=${selected ? "true" : "false"}
      aria-setsize=${total}
      aria-posinset=${place + 1}
    >${row ? cells(row, fitting(row.tokens, this.letters, this.#edge)) : html`<span></span><span class="id">…</span>`}</div>`;
  }
}
customElements.define("sae-feature-list", SaeFeatureList);

/** The tokens that a row has room for, and one more at most. */
function fitting(tokens: FeatureRow["tokens"], letters: number, edge: number): FeatureRow["tokens"] {
  let used = 0;
  const end = tokens.findIndex(({ text }) => {
    const full = used >= letters;
    used += text.length + edge;
    return full;
  });
  return end < 0 ? tokens : tokens.slice(0, end);
}

function cells(row: FeatureRow, tokens: FeatureRow["tokens"]) {
  const { flagged, member, index, histogram, max, label } = row;
  return html`<span class="flag" aria-hidden="true" aria-pressed=${flagged ? "true" : "false"} title=${flagged ? "Flagged for removal (f)" : "Flag for removal (f)"}>${flagged ? "⚑" : "⚐"}</span
    ><span class="id">${member}/${index}${flagged ? html`<span class="heard">flagged</span>` : nothing}</span
    ><span class="tokens">${label ? html`<span class="label">${label}</span>` : nothing}${row.density === 0 ? html`<span class="dim">dead: never fired</span>` : tokens.map(({ text, strength }) => tokenChip({ text, share: strength }))}</span
    ><span class="wide">${smallHistogram(histogram)}</span
    ><span class="number">${density(row.density)}</span
    ><span class="number wide">${significant(max)}</span
    ><span class="wide" title=${foundInTooltip(row.foundIn)}>${foundIn(row.foundIn, member)}</span
    ><span class="label wider" title=${label}>${label}</span>`;
}

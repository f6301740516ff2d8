// The virtual list of features: one row each, 100,000 and more, by mouse, by keyboard and for a screen reader.
import { LitVirtualizer } from "@lit-labs/virtualizer/LitVirtualizer.js";
import "@lit-labs/virtualizer";
import { css, html, LitElement, type PropertyValues } from "lit";
import type { FeatureRow } from "../../src/protocol/featureBrowser.ts";
import { density, significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import "../components/foundIn.ts";
import "../components/histogram.ts";
import "../components/token.ts";
import type { Pages } from "./pages.ts";

export class SaeFeatureList extends LitElement {
  static override properties = {
    pages: { attribute: false },
    version: { type: Number },
    selection: { attribute: false },
    cursor: { type: Number },
    members: { type: Number },
  };
  declare pages: Pages;
  /** Counts up with every change of the pages or of what they hold. */
  declare version: number;
  /** Selected features. */
  declare selection: ReadonlySet<number>;
  /** Place of the cursor. */
  declare cursor: number;
  declare members: number;
  #places: number[] = [];

  constructor() {
    super();
    this.version = 0;
    this.selection = new Set();
    this.cursor = 0;
    this.members = 1;
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        container-type: inline-size;
      }
      lit-virtualizer {
        flex: 1;
        min-height: 0;
        overflow-y: auto;
        contain: strict;
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
      .row:hover .flag {
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
      .tokens {
        display: flex;
        gap: 4px;
        overflow: hidden;
        mask-image: linear-gradient(to right, black calc(100% - 14px), transparent);
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
      @container (max-width: 760px) {
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

  override willUpdate(changed: PropertyValues<this>): void {
    const total = this.pages.total ?? 0;
    if (changed.has("members")) this.style.setProperty("--dots", `${Math.max(52, Math.min(12, this.members) * 9)}px`);
    if (changed.has("version") || this.#places.length !== total) {
      this.#places = Array.from({ length: total }, (_, place) => place);
    }
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("cursor") && changed.get("cursor") !== undefined) this.reveal(this.cursor);
  }

  /** Scrolls a row into view if it is not. */
  reveal(place: number): void {
    const scroller = this.renderRoot.querySelector("lit-virtualizer");
    if (!(scroller instanceof LitVirtualizer) || place >= this.#places.length) return;
    const top = place * 30;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + 30 > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = top + 30 - scroller.clientHeight;
  }

  #emit(name: string, row: FeatureRow, place: number, event: MouseEvent): void {
    const { ctrlKey, metaKey, shiftKey } = event;
    this.dispatchEvent(
      new CustomEvent(name, {
        detail: { feature: row.feature, place, toggle: ctrlKey || metaKey, extend: shiftKey, flagged: !row.flagged },
      }),
    );
  }

  override render() {
    return html`
      <div class="head" aria-hidden="true">
        <span></span><span>feature</span><span>activating tokens</span><span class="wide">activations</span>
        <span class="number">density</span><span class="number wide">max</span><span class="wide">found in</span><span class="wide">label</span>
      </div>
      <lit-virtualizer
        scroller
        role="listbox"
        aria-label="Features"
        aria-multiselectable="true"
        tabindex="0"
        aria-activedescendant=${`row-${this.cursor}`}
        .items=${this.#places}
        .keyFunction=${(place: number) => place}
        .renderItem=${(place: number) => this.#row(place)}
      ></lit-virtualizer>
    `;
  }

  #row(place: number) {
    const row = this.pages.at(place);
    const position = { id: `row-${place}`, size: String(this.pages.total ?? 0), at: String(place + 1) };
    if (!row) {
      return html`<div class="row waiting" role="option" aria-selected="false" id=${position.id} aria-setsize=${position.size} aria-posinset=${position.at}><span></span><span class="id">…</span></div>`;
    }
    const selected = this.selection.has(row.feature);
    const name = `${row.member}/${row.index}`;
    return html`<div
      class=${`row${place === this.cursor ? " cursor" : ""}`}
      role="option"
      id=${position.id}
      aria-selected=${selected ? "true" : "false"}
      aria-setsize=${position.size}
      aria-posinset=${position.at}
      @click=${(event: MouseEvent) => this.#emit("choose", row, place, event)}
    >
      <span
        class="flag"
        data-flag
        aria-hidden="true"
        aria-pressed=${row.flagged ? "true" : "false"}
        title=${row.flagged ? "Flagged for removal (f)" : "Flag for removal (f)"}
        @click=${(event: MouseEvent) => {
          event.stopPropagation();
          this.#emit("flag", row, place, event);
        }}
        >${row.flagged ? "⚑" : "⚐"}</span
      >
      <span class="id">${name}</span>
      <span class="tokens">${row.tokens.map((token) => html`<sae-token .text=${token.text} .share=${token.strength}></sae-token>`)}${row.density === 0 ? html`<span class="dim">dead: never fired</span>` : ""}</span>
      <span class="wide"><sae-histogram .counts=${row.histogram} .max=${row.max ?? 0}></sae-histogram></span>
      <span class="number">${density(row.density)}</span>
      <span class="number wide">${significant(row.max)}</span>
      <span class="wide"><sae-found-in .members=${row.foundIn} .own=${row.member}></sae-found-in></span>
      <span class="label wide" title=${row.label}>${row.label}</span>
    </div>`;
  }
}
customElements.define("sae-feature-list", SaeFeatureList);

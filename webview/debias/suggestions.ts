// Step three: features by their effect on the attribute's probe, with the places where they fire. Nothing is flagged for a person.
import { css, html, LitElement, nothing } from "lit";
import type { Suggestion } from "../../src/protocol/debias.ts";
import type { FeatureDetail } from "../../src/protocol/featureBrowser.ts";
import { density, significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import "../components/token.ts";

/** Contexts shown of a feature: the strongest, and a few from the middle of its range, since the top alone flatters it. */
const STRONGEST = 4;
const MIDDLING = 2;

export class SaeSuggestions extends LitElement {
  static override properties = {
    rows: { attribute: false },
    largest: { type: Number },
    sides: { attribute: false },
    open: { type: Number },
    detail: { attribute: false },
  };
  declare rows: readonly Suggestion[];
  declare largest: number;
  /** What the attribute's two sides are called. */
  declare sides: readonly [string, string];
  /** Feature whose contexts are shown; −1: none. */
  declare open: number;
  declare detail: FeatureDetail | undefined;

  constructor() {
    super();
    this.rows = [];
    this.largest = 1;
    this.sides = ["1", "0"];
    this.open = -1;
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: block;
        container-type: inline-size;
      }
      ul,
      ol {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      .row,
      .head {
        display: grid;
        grid-template-columns: 28px 84px 96px 88px minmax(0, 1fr);
        gap: 8px;
        align-items: center;
        min-height: 30px;
        white-space: nowrap;
      }
      .head {
        min-height: 22px;
        font-size: 11px;
        color: var(--dim);
        border-bottom: 1px solid var(--hairline);
      }
      .row:hover {
        background: var(--vscode-list-hoverBackground);
      }
      .flag[aria-pressed="true"] {
        color: var(--flag);
      }
      .id {
        font-family: var(--mono);
        text-align: left;
      }
      .bars div {
        height: 5px;
        margin: 2px 0;
        min-width: 1px;
        background: var(--activation);
      }
      .bars div.label-effect {
        background: var(--negative);
      }
      .side {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .tokens {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .tokens sae-token {
        margin-right: 4px;
      }
      .contexts {
        margin: 2px 0 10px 36px;
      }
      .sequence {
        padding: 3px 0;
        overflow-wrap: anywhere;
        border-bottom: 1px solid var(--hairline);
      }
      p {
        margin: 4px 0;
      }
      @container (max-width: 520px) {
        .row,
        .head {
          grid-template-columns: 24px 72px 56px 72px minmax(0, 1fr);
          gap: 6px;
        }
      }
      /* A feature's tokens have a line of their own. */
      @container (max-width: 400px) {
        .row,
        .head {
          grid-template-columns: 24px 72px minmax(0, 1fr) 72px;
          row-gap: 0;
        }
        .row {
          padding-bottom: 4px;
        }
        .tokens {
          grid-column: 2 / -1;
          padding-left: 6px;
        }
        .head .tokens {
          display: none;
        }
      }
    `,
  ];

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  override render() {
    return html`<div class="head" aria-hidden="true">
        <span></span><span>feature</span><span>effect</span><span class="side">fires more</span><span class="tokens">activating tokens</span>
      </div>
      <ul aria-label="Suggested features by effect">${this.rows.map((one) => this.#item(one))}</ul>`;
  }

  #item({ row, effect, labelEffect, towardPositive }: Suggestion) {
    const name = `${row.member}/${row.index}`;
    const open = row.feature === this.open;
    const side = this.sides[towardPositive ? 0 : 1];
    const share = (value: number) => `width: ${Math.min(100, (100 * value) / (this.largest || 1))}%`;
    const words =
      row.label ||
      row.tokens
        .map(({ text }) => text.trim())
        .slice(0, 3)
        .join(" ");
    return html`<li>
      <div class="row">
        <button class="plain flag" aria-pressed=${row.flagged ? "true" : "false"} aria-label=${`Flag ${name}`} title="Flag: the classifier should not use it" @click=${() => this.#emit("flag", { feature: row.feature, flagged: !row.flagged })}>${row.flagged ? "⚑" : "⚐"}</button>
        <button class="plain id" aria-expanded=${open ? "true" : "false"} title=${`Where ${name} (${words}) fires`} @click=${() => this.#emit("look", { feature: open ? -1 : row.feature })}><span aria-hidden="true">${open ? "▾" : "▸"}</span> ${name}</button>
        <span class="bars" title=${`effect on the attribute ${significant(effect)}, on the label ${significant(labelEffect)}`}>
          <div style=${share(effect)}></div><div class="label-effect" style=${share(labelEffect)}></div>
        </span>
        <span class="side" title=${side}>${side}</span>
        <span class="tokens">${row.label ? html`<strong>${row.label}</strong> ` : nothing}${row.tokens.map((token) => html`<sae-token .text=${token.text} .share=${token.strength}></sae-token>`)}</span>
      </div>
      ${open ? this.#contexts(row.feature) : nothing}
    </li>`;
  }

  #contexts(feature: number) {
    const { detail } = this;
    if (!detail || detail.row.feature !== feature) return html`<p class="contexts dim">Loading…</p>`;
    const { row, bands } = detail;
    const top = bands[0]?.sequences.slice(0, STRONGEST) ?? [];
    const middle = bands[Math.ceil(bands.length / 2)]?.sequences.slice(0, MIDDLING) ?? [];
    const sequence = ({ tokens, peak }: (typeof top)[number]) =>
      html`<li class="sequence">${tokens.map(
        (token, i) =>
          html`<sae-token inline ?peak=${i === peak} .text=${token.text} .share=${row.max ? token.value / row.max : 0} .value=${token.value}></sae-token>`,
      )}</li>`;
    return html`<div class="contexts">
      <p class="dim">fires on ${density(row.density)} of the tokens, at most ${significant(row.max)}
        · <button class="plain link" @click=${() => this.#emit("browse", { feature })}>Open in the feature browser</button></p>
      <ol aria-label="Where it fires most">${top.map(sequence)}</ol>
      ${middle.length > 0 ? html`<p class="dim">in the middle of its range</p><ol>${middle.map(sequence)}</ol>` : nothing}
    </div>`;
  }
}
customElements.define("sae-suggestions", SaeSuggestions);

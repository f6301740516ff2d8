// One feature in full, in the layout that Neuronpedia's users know: header, histogram, logits, sequences in bands, neighbours, note.
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import "@vscode-elements/elements/dist/vscode-textarea/index.js";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { keyed } from "lit/directives/keyed.js";
import type { FeatureDetail, Sequence } from "../../src/protocol/featureBrowser.ts";
import { foundIn, foundInStyle, foundInTooltip } from "../components/foundIn.ts";
import { joinedTokens } from "../components/joinedTokens.ts";
import { density, significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import type { FieldName } from "./awaitedField.ts";
import "../components/histogram.ts";
import { tokenChip, tokenStyle } from "../components/token.ts";

export class SaeFeatureDetail extends LitElement {
  static override properties = {
    detail: { attribute: false },
    error: { type: String },
    loading: { type: Boolean },
    canLabel: { type: Boolean },
    copied: { type: Boolean },
  };
  declare detail: FeatureDetail | undefined;
  declare error: string;
  declare loading: boolean;
  /** Whether the editor offers a language model for labels. */
  declare canLabel: boolean;
  /** Whether it has just been put on the clipboard. */
  declare copied: boolean;

  constructor() {
    super();
    this.error = "";
    this.loading = false;
    this.canLabel = false;
    this.copied = false;
  }

  static override styles = [
    palette,
    controls,
    tokenStyle,
    foundInStyle,
    css`
      :host {
        display: block;
        overflow-y: auto;
        padding: 12px 16px 32px;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 4px 10px;
      }
      h2 {
        font-family: var(--mono);
        font-size: 1.25em;
        font-weight: 600;
        margin: 0;
      }
      h3 {
        font-size: 11px;
        font-weight: 600;
        text-transform: uppercase;
        letter-spacing: 0.04em;
        color: var(--dim);
        margin: 20px 0 6px;
      }
      button.flag[aria-pressed="true"] {
        background: none;
        color: inherit;
        border-color: var(--flag);
      }
      @media (min-width: 720px) {
        .back {
          display: none;
        }
      }
      .flag[aria-pressed="true"] .sign {
        color: var(--flag);
      }
      .label {
        width: 100%;
        margin: 8px 0 4px;
      }
      dl {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 18px;
        margin: 6px 0 0;
      }
      dl div {
        display: flex;
        gap: 6px;
      }
      dt {
        color: var(--dim);
      }
      dd {
        margin: 0;
        font-variant-numeric: tabular-nums;
      }
      .logits {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 2px 28px;
      }
      .logits li {
        display: flex;
        justify-content: space-between;
        align-items: center;
        line-height: 1.7;
        font-variant-numeric: tabular-nums;
        gap: 8px;
      }
      .lowered .token {
        --activation: var(--negative);
        --border-kind: dashed;
      }
      .chips {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      ul,
      ol {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      .sequence {
        padding: 3px 6px;
        border-left: 2px solid var(--hairline);
        margin: 4px 0;
        line-height: 1.6;
        overflow-wrap: anywhere;
      }
      .times {
        color: var(--dim);
        margin-left: 4px;
        white-space: nowrap;
      }
      .band {
        color: var(--dim);
        margin: 10px 0 2px;
        font-variant-numeric: tabular-nums;
      }
      .neighbour {
        display: grid;
        grid-template-columns: 42px 72px minmax(0, 1fr);
        gap: 8px;
        align-items: center;
        width: 100%;
        text-align: left;
        font-variant-numeric: tabular-nums;
      }
      .neighbour > span {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .notice {
        padding: 24px 0;
      }
      .error {
        margin: 0 0 16px;
      }
      .actions {
        margin-left: auto;
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      .copy {
        min-width: 66px;
      }
      .sequence {
        cursor: pointer;
      }
      .sequence:hover {
        background: var(--vscode-list-hoverBackground);
      }
      .open {
        opacity: 0.7;
      }
      .source {
        margin: 0 0 4px;
      }
      .poor {
        color: var(--flag);
      }
      vscode-textarea {
        width: 100%;
      }
    `,
  ];

  protected override updated(changed: PropertyValues<this>): void {
    // Another feature is read from its name on.
    const before = changed.get("detail")?.row.feature;
    if (before !== undefined && before !== this.detail?.row.feature) this.scrollTop = 0;
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Moves into a field, with what was typed for it before it was there. */
  edit(field: FieldName, typed: string): void {
    this.renderRoot.querySelector<HTMLElement>(`#${field}`)?.focus();
    // As if it had been typed here: the field tells of a change when it is left, and can undo it.
    if (typed) document.execCommand("insertText", false, typed);
  }

  override render() {
    const error = this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing;
    const detail = this.detail;
    if (!detail) {
      if (this.error) return error;
      return html`<p class="notice">${this.loading ? "Loading…" : "Choose a feature to see where it fires."}</p>`;
    }
    const { row } = detail;
    return html`
      ${error}
      <header>
        <button class="plain back" aria-label="Back to the list" title="Back to the list (Escape)" @click=${() => this.#emit("back", null)}>←</button>
        <h2>${row.member}/${row.index}</h2>
        <button class="plain outlined flag" aria-pressed=${row.flagged ? "true" : "false"} title="Flag for spurious-correlation removal (f)" @click=${() => this.#emit("flag", { feature: row.feature, flagged: !row.flagged })}>
          <span class="sign">${row.flagged ? "⚑" : "⚐"}</span> ${row.flagged ? "flagged" : "flag"}
        </button>
        <span class="actions">
          ${
            detail.neuronpedia
              ? html`<button class="plain outlined" title=${detail.neuronpedia} @click=${() => this.#emit("neuronpedia", { feature: row.feature })}>Neuronpedia</button>`
              : nothing
          }
          ${
            this.canLabel
              ? html`<button class="plain outlined" title="Ask the editor's language model for a label of the selected features; what is sent is shown first" @click=${() => this.#emit("labelWithModel", { feature: row.feature })}>Label with model</button>`
              : nothing
          }
          <button class="plain outlined copy" title="Copy as Markdown" @click=${() => this.#emit("copy", detail)}>${this.copied ? "Copied" : "Copy"}</button>
        </span>
      </header>
      <vscode-textfield
        class="label"
        id="label"
        label="Label"
        aria-label="Label"
        placeholder="Label: what does this feature mean? (l)"
        .value=${row.label}
        @change=${(event: Event) => this.#emit("label", { feature: row.feature, label: (event.target as HTMLInputElement).value })}
      ></vscode-textfield>
      ${this.#labelSource(row)}
      <dl>
        <div><dt>density</dt><dd>${density(row.density)}</dd></div>
        <div><dt>max</dt><dd>${significant(row.max)}</dd></div>
        <div><dt>mean when active</dt><dd>${significant(row.mean)}</dd></div>
        <div title=${foundInTooltip(row.foundIn)}><dt>found in</dt><dd>${row.foundIn.filter(Boolean).length} of ${row.foundIn.length} ${foundIn(row.foundIn, row.member)}</dd></div>
      </dl>
      ${
        row.density === 0
          ? html`<p class="notice">This feature never fired on the indexed text.</p>`
          : html`<h3>Activating tokens</h3>
              <div class="chips">${row.tokens.map(({ text, strength, count }) => tokenChip({ text, share: strength, value: count }))}</div>
              <h3>Activations</h3>
              <sae-histogram .counts=${row.histogram} .max=${row.max ?? 0} .marks=${detail.bands.map((band) => band.from).filter((from) => from > 0)}></sae-histogram>`
      }
      ${this.#logits(detail)}
      ${detail.bands.length ? html`<h3>Where it fires</h3>` : nothing}
      ${detail.bands.map(
        (band) => html`<div class="band">${band.name} · ${significant(band.from)} – ${significant(band.to)}</div>
          <ol>
            ${band.sequences.map(
              (sequence) => html`<li class="sequence" @click=${() => this.#openSource(sequence)}>
                ${this.#tokens(sequence, row.max)}
                ${sequence.count > 1 ? html`<span class="times" title=${`${sequence.count} passages here are the same up to the peak`}>× ${sequence.count}</span>` : nothing}
                ${this.#source(sequence)}
              </li>`,
            )}
          </ol>`,
      )}
      <h3>Nearest features by decoder cosine</h3>
      <div class="near">${this.#neighbours(detail)}</div>
      <h3>Note</h3>
      ${keyed(
        row.feature,
        html`<vscode-textarea id="note" label="Note" aria-label="Note" rows="3" placeholder="Why was it flagged, what was checked? (n)" .value=${row.note} @change=${(
          event: Event,
        ) => {
          const field = event.target as HTMLTextAreaElement;
          field.value = field.value.trimEnd();
          this.#emit("note", { feature: row.feature, note: field.value });
        }}></vscode-textarea>`,
      )}
    `;
  }

  /** Who gave the label, where it was a model, and whether it is any good. */
  #labelSource({ labelSource }: FeatureDetail["row"]) {
    if (!labelSource) return nothing;
    const { model, detection, passages } = labelSource;
    if (detection === null)
      return html`<p class="source dim">Label by ${model}; too few held-out passages to test it.</p>`;
    const verdict =
      detection >= 0.8 ? "" : detection >= 0.65 ? " – it tells only in part" : " – hardly better than chance";
    return html`<p class=${detection >= 0.65 ? "source dim" : "source poor"}>
      Label by ${model} · detection ${detection.toFixed(2)} on ${passages} held-out passages (0.5 is chance)${verdict}
    </p>`;
  }

  #tokens({ tokens, peak }: Sequence, max: number | null) {
    return joinedTokens(tokens).map(({ text, from, tokens: parts }) => {
      const value = Math.max(...parts.map((part) => part.value));
      return tokenChip({
        text,
        share: max ? value / max : 0,
        value,
        place: from + 1,
        parts,
        inline: true,
        peak: peak >= from && peak < from + parts.length,
      });
    });
  }

  /** By member, best first: the best of each says whether the feature was found there. */
  #neighbours({ row, neighbours }: FeatureDetail) {
    if (neighbours.length === 0) return html`<p class="dim">None.</p>`;
    const found = (member: number) => {
      if (member === row.member) return `in member ${member}, its own`;
      return `in member ${member} · ${row.foundIn[member] ? "found" : "not found"}`;
    };
    return [...Map.groupBy(neighbours, ({ member }) => member)].map(
      ([member, nearest]) => html`
        ${row.foundIn.length > 1 ? html`<div class="band" title="Found: a decoder cosine of at least 0.7">${found(member)}</div>` : nothing}
        <ul>
          ${nearest.map(
            (other) => html`<li>
              <button class="plain neighbour" @click=${() => this.#emit("open", { feature: other.feature })}>
                <span>${other.cosine.toFixed(3)}</span><span>${other.member}/${other.index}</span>
                <span>${other.label || other.tokens.map((text) => [tokenChip({ text }), " "])}</span>
              </button>
            </li>`,
          )}
        </ul>`,
    );
  }

  #openSource({ document, start, end, tokens, peak }: Sequence): void {
    // Who drags over the text wants to copy it.
    if (document < 0 || getSelection()?.type === "Range") return;
    this.#emit("source", { document, start, end, token: tokens[peak]?.text ?? "" });
  }

  #source(sequence: Sequence) {
    if (sequence.document < 0) return nothing;
    return html`<button class="plain open" aria-label="Open the source text" title="Open the source text at the peak" @click=${(
      event: Event,
    ) => {
      event.stopPropagation();
      this.#openSource(sequence);
    }}>↗</button>`;
  }

  #logits(detail: FeatureDetail) {
    const largest = Math.max(...[...detail.topLogits, ...detail.bottomLogits].map(({ value }) => Math.abs(value)));
    const column = (name: string, logits: readonly { text: string; value: number }[]) =>
      html`<ul class=${name}>${logits.map(({ text, value }) => html`<li>${tokenChip({ text, share: Math.abs(value) / largest })}<span>${value >= 0 ? "+" : "−"}${significant(Math.abs(value))}</span></li>`)}</ul>`;
    return html`<h3>Logits it raises · it lowers</h3>
      <div class="logits">${column("raised", detail.topLogits)}${column("lowered", detail.bottomLogits)}</div>`;
  }
}
customElements.define("sae-feature-detail", SaeFeatureDetail);

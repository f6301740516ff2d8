// "Try text": a sentence, and which features fire on which of its tokens.
import "@vscode-elements/elements/dist/vscode-textarea/index.js";
import "@vscode-elements/elements/dist/vscode-button/index.js";
import { css, html, LitElement, nothing } from "lit";
import type { FeatureRow } from "../../src/protocol/featureBrowser.ts";
import { joinedTokens } from "../components/joinedTokens.ts";
import { significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import { tokenChip, tokenStyle } from "../components/token.ts";

export interface Tried {
  readonly tokens: readonly { text: string; features: readonly { feature: number; value: number }[] }[];
  readonly rows: readonly FeatureRow[];
}

export class SaeTryText extends LitElement {
  static override properties = {
    result: { attribute: false },
    error: { type: String },
    busy: { type: Boolean },
    chosen: { state: true },
  };
  declare result: Tried | undefined;
  declare error: string;
  declare busy: boolean;
  declare chosen: number;

  constructor() {
    super();
    this.error = "";
    this.busy = false;
    this.chosen = 0;
  }

  static override styles = [
    palette,
    controls,
    tokenStyle,
    css`
      :host {
        display: block;
        padding: 10px 12px;
        border-bottom: 1px solid var(--hairline);
      }
      form {
        display: flex;
        gap: 8px;
        align-items: flex-start;
      }
      vscode-textarea {
        flex: 1;
        width: auto;
      }
      .text {
        margin: 8px 0;
        line-height: 1.7;
      }
      .text button {
        padding: 0;
        border: none;
        border-radius: 2px;
      }
      .text button[aria-pressed="true"] {
        outline: 2px solid var(--vscode-focusBorder);
      }
      li {
        display: flex;
        gap: 10px;
        align-items: center;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      .id {
        font-family: var(--mono);
        min-width: 70px;
        text-align: left;
      }
      .value {
        min-width: 48px;
        text-align: right;
        font-variant-numeric: tabular-nums;
      }
      .error {
        margin: 8px 0 0;
      }
    `,
  ];

  /** Whoever opens it is going to type. */
  protected override async firstUpdated(): Promise<void> {
    const field = this.renderRoot.querySelector<LitElement>("vscode-textarea");
    await field?.updateComplete;
    field?.focus();
  }

  #submit(event: Event): void {
    event.preventDefault();
    const text = this.renderRoot.querySelector<HTMLTextAreaElement>("vscode-textarea")?.value ?? "";
    if (text.trim()) this.dispatchEvent(new CustomEvent("try", { detail: { text } }));
  }

  override render() {
    const { result } = this;
    const strongest = Math.max(0, ...(result?.tokens.map((token) => token.features[0]?.value ?? 0) ?? []));
    const rows = new Map(result?.rows.map((row) => [row.feature, row]));
    const joined = joinedTokens(result?.tokens ?? []);
    const chosen = joined.findLast(({ from }) => from <= this.chosen);
    const features = strongestOn(chosen?.tokens ?? []);
    return html`
      <form @submit=${this.#submit}>
        <vscode-textarea label="Text to try" aria-label="Text to try" rows="2" placeholder="Type a sentence and see which features fire on which token"></vscode-textarea>
        <vscode-button type="submit" ?disabled=${this.busy} @click=${this.#submit}>${this.busy ? "Running…" : "Run"}</vscode-button>
      </form>
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
      ${
        result
          ? html`<div class="text">
                ${joined.map((one) => {
                  const { text, from, tokens } = one;
                  const parts = tokens.map((token) => ({ text: token.text, value: token.features[0]?.value ?? 0 }));
                  const value = Math.max(...parts.map((part) => part.value));
                  return html`<button class="plain" aria-pressed=${one === chosen ? "true" : "false"} @click=${() => {
                    this.chosen = from;
                  }}>${tokenChip({ text, share: strongest ? value / strongest : 0, value, place: from + 1, parts, inline: true })}</button>`;
                })}
              </div>
              ${
                features.length > 0
                  ? html`<ul>
                      ${features.map(({ feature, value }) => {
                        const row = rows.get(feature);
                        return html`<li>
                          <span class="value">${significant(value)}</span>
                          <button class="plain id" @click=${() => this.dispatchEvent(new CustomEvent("open", { detail: { feature } }))}>${row ? `${row.member}/${row.index}` : feature}</button>
                          <span>${row?.label || row?.tokens.map(({ text, strength }) => [tokenChip({ text, share: strength }), " "])}</span>
                        </li>`;
                      })}
                    </ul>`
                  : html`<p class="dim">No feature fires on this token.</p>`
              }`
          : nothing
      }
    `;
  }
}
customElements.define("sae-try-text", SaeTryText);

/** Features that fire on any of the tokens, each with its largest activation, the strongest first. */
function strongestOn(tokens: Tried["tokens"]): { feature: number; value: number }[] {
  const largest = new Map<number, number>();
  for (const { feature, value } of tokens.flatMap((token) => token.features))
    largest.set(feature, Math.max(value, largest.get(feature) ?? 0));
  return [...largest].map(([feature, value]) => ({ feature, value })).sort((a, b) => b.value - a.value);
}

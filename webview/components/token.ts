// One token as a chip, tinted by its activation; in high contrast a border instead of a tint. Its text is data, never markup.
import { css, html, LitElement, nothing, unsafeCSS } from "lit";
import { whiteSpaceSigns } from "../../src/protocol/whiteSpace.ts";
import { significant } from "./numbers.ts";
import { palette } from "./style.ts";

/** The parts of a token's text: what is dimmed (white space as a sign) and what is not. */
export function tokenParts(text: string): { sign: boolean; text: string }[] {
  const parts: { sign: boolean; text: string }[] = [];
  for (const character of text) {
    const sign = character in whiteSpaceSigns;
    const shown = whiteSpaceSigns[character] ?? character;
    const last = parts.at(-1);
    if (last && last.sign === sign) last.text += shown;
    else parts.push({ sign, text: shown });
  }
  return parts;
}

/** Opacity of a tint for a share of the maximum: a ramp that looks even to the eye, and never so strong that text on it is hard to read, on the background of a row under the pointer either. */
export function tint(share: number): number {
  return share <= 0 ? 0 : 0.06 + 0.3 * Math.min(1, share) ** 0.8;
}

/** Tints come in steps, so that tokens of a step share their style. */
const steps = 20;
const step = (share: number) => Math.ceil(steps * Math.max(0, Math.min(1, share)));

export interface TokenLook {
  readonly text: string;
  /** Activation over the feature's maximum, 0…1. */
  readonly share?: number;
  /** Activation, for the tooltip; absent: no tooltip. */
  readonly value?: number | undefined;
  /** Position in its sequence, from 1, for the tooltip. */
  readonly place?: number | undefined;
  /** Tokens that are the text only together, with their activations; `share` and `value` are the strongest one's. */
  readonly parts?: readonly { readonly text: string; readonly value: number }[];
  /** Inside a sequence: leading spaces are shown as gaps, not as signs. */
  readonly inline?: boolean;
  readonly peak?: boolean;
}

/** A token where there are many: one or two plain elements; `tokenStyle` has to be among the styles around it. */
export function tokenChip(look: TokenLook) {
  const { text, share = 0, inline = false, peak = false } = look;
  if (text === "") return nothing;
  const shown = tokenParts(text).map(({ sign, text: part }) => {
    if (inline && sign && /^␣+$/.test(part)) return " ".repeat(part.length);
    return sign ? html`<span class="sign">${part}</span>` : part;
  });
  const kind = `token t${step(share)}${inline ? " inline" : ""}${peak ? " peak" : ""}`;
  const title = tooltip(look);
  return title === undefined
    ? html`<span class=${kind}>${shown}</span>`
    : html`<span class=${kind} title=${title}>${shown}</span>`;
}

function tooltip({ text, value, place, parts = [] }: TokenLook): string | undefined {
  if (value === undefined) return undefined;
  const last = parts.length > 1 && place !== undefined ? `–${place + parts.length - 1}` : "";
  const at = place === undefined ? "" : `  position ${place}${last}`;
  const line = `${JSON.stringify(text)}  ${significant(value)}${at}`;
  if (parts.length < 2) return line;
  const each = parts.map((part) => `${JSON.stringify(part.text)}  ${significant(part.value)}`);
  return [line, `${parts.length} tokens, tinted by the strongest:`, ...each].join("\n");
}

const tints = Array.from(
  { length: steps },
  (_, i) => `.t${i + 1} { --tint: ${tint((i + 1) / steps).toFixed(3)}; }`,
).join("\n");

/** On a background that is not the editor's, --tint-scale keeps text on the strongest tint readable. */
export const tokenStyle = css`
  ${unsafeCSS(tints)}
  .token {
    display: inline-block;
    white-space: pre;
    font-family: var(--mono);
    font-size: var(--vscode-editor-font-size, 12px);
    line-height: 1.45;
    padding: 0 3px;
    border-radius: 3px;
    background: color-mix(in srgb, var(--activation) calc(100% * var(--tint, 0) * var(--tint-scale, 1)), transparent);
  }
  /* In running text: lines break at its spaces, as they would without tokens. */
  .token.inline {
    display: inline;
    white-space: pre-wrap;
    padding: 1px 0;
    border-radius: 2px;
  }
  .token.peak {
    text-decoration: underline;
    text-underline-offset: 3px;
  }
  /* A colour and no opacity: that would be a layer for each of the many. */
  .token .sign {
    color: color-mix(in srgb, currentColor 55%, transparent);
  }
  :host-context(.vscode-high-contrast) .token,
  :host-context(.vscode-high-contrast-light) .token {
    background: none;
    border-bottom: calc(var(--tint, 0) * 7px) var(--border-kind, solid) var(--vscode-contrastActiveBorder, currentColor);
  }
  @media (forced-colors: active) {
    .token {
      border-bottom: calc(var(--tint, 0) * 7px) var(--border-kind, solid) Highlight;
    }
  }
`;

/** A token by itself, where there are few. */
export class SaeToken extends LitElement {
  static override properties = {
    text: { type: String },
    share: { type: Number },
    value: { type: Number },
    place: { type: Number },
    inline: { type: Boolean, reflect: true },
    peak: { type: Boolean, reflect: true },
  };
  declare text: string;
  declare share: number;
  declare value: number | undefined;
  declare place: number | undefined;
  declare inline: boolean;
  declare peak: boolean;

  constructor() {
    super();
    this.text = "";
    this.share = 0;
    this.inline = false;
    this.peak = false;
  }

  static override styles = [
    palette,
    tokenStyle,
    css`
      :host {
        display: inline-block;
      }
      /* In running text lines break at spaces, not between the tokens of a word. */
      :host([inline]) {
        display: inline;
      }
    `,
  ];

  override render() {
    return tokenChip(this);
  }
}
customElements.define("sae-token", SaeToken);

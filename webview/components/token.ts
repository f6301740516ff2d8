// One token as a chip, tinted by its activation; in high contrast a border instead of a tint. Its text is data, never markup.
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { significant } from "./numbers.ts";
import { palette } from "./style.ts";

const visible: Readonly<Record<string, string>> = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };

/** The parts of a token's text: what is dimmed (white space as a sign) and what is not. */
export function tokenParts(text: string): { sign: boolean; text: string }[] {
  const parts: { sign: boolean; text: string }[] = [];
  for (const character of text) {
    const sign = character in visible;
    const shown = visible[character] ?? character;
    const last = parts.at(-1);
    if (last && last.sign === sign) last.text += shown;
    else parts.push({ sign, text: shown });
  }
  return parts;
}

/** Opacity of a tint for a share of the maximum: a ramp that looks even to the eye, and never so strong that text on it is hard to read. */
export function tint(share: number): number {
  return share <= 0 ? 0 : 0.06 + 0.36 * Math.min(1, share) ** 0.8;
}

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
  /** Activation over the feature's maximum, 0…1. */
  declare share: number;
  /** Activation, for the tooltip; absent: no tooltip. */
  declare value: number | undefined;
  /** Position in its sequence, from 1, for the tooltip. */
  declare place: number | undefined;
  /** Inside a sequence: leading spaces are shown as gaps, not as signs. */
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
    css`
      :host {
        display: inline-block;
        position: relative;
        isolation: isolate;
        white-space: pre;
        font-family: var(--mono);
        font-size: var(--vscode-editor-font-size, 12px);
        line-height: 1.45;
        padding: 0 3px;
        border-radius: 3px;
      }
      :host([inline]) {
        padding: 0;
        border-radius: 2px;
      }
      :host::before {
        content: "";
        position: absolute;
        inset: 0;
        z-index: -1;
        border-radius: inherit;
        background: var(--activation);
        opacity: var(--tint, 0);
      }
      :host([peak]) {
        text-decoration: underline;
        text-underline-offset: 3px;
      }
      .sign {
        opacity: 0.55;
      }
      @media (forced-colors: active) {
        :host {
          border-bottom: calc(var(--tint, 0) * 7px) solid Highlight;
        }
      }
      :host-context(.vscode-high-contrast),
      :host-context(.vscode-high-contrast-light) {
        border-bottom: calc(var(--tint, 0) * 7px) solid var(--vscode-contrastActiveBorder, currentColor);
      }
    `,
  ];

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("share")) this.style.setProperty("--tint", tint(this.share).toFixed(3));
    if (changed.has("value") || changed.has("text")) {
      if (this.value === undefined) this.removeAttribute("title");
      else {
        const place = this.place === undefined ? "" : `  position ${this.place}`;
        this.title = `${JSON.stringify(this.text)}  ${significant(this.value)}${place}`;
      }
    }
  }

  override render() {
    if (this.text === "") return nothing;
    const shown = tokenParts(this.text).map(({ sign, text }) => {
      if (this.inline && sign && /^␣+$/.test(text)) return " ".repeat(text.length);
      return sign ? html`<span class="sign">${text}</span>` : text;
    });
    return html`<span>${shown}</span>`;
  }
}
customElements.define("sae-token", SaeToken);

// Member stability as dots: one a member, filled where the feature was found there.
import { css, html, LitElement } from "lit";
import { palette } from "./style.ts";

export class SaeFoundIn extends LitElement {
  static override properties = { members: { attribute: false }, own: { type: Number } };
  declare members: readonly boolean[];
  /** The feature's own member. */
  declare own: number;

  constructor() {
    super();
    this.members = [];
    this.own = 0;
  }

  static override styles = [
    palette,
    css`
      :host {
        display: inline-flex;
        gap: 2px;
        letter-spacing: 0;
        font-size: 10px;
        line-height: 1;
      }
      .own {
        color: var(--activation);
      }
    `,
  ];

  override render() {
    const found = this.members.filter(Boolean).length;
    const label = `found in ${found} of ${this.members.length} members (decoder cosine at least 0.7)`;
    this.title = label;
    return html`<span role="img" aria-label=${label}
      >${this.members.map((there, member) => html`<span class=${member === this.own ? "own" : ""}>${there ? "●" : "○"}</span>`)}</span
    >`;
  }
}
customElements.define("sae-found-in", SaeFoundIn);

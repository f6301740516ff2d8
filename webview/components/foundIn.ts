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
        display: inline-block;
        vertical-align: middle;
      }
      .dots {
        display: flex;
        flex-wrap: wrap;
        gap: 2px;
      }
      .dots span {
        width: 7px;
        height: 7px;
        border-radius: 50%;
        border: 1px solid currentColor;
      }
      .there {
        background: currentColor;
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
    return html`<div class="dots" role="img" aria-label=${label}>
      ${this.members.map((there, member) => html`<span class=${`${there ? "there" : ""} ${member === this.own ? "own" : ""}`}></span>`)}
    </div>`;
  }
}
customElements.define("sae-found-in", SaeFoundIn);

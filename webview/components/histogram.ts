// A histogram of activations as bars on a logarithmic count scale: small in a list row (one shape, since a list has many), large in a detail, with bands and each bar's numbers.
import { css, html, LitElement, svg } from "lit";
import { count, significant } from "./numbers.ts";
import { palette } from "./style.ts";

export class SaeHistogram extends LitElement {
  static override properties = {
    counts: { attribute: false },
    max: { type: Number },
    marks: { attribute: false },
    large: { type: Boolean, reflect: true },
  };
  /** Counts in equal bins of (0, max]. */
  declare counts: readonly number[];
  declare max: number;
  /** Values at which sequence bands begin. */
  declare marks: readonly number[];
  declare large: boolean;

  constructor() {
    super();
    this.counts = [];
    this.max = 0;
    this.marks = [];
    this.large = false;
  }

  static override styles = [
    palette,
    css`
      :host {
        display: inline-block;
        width: 72px;
        height: 18px;
      }
      :host([large]) {
        display: block;
        width: 100%;
        height: 92px;
      }
      svg {
        width: 100%;
        height: 100%;
        display: block;
        overflow: visible;
      }
      rect,
      path {
        fill: var(--activation);
        opacity: 0.8;
      }
      line {
        stroke: var(--dim);
        stroke-dasharray: 2 2;
        vector-effect: non-scaling-stroke;
      }
      .axis {
        display: flex;
        justify-content: space-between;
        color: var(--dim);
        font-size: 11px;
        padding-top: 2px;
      }
      :host([large]) svg {
        height: 74px;
      }
    `,
  ];

  override render() {
    const n = this.counts.length;
    const tallest = Math.max(1, ...this.counts);
    const height = (c: number) => (c === 0 ? 0 : 2 + (98 * Math.log1p(c)) / Math.log1p(tallest));
    const total = this.counts.reduce((sum, c) => sum + c, 0);
    const label = n ? `${count(total)} activations, the largest ${significant(this.max)}` : "no activations";
    return html`<svg viewBox="0 0 ${Math.max(1, n) * 10} 100" preserveAspectRatio="none" role="img" aria-label=${label}>
        ${
          this.large
            ? this.counts.map(
                (c, i) => svg`<rect x=${i * 10 + 0.8} width="8.4" y=${100 - height(c)} height=${height(c)}>
            <title>${significant((i * this.max) / n)} – ${significant(((i + 1) * this.max) / n)}: ${count(c)}</title></rect>`,
              )
            : svg`<path d=${this.counts.map((c, i) => `M${i * 10 + 0.8} 100v${-Math.round(height(c))}h8.4V100`).join("")}></path>`
        }
        ${this.marks.map(
          (v) => svg`<line x1=${(v / this.max) * n * 10} x2=${(v / this.max) * n * 10} y1="0" y2="100"></line>`,
        )}
      </svg>
      ${this.large ? html`<div class="axis"><span>0</span><span>activation (bars: logarithm of the count)</span><span>${significant(this.max)}</span></div>` : ""}`;
  }
}
customElements.define("sae-histogram", SaeHistogram);

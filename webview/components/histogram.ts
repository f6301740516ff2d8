// A histogram of activations as bars on a logarithmic count scale: small in a list row (one shape, since a list has many), large in a detail, with bands and each bar's numbers.
import { css, html, LitElement, svg } from "lit";
import { count, significant } from "./numbers.ts";
import { palette } from "./style.ts";

/** Height of a bar in percent. */
function heights(counts: readonly number[]): number[] {
  const tallest = Math.max(1, ...counts);
  return counts.map((c) => (c === 0 ? 0 : 2 + (98 * Math.log1p(c)) / Math.log1p(tallest)));
}

const shapes = new WeakMap<readonly number[], string>();

/** Small, for a row that says its numbers itself; `smallHistogramStyle` has to be among the styles around it. */
export function smallHistogram(counts: readonly number[]) {
  let shape = shapes.get(counts);
  if (shape === undefined) {
    shape = heights(counts)
      .map((height, i) => (height === 0 ? "" : `M${i * 10 + 0.8} 100v${-Math.round(height)}h8.4V100`))
      .join("");
    shapes.set(counts, shape);
  }
  const box = `0 0 ${Math.max(1, counts.length) * 10} 100`;
  return html`<svg class="histogram" aria-hidden="true" viewBox=${box} preserveAspectRatio="none"><path d=${shape}></path></svg>`;
}

export const smallHistogramStyle = css`
  .histogram {
    display: block;
    width: 72px;
    height: 18px;
    fill: var(--activation);
    opacity: 0.8;
  }
`;

export class SaeHistogram extends LitElement {
  static override properties = { counts: { attribute: false }, max: { type: Number }, marks: { attribute: false } };
  /** Counts in equal bins of (0, max]. */
  declare counts: readonly number[];
  declare max: number;
  /** Values at which sequence bands begin. */
  declare marks: readonly number[];

  constructor() {
    super();
    this.counts = [];
    this.max = 0;
    this.marks = [];
  }

  static override styles = [
    palette,
    css`
      :host {
        display: block;
        min-height: 92px;
      }
      svg {
        width: 100%;
        height: 74px;
        display: block;
        overflow: visible;
      }
      rect {
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
        gap: 8px;
        text-align: center;
        color: var(--dim);
        font-size: 11px;
        padding-top: 2px;
      }
    `,
  ];

  override render() {
    const n = this.counts.length;
    const total = this.counts.reduce((sum, c) => sum + c, 0);
    const label = n ? `${count(total)} activations, the largest ${significant(this.max)}` : "no activations";
    const bar = (
      height: number,
      i: number,
    ) => svg`<rect x=${i * 10 + 0.8} width="8.4" y=${100 - height} height=${height}>
            <title>${significant((i * this.max) / n)} – ${significant(((i + 1) * this.max) / n)}: ${count(this.counts[i]!)}</title></rect>`;
    return html`<svg viewBox="0 0 ${Math.max(1, n) * 10} 100" preserveAspectRatio="none" role="img" aria-label=${label}>
        ${heights(this.counts).map(bar)}
        ${this.marks.map(
          (v) => svg`<line x1=${(v / this.max) * n * 10} x2=${(v / this.max) * n * 10} y1="0" y2="100">
            <title>A band of “Where it fires” begins at ${significant(v)}</title></line>`,
        )}
      </svg>
      <div class="axis"><span>0</span><span>activation (bars: logarithm of the count${this.marks.length > 0 ? "; dotted: bands below" : ""})</span><span>${significant(this.max)}</span></div>`;
  }
}
customElements.define("sae-histogram", SaeHistogram);

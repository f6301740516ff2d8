// SCR, or the worst group, over the number of features taken out: a line a dictionary with the seeds' spread as a band, controls dashed.
import { css, html, LitElement, nothing, svg } from "lit";
import type { DebiasState, ScrCurve } from "../../src/protocol/debias.ts";
import type { Spread } from "../../src/protocol/labelledData.ts";
import { seedSetOf } from "../../src/protocol/seedSet.ts";
import { significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";

const width = 600;
const height = 260;
const margin = { left: 44, right: 12, top: 10, bottom: 34 };
/** One a method, whichever are shown; the other seed sets of a run take the same, dotted. */
const hues: Readonly<Record<string, string>> = {
  single: "blue",
  bagging: "green",
  boosting: "purple",
  expanded: "yellow",
};
const strokes = { solid: "none", dashed: "5 4", dotted: "1.5 3" } as const;
const quantities = { scr: "SCR", worst_group: "worst group" } as const;
type Quantity = keyof typeof quantities;

interface Line {
  readonly name: string;
  readonly color: string;
  readonly own: boolean;
  /** Dashed are what is known without any feature, dotted other seed sets. */
  readonly stroke: keyof typeof strokes;
  readonly points: readonly { readonly n: number; readonly value: Spread }[];
}

/** The numbers of features that any of the lines has a point for, ascending. */
function axisOf(lines: readonly Pick<Line | ScrCurve, "points">[]): number[] {
  return [...new Set(lines.flatMap(({ points }) => points.map(({ n }) => n)))].sort((a, b) => a - b);
}

/** "bagging-1" is bagging with other seeds. */
const isOtherSeedSet = (ensemble: string) => seedSetOf(ensemble).seedSet > 1;

export class SaeScrChart extends LitElement {
  static override properties = { debias: { attribute: false }, quantity: { state: true }, toggled: { state: true } };
  declare debias: DebiasState | undefined;
  declare quantity: Quantity;
  /** Names of lines that a person took away or brought back. */
  declare toggled: ReadonlySet<string>;

  constructor() {
    super();
    this.quantity = "scr";
    this.toggled = new Set();
  }

  static override styles = [
    palette,
    controls,
    css`
      svg {
        display: block;
        width: 100%;
        height: auto;
        overflow: visible;
      }
      text {
        fill: var(--dim);
        font-size: 11px;
      }
      .grid {
        stroke: var(--track);
      }
      .zero {
        stroke: var(--dim);
      }
      polyline {
        fill: none;
      }
      .keys {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      .swatch {
        display: inline-block;
        width: 14px;
        vertical-align: middle;
        border-top: 3px solid;
      }
      .swatch.dashed {
        border-top-style: dashed;
      }
      .swatch.dotted {
        border-top-style: dotted;
      }
      .keys button[aria-pressed="false"] {
        text-decoration: line-through;
      }
      .tabs {
        display: flex;
        gap: 4px;
        margin-bottom: 6px;
      }
    `,
  ];

  #lines(debias: DebiasState): Line[] {
    const { curves } = debias;
    const of = ({ points }: ScrCurve, pick: (point: ScrCurve["points"][number]) => Spread) =>
      points.map((point) => ({ n: point.n, value: pick(point) }));
    const lines: Line[] = curves.map((curve) => ({
      name: curve.ensemble,
      color: `var(--vscode-charts-${hues[curve.method] ?? "orange"})`,
      own: curve.own,
      stroke: isOtherSeedSet(curve.ensemble) ? "dotted" : "solid",
      points: of(curve, (point) => point[this.quantity]),
    }));
    const own = curves.find((curve) => curve.own);
    if (own && this.quantity === "scr")
      lines.push({
        name: `random features of ${own.ensemble}`,
        color: "var(--vscode-charts-lines, var(--dim))",
        own: false,
        stroke: "dashed",
        points: of(own, (point) => ({ mean: point.random.mean, sd: null })),
      });
    return [...lines, ...this.#levels(debias)];
  }

  /** What is known without any feature, as lines across the chart. */
  #levels({ curves, levels, base, oracle, mean_difference, mean_difference_retrained }: DebiasState): Line[] {
    const axis = axisOf(curves);
    const level = (name: string, { mean }: Spread, color: string): Line => ({
      name,
      color: `var(--vscode-${color}, var(--dim))`,
      own: false,
      stroke: "dashed",
      points: axis.map((n) => ({ n, value: { mean, sd: null } })),
    });
    const scr = this.quantity === "scr";
    return [
      ...(scr
        ? []
        : [
            level("biased probe", base.worst_group, "charts-lines"),
            level("oracle: balanced data", oracle.worst_group, "terminal-ansiCyan"),
          ]),
      level("mean difference projected out", scr ? levels.mean_difference : mean_difference.worst_group, "foreground"),
      level(
        "… and retrained",
        scr ? levels.mean_difference_retrained : mean_difference_retrained.worst_group,
        "charts-red",
      ),
    ];
  }

  override render() {
    const { debias } = this;
    if (!debias) return nothing;
    const all = this.#lines(debias);
    const shown = all.filter(({ name, own }) => this.#isShown(name, own));
    const narrow = debias.curves.filter(
      ({ ensemble, own, leftOut }) => leftOut.length > 0 && this.#isShown(ensemble, own),
    );
    return html`<div class="tabs" role="group" aria-label="What the chart shows">
        ${(Object.keys(quantities) as Quantity[]).map(
          (key) =>
            html`<button class="plain outlined" aria-pressed=${key === this.quantity ? "true" : "false"} @click=${() => {
              this.quantity = key;
            }}>${quantities[key]}</button>`,
        )}
      </div>
      ${this.#chart(shown)}
      ${narrow.length > 0 ? html`<p class="dim">Left out, being more than there are features: ${narrow.map(({ ensemble, leftOut }) => `n = ${leftOut.join(", ")} for ${ensemble}`).join("; ")}.</p>` : nothing}
      <div class="keys" role="group" aria-label="Lines">
        ${all.map(
          ({ name, color, stroke, own }) =>
            html`<button class="plain" aria-pressed=${this.#isShown(name, own) ? "true" : "false"} @click=${() => this.#toggle(name)}>
              <span class=${`swatch ${stroke}`} style=${`border-color: ${color}`}></span> ${name}</button>`,
        )}
      </div>`;
  }

  /** Those of other seed sets stay away until they are asked for: one band a method reads better. */
  #isShown(name: string, own: boolean): boolean {
    const first = own || !isOtherSeedSet(name);
    return first !== this.toggled.has(name);
  }

  #toggle(name: string): void {
    const hidden = new Set(this.toggled);
    if (!hidden.delete(name)) hidden.add(name);
    this.toggled = hidden;
  }

  #chart(lines: readonly Line[]) {
    const ns = axisOf(lines);
    const values = lines.flatMap(({ points }) =>
      points.flatMap(({ value: { mean, sd } }) => (mean === null ? [] : [mean - (sd ?? 0), mean + (sd ?? 0)])),
    );
    const low = Math.max(-1, Math.min(0, ...values));
    const high = Math.min(1.5, Math.max(this.quantity === "scr" ? 0.2 : 1, ...values));
    const logs = ns.map((n) => Math.log(n));
    const [first, last] = [logs[0] ?? 0, logs.at(-1) ?? 1];
    const x = (n: number) =>
      margin.left + ((width - margin.left - margin.right) * (Math.log(n) - first)) / (last - first || 1);
    const y = (value: number) =>
      margin.top +
      ((height - margin.top - margin.bottom) * (high - Math.min(high, Math.max(low, value)))) / (high - low);
    const beyond = values.some((value) => value < low || value > high);
    const ticks = [0, 0.25, 0.5, 0.75, 1, -0.5].filter((tick) => tick >= low && tick <= high);
    const path = (points: readonly (readonly [number, number])[]) =>
      points.map(([n, value]) => `${x(n).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const known = ({ points }: Line) =>
      points.flatMap(({ n, value }) => (value.mean === null ? [] : [{ n, mean: value.mean, sd: value.sd ?? 0 }]));
    const title = `${quantities[this.quantity]} over the number of features taken out, for ${lines.map(({ name }) => name).join(", ")}`;
    return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label=${title}>
      ${ticks.map(
        (
          tick,
        ) => svg`<line class=${tick === 0 ? "zero" : "grid"} x1=${margin.left} x2=${width - margin.right} y1=${y(tick)} y2=${y(tick)}></line>
          <text x=${margin.left - 6} y=${y(tick) + 4} text-anchor="end">${tick}</text>`,
      )}
      ${ns.map((n) => svg`<text x=${x(n)} y=${height - margin.bottom + 16} text-anchor="middle">${n}</text>`)}
      <text x=${(width + margin.left) / 2} y=${height - 2} text-anchor="middle">features taken out, by effect${beyond ? ` (what is below ${significant(low)} or above ${significant(high)} is drawn at the edge)` : ""}</text>
      ${lines.map((line) => {
        const points = known(line);
        const band = [
          ...points.map(({ n, mean, sd }) => [n, mean + sd] as const),
          ...points.map(({ n, mean, sd }) => [n, mean - sd] as const).reverse(),
        ];
        return svg`<g>
          ${line.stroke === "dashed" ? nothing : svg`<polygon points=${path(band)} fill=${line.color} opacity="0.15"></polygon>`}
          <polyline points=${path(points.map(({ n, mean }) => [n, mean]))} stroke=${line.color} stroke-width=${line.own ? 3 : 1.5} stroke-dasharray=${strokes[line.stroke]}></polyline>
          ${
            line.stroke === "dashed"
              ? nothing
              : points.map(
                  ({ n, mean, sd }) => svg`<circle cx=${x(n)} cy=${y(mean)} r=${line.own ? 4 : 3} fill=${line.color}>
              <title>${line.name}, n = ${n}: ${mean.toFixed(3)} ± ${sd.toFixed(3)}</title></circle>`,
                )
          }
        </g>`;
      })}
    </svg>`;
  }
}
customElements.define("sae-scr-chart", SaeScrChart);

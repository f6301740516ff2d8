// One chart of a training quantity over tokens (uPlot): a line a member, the mean thicker, in the theme's colours; above it what every line has at the pointer, or at its end.
import { css, html, LitElement, nothing, type PropertyValues, unsafeCSS } from "lit";
import uPlot from "uplot";
import uPlotCss from "uplot/dist/uPlot.min.css";
import { count, percent, significant } from "../components/numbers.ts";
import { palette } from "../components/style.ts";
import { quantityMark, rangeOfOne, tokensMark } from "./axis.ts";
import { memberMean, type Quantity, type Training } from "./series.ts";

const sync = uPlot.sync("run");
const hues = ["blue", "purple", "green", "yellow", "red", "orange"] as const;
const hueOf = (i: number) => `--vscode-charts-${hues[i % hues.length]!}`;
/** A line whose colour another has already: it is dashed. */
const repeats = (i: number) => i >= hues.length;

/** A value of a quantity as people read it: shares in percent. */
const shown = (quantity: Quantity, value: number | null) => (quantity === "dead" ? percent(value) : significant(value));

/** Whose value stands for several members: the mean's, or boosting's last member's, which learns what those before it left. */
function whoseValue(quantity: Quantity, together: boolean | undefined, member: number): string {
  if (together) return "mean of members";
  if (quantity === "l0" || quantity === "dead") return `for member ${member}`;
  return `of what is left for member ${member}`;
}

export class SaeChart extends LitElement {
  static override properties = {
    training: { attribute: false },
    quantity: { type: String },
    title: { type: String },
    version: { type: Number },
    at: { state: true },
  };
  declare training: Training | undefined;
  declare quantity: Quantity;
  declare title: string;
  /** Counts up with every change of the training. */
  declare version: number;
  /** The point that is under the pointer, in this chart or another of the run. */
  declare at: number | null;
  #plot: uPlot | undefined;
  #members = "";
  readonly #observer = new ResizeObserver(() => this.#resize());
  /** A theme is the variables on the root; what is drawn has the old ones. */
  readonly #themes = new MutationObserver(() => {
    this.#members = "";
    this.requestUpdate();
  });

  constructor() {
    super();
    this.at = null;
  }

  static override styles = [
    unsafeCSS(uPlotCss),
    palette,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      h3 {
        font-size: 12px;
        font-weight: 600;
        margin: 0 0 2px;
        display: flex;
        justify-content: space-between;
      }
      .last {
        font-weight: normal;
        font-variant-numeric: tabular-nums;
        color: var(--dim);
      }
      /* Columns, whose number hangs on the width alone: a value that grows moves no other. */
      .values {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(110px, 1fr));
        line-height: 1.5;
        font-size: 11px;
        font-variant-numeric: tabular-nums;
        color: var(--dim);
      }
      .values span {
        overflow: hidden;
        white-space: nowrap;
        text-overflow: ellipsis;
      }
      .values i {
        display: inline-block;
        width: 9px;
        height: 2px;
        margin-right: 4px;
        vertical-align: middle;
        background: currentColor;
      }
      .values i.dashed {
        background: repeating-linear-gradient(to right, currentColor 0 4px, transparent 4px 6px);
      }
      .plot {
        height: 170px;
      }
      .u-legend {
        display: none;
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#observer.observe(this);
    this.#themes.observe(document.documentElement, { attributeFilter: ["style"] });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#observer.disconnect();
    this.#themes.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  protected override updated(changed: PropertyValues<this>): void {
    const { training } = this;
    if (!training) return;
    const members = [...training.values.keys()].sort((a, b) => a - b);
    const key = `${training.stage}:${members.join()}`;
    const columns = members.map((member) => training.values.get(member)![this.quantity]);
    const mean = training.together ? [memberMean(training, this.quantity)] : [];
    const data = [training.tokens, ...columns, ...mean] as uPlot.AlignedData;
    if (key !== this.#members || changed.has("quantity") || !this.#plot) {
      this.#members = key;
      this.#make(members, training.together, data);
    } else if (changed.has("version") || changed.has("training")) this.#plot.setData(data);
  }

  #make(members: number[], together: boolean, data: uPlot.AlignedData): void {
    this.#plot?.destroy();
    const style = getComputedStyle(this);
    const color = (name: string) => style.getPropertyValue(name).trim() || "gray";
    const text = style.getPropertyValue("--vscode-descriptionForeground").trim() || "gray";
    const foreground = style.getPropertyValue("--vscode-foreground").trim() || "gray";
    const grid = { stroke: `color-mix(in srgb, ${foreground} 14%, transparent)`, width: 1 };
    const axis = { stroke: text, grid, ticks: grid, font: "11px sans-serif" };
    const place = this.renderRoot.querySelector<HTMLElement>(".plot")!;
    this.#plot = new uPlot(
      {
        width: Math.max(120, place.clientWidth),
        height: 170,
        cursor: { sync: { key: sync.key } },
        legend: { show: false },
        scales: {
          x: { time: false },
          y: {
            range: (_, low, high) =>
              low === null ? [null, null] : low === high ? rangeOfOne(low) : uPlot.rangeNum(low, high, 0.1, true),
          },
        },
        axes: [
          {
            ...axis,
            values: (_, values) => values.map(tokensMark),
          },
          { ...axis, size: 58, values: (_, values) => values.map((value) => quantityMark(this.quantity, value)) },
        ],
        series: [
          { label: "tokens" },
          ...members.map((member, i) => ({
            label: `member ${member}`,
            stroke: color(hueOf(i)),
            ...(repeats(i) && { dash: [6, 3] }),
            width: members.length === 1 ? 2 : 1,
            points: { show: false },
            spanGaps: true,
          })),
          ...(together
            ? [{ label: "mean", stroke: foreground, width: 2.5, points: { show: false }, spanGaps: true }]
            : []),
        ],
        hooks: {
          setCursor: [
            (plot) => {
              this.at = plot.cursor.idx ?? null;
            },
          ],
        },
      },
      data,
      place,
    );
  }

  #resize(): void {
    const place = this.renderRoot.querySelector<HTMLElement>(".plot");
    if (this.#plot && place && place.clientWidth > 0) this.#plot.setSize({ width: place.clientWidth, height: 170 });
  }

  override render() {
    const { training, quantity, title, at } = this;
    const members = [...(training?.values ?? [])].sort(([a], [b]) => a - b);
    const lines = members.map(([member, columns], i) => ({
      name: `member ${member}`,
      color: hueOf(i),
      dashed: repeats(i),
      values: columns[quantity],
    }));
    if (training?.together)
      lines.push({ name: "mean", color: "--vscode-foreground", dashed: false, values: memberMean(training, quantity) });
    const valueHere = (values: (number | null)[]) =>
      shown(quantity, (at === null ? values.findLast((value) => value !== null) : values[at]) ?? null);
    const main = lines.at(-1);
    const last = main ? valueHere(main.values) : "–";
    const place = at === null ? undefined : training?.tokens[at];
    const whose = lines.length > 1 ? ` ${whoseValue(quantity, training?.together, members.at(-1)![0])}` : "";
    return html`<h3>
        <span>${title}</span><span class="last">${place === undefined ? `${last}${whose}` : html`at ${count(place)} tokens${lines.length > 1 ? "" : `: ${last}`}`}</span>
      </h3>
      ${
        lines.length > 1
          ? html`<div class="values">${lines.map(({ name, color, dashed, values }) => html`<span><i class=${dashed ? "dashed" : ""} style=${`color: var(${color})`}></i>${name} ${valueHere(values)}</span>`)}</div>`
          : nothing
      }
      <div class="plot" role="img" aria-label=${`${title} over tokens; last value ${last}${whose}`}></div>`;
  }
}
customElements.define("sae-chart", SaeChart);

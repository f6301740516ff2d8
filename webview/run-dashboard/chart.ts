// One chart of a training quantity over tokens (uPlot): a line a member, the mean thicker, in the theme's colours, the last value written beside the title.
import { css, html, LitElement, type PropertyValues, unsafeCSS } from "lit";
import uPlot from "uplot";
import uPlotCss from "uplot/dist/uPlot.min.css";
import { significant } from "../components/numbers.ts";
import { palette } from "../components/style.ts";
import { memberMean, type Quantity, type Training } from "./series.ts";

const sync = uPlot.sync("run");
const hues = ["blue", "purple", "green", "yellow", "red", "orange"] as const;

export class SaeChart extends LitElement {
  static override properties = {
    training: { attribute: false },
    quantity: { type: String },
    title: { type: String },
    version: { type: Number },
  };
  declare training: Training | undefined;
  declare quantity: Quantity;
  declare title: string;
  /** Counts up with every change of the training. */
  declare version: number;
  #plot: uPlot | undefined;
  #members = "";
  readonly #observer = new ResizeObserver(() => this.#resize());
  /** A theme is the variables on the root; what is drawn has the old ones. */
  readonly #themes = new MutationObserver(() => {
    this.#members = "";
    this.requestUpdate();
  });

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
    const single = members.length === 1;
    const data = [
      training.tokens,
      ...columns,
      ...(single ? [] : [memberMean(training, this.quantity)]),
    ] as uPlot.AlignedData;
    if (key !== this.#members || changed.has("quantity") || !this.#plot) {
      this.#members = key;
      this.#make(members, single, data);
    } else this.#plot.setData(data);
  }

  #make(members: number[], single: boolean, data: uPlot.AlignedData): void {
    this.#plot?.destroy();
    const style = getComputedStyle(this);
    const color = (name: string) => style.getPropertyValue(`--vscode-charts-${name}`).trim() || "gray";
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
        scales: { x: { time: false } },
        axes: [
          {
            ...axis,
            values: (_, values) =>
              values.map((value) =>
                value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value),
              ),
          },
          { ...axis, size: 58, values: (_, values) => values.map((value) => significant(value)) },
        ],
        series: [
          { label: "tokens" },
          ...members.map((member, i) => ({
            label: `member ${member}`,
            stroke: color(hues[i % hues.length]!),
            width: single ? 2 : 1,
            points: { show: false },
            spanGaps: true,
          })),
          ...(single
            ? []
            : [
                {
                  label: "mean",
                  stroke: foreground,
                  width: 2.5,
                  points: { show: false },
                  spanGaps: true,
                },
              ]),
        ],
        hooks: {
          setCursor: [
            (plot) =>
              this.dispatchEvent(
                new CustomEvent("hover", { detail: plot.cursor.idx ?? null, bubbles: true, composed: true }),
              ),
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

  /** The drawn chart, for the PNG. */
  get canvas(): HTMLCanvasElement | null {
    return this.renderRoot.querySelector("canvas");
  }

  override render() {
    const values = this.training ? memberMean(this.training, this.quantity) : [];
    const last = values.findLast((value) => value !== null) ?? null;
    return html`<h3><span>${this.title}</span><span class="last">${significant(last)}</span></h3>
      <div class="plot" role="img" aria-label=${`${this.title} over tokens; last value ${significant(last)}`}></div>`;
  }
}
customElements.define("sae-chart", SaeChart);

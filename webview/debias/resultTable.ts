// Step four: each state of the classifier as a row of bars: worst group, overall, and the four cells.
import { css, html, LitElement, nothing } from "lit";
import type { DebiasState, DebiasVerdict, GroupScores } from "../../src/protocol/debias.ts";
import type { Spread } from "../../src/protocol/labelledData.ts";
import { percent } from "../components/numbers.ts";
import { controls, forms, palette } from "../components/style.ts";
import { worstCell } from "./bias.ts";

interface Row {
  readonly name: string;
  readonly scores: GroupScores | null;
  readonly kind: "state" | "flags" | "control";
  readonly stale?: boolean;
  /** What the row was before the last change of flags. */
  readonly before?: GroupScores | undefined;
}

export class SaeResultTable extends LitElement {
  static override properties = {
    debias: { attribute: false },
    verdict: { attribute: false },
    previous: { attribute: false },
  };
  declare debias: DebiasState | undefined;
  declare verdict: DebiasVerdict | undefined;
  /** The verdict before the last change of flags. */
  declare previous: DebiasVerdict | undefined;

  static override styles = [
    palette,
    controls,
    forms,
    css`
      .scroll {
        overflow-x: auto;
      }
      table {
        width: 100%;
        min-width: 400px;
        table-layout: fixed;
      }
      th,
      td {
        padding: 4px 6px 4px 0;
        vertical-align: top;
        overflow-wrap: anywhere;
      }
      th[scope="row"],
      thead td {
        position: sticky;
        left: 0;
        z-index: 1;
        background: var(--vscode-editor-background);
      }
      thead th {
        color: var(--dim);
        font-size: 11px;
        vertical-align: bottom;
      }
      tbody tr {
        border-top: 1px solid var(--hairline);
      }
      thead td {
        width: 23%;
      }
      tr.flags th {
        font-weight: 600;
      }
      tr.control th {
        color: var(--dim);
      }
      /* It belongs to the row above. */
      tbody tr.again {
        border-top: none;
      }
      tr.again th {
        padding-left: 12px;
      }
      tr.stale td,
      tr.stale th {
        font-style: italic;
      }
      .bar {
        height: 5px;
        margin-top: 2px;
        background: var(--track);
        position: relative;
      }
      .bar .fill {
        height: 100%;
        background: var(--activation);
      }
      tr.flags .bar .fill {
        background: var(--flag);
      }
      tr.control .bar .fill {
        background: var(--vscode-charts-lines, var(--dim));
      }
      .bar .sd {
        position: absolute;
        top: 1px;
        height: 3px;
        opacity: 0.7;
        background: var(--vscode-foreground);
      }
      .worst {
        font-weight: 600;
        text-decoration: underline;
        text-underline-offset: 2px;
      }
      .change {
        font-size: 11px;
        white-space: nowrap;
      }
    `,
  ];

  override render() {
    const { debias, verdict } = this;
    if (!debias || !verdict) return nothing;
    const { retrained, flags } = verdict;
    const stale = retrained !== null && retrained.flags.join() !== flags.join();
    const n = (count: number) => `${count} ${count === 1 ? "feature" : "features"}`;
    const rows: Row[] = [
      { name: "biased probe", scores: debias.base, kind: "state" },
      {
        name: `${n(flags.length)} flagged, removed`,
        scores: verdict.ablated,
        kind: "flags",
        before: this.previous?.ablated,
      },
      {
        name: retrained && stale ? `… retrained, without ${n(retrained.flags.length)} (old flags)` : "… and retrained",
        scores: retrained?.scores ?? null,
        kind: "flags",
        stale,
      },
      { name: "oracle: balanced data", scores: debias.oracle, kind: "state" },
      { name: `${n(flags.length)} at random`, scores: verdict.random, kind: "control" },
      ...(retrained ? [{ name: "… and retrained", scores: retrained.random, kind: "control" as const, stale }] : []),
      { name: "mean difference projected out", scores: debias.mean_difference, kind: "control" },
      { name: "… and retrained", scores: debias.mean_difference_retrained, kind: "control" },
    ];
    return html`<div class="scroll"><table aria-label="Accuracy of each state of the classifier">
      <thead><tr><td></td><th scope="col" title="The worst cell of each seed, their mean: it may lie below every cell's">worst group</th><th scope="col">overall</th>
        ${debias.cellNames.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => this.#row(row))}</tbody>
    </table></div>`;
  }

  #row({ name, scores, kind, stale, before }: Row) {
    const worst = scores ? worstCell(scores.cells.map(({ mean }) => mean)) : -1;
    return html`<tr class=${`${kind}${name.startsWith("…") ? " again" : ""}${stale ? " stale" : ""}`}>
      <th scope="row">${name}</th>
      ${
        scores
          ? html`${this.#cell(scores.worst_group, before?.worst_group)}${this.#cell(scores.accuracy, before?.accuracy)}
            ${scores.cells.map((cell, at) => this.#cell(cell, undefined, at === worst))}`
          : html`<td colspan="6" class="dim">not yet: Retrain</td>`
      }
    </tr>`;
  }

  #cell({ mean, sd }: Spread, before?: Spread, worst = false) {
    const [from, to] = [Math.max(0, (mean ?? 0) - (sd ?? 0)), Math.min(1, (mean ?? 0) + (sd ?? 0))];
    const change = mean !== null && before && before.mean !== null ? 100 * (mean - before.mean) : 0;
    const moved = Math.abs(change) >= 0.05;
    return html`<td title=${sd === null ? "" : `± ${percent(sd)} over the seeds`}>
      <span class=${worst ? "worst" : ""}>${percent(mean)}</span>
      <div class="bar" aria-hidden="true"><div class="fill" style=${`width: ${100 * (mean ?? 0)}%`}></div>
        ${sd === null ? nothing : html`<div class="sd" style=${`left: ${100 * from}%; width: ${100 * (to - from)}%`}></div>`}</div>
      ${moved ? html`<span class="change">${change > 0 ? "▲" : "▼"} ${Math.abs(change).toFixed(1)}</span>` : nothing}
    </td>`;
  }
}
customElements.define("sae-result-table", SaeResultTable);

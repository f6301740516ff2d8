// The table of methods and metrics: the paper's columns first, the best of a column bold, a dash with its reason where there is no number.
import { css, html, LitElement } from "lit";
import type { ReportTable } from "../../src/protocol/reportTable.ts";
import { column as columnWords } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";

export class SaeReportTable extends LitElement {
  static override properties = { table: { attribute: false }, first: { type: String }, all: { state: true } };
  declare table: ReportTable;
  /** What a row is. */
  declare first: string;
  declare all: boolean;

  constructor() {
    super();
    this.first = "method";
    this.all = false;
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: block;
      }
      /* The table fades where it goes on, whatever is behind it; at its end there is room for that (last-child). */
      .scroll {
        --hover: var(--vscode-list-hoverBackground, transparent);
        overflow-x: auto;
        mask-image: linear-gradient(to left, transparent, black 24px);
      }
      table {
        border-collapse: separate;
        border-spacing: 0;
        font-variant-numeric: tabular-nums;
      }
      /* What a row is stays in view. */
      th:first-child {
        position: sticky;
        left: 0;
        background: var(--vscode-editor-background);
      }
      th,
      td {
        padding: 3px 14px 3px 0;
        text-align: right;
        border-bottom: 1px solid var(--hairline);
        white-space: nowrap;
      }
      th {
        color: var(--dim);
        font-weight: normal;
      }
      th:first-child {
        text-align: left;
      }
      th:last-child,
      td:last-child {
        padding-right: 24px;
      }
      tbody th {
        color: inherit;
      }
      tbody tr:hover,
      tbody tr:hover th:first-child {
        background-image: linear-gradient(var(--hover) 0 0);
      }
      .more {
        margin-top: 8px;
        margin-left: -5px;
      }
      .best {
        font-weight: 700;
      }
      p {
        margin: 0 0 6px;
      }
      .hidden {
        position: absolute;
        clip-path: inset(50%);
      }
    `,
  ];

  override render() {
    const { over, columns, rows } = this.table;
    const best = columns.map(({ better }, i) => {
      const values = rows.flatMap((row) => row.cells[i]?.value ?? []);
      if (better === null || values.length < 2) return null;
      return better === "higher" ? Math.max(...values) : Math.min(...values);
    });
    const shown = columns
      .map((column, i) => ({ ...column, i }))
      .filter(({ paper, i }) => (paper || this.all) && rows.some((row) => row.cells[i]?.value !== null));
    const words = columns.map((_, i) => columnWords(rows.map((row) => row.cells[i]!.value)));
    return html`<p class="dim">On held-out activations, special tokens left out. ${over} The best of a column is bold; ↑ higher and ↓ lower is better.</p>
      <div class="scroll" role="region" aria-label="Metrics" tabindex="0"><table>
        <caption class="hidden">Metrics by ${this.first}</caption>
        <thead>
          <tr>
            <th scope="col">${this.first}</th>
            ${shown.map(({ title, better, about }) => html`<th scope="col" title=${`${about} ${better ? `${better === "higher" ? "Higher" : "Lower"} is better.` : "Neither end is better as such."}`}>${title}${better === "higher" ? " ↑" : better === "lower" ? " ↓" : ""}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row, at) => html`<tr>
              <th scope="row">${row.label}</th>
              ${shown.map(({ i }) => {
                const cell = row.cells[i]!;
                return html`<td class=${cell.value !== null && cell.value === best[i] ? "best" : ""} title=${cell.reason}>${words[i]![at]}</td>`;
              })}
            </tr>`,
          )}
        </tbody>
      </table></div>
      <button class="plain link more" @click=${() => {
        this.all = !this.all;
      }}>${this.all ? "The paper's columns only" : "All metrics"}</button>`;
  }
}
customElements.define("sae-report-table", SaeReportTable);

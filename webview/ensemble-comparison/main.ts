// Ensembles side by side: what they are, the metrics of their reports, and how many features of each are found in the others.
import { css, html, LitElement, nothing } from "lit";
import { type Comparison, comparisonHost } from "../../src/protocol/ensembleComparison.ts";
import { request } from "../../src/protocol/rpc.ts";
import { connectToHost } from "../components/host.ts";
import { count } from "../components/numbers.ts";
import { controls, page, palette } from "../components/style.ts";
import "../run-dashboard/reportTable.ts";

const connection = connectToHost();

class SaeEnsembleComparison extends LitElement {
  static override properties = { comparison: { state: true }, error: { state: true } };
  declare comparison: Comparison | undefined;
  declare error: string;

  constructor() {
    super();
    this.error = "";
  }

  static override styles = [
    palette,
    page,
    controls,
    css`
      :host {
        overflow: auto;
      }
      main {
        padding: 12px 16px 32px;
      }
      h1 {
        font-size: 1.1em;
        font-weight: 600;
        margin: 0 0 12px;
      }
      h2 {
        font-size: 1em;
        font-weight: 600;
        margin: 24px 0 6px;
      }
      .scroll {
        overflow-x: auto;
      }
      table {
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 3px 16px 3px 0;
        text-align: left;
        border-bottom: 1px solid var(--hairline);
        white-space: nowrap;
      }
      th {
        font-weight: normal;
      }
      thead th {
        color: var(--dim);
      }
      td.number {
        text-align: right;
      }
      p {
        margin: 0 0 6px;
        max-width: 80ch;
      }
      .error {
        margin: 0;
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    void request(connection, comparisonHost, "ready", {}, { timeout: 300_000 }).then(
      (comparison) => {
        this.comparison = comparison;
      },
      (error: Error) => {
        this.error = error.message;
      },
    );
  }

  override render() {
    if (this.error)
      return html`<main><h1>Ensembles side by side</h1><p class="error" role="alert">${this.error}</p></main>`;
    const { comparison } = this;
    if (!comparison)
      return html`<main><h1>Ensembles side by side</h1><p class="dim" role="status">Reading the ensembles and matching their features…</p></main>`;
    const { ensembles, table } = comparison;
    return html`<main>
      <h1>${ensembles.length} ensembles side by side</h1>
      <div class="scroll">
        <table>
          <thead><tr><th scope="col">ensemble</th><th scope="col">method</th><th scope="col">seed set</th><th scope="col">features</th><th scope="col">hook</th><th scope="col" title="Dimensions of an activation">d_in</th></tr></thead>
          <tbody>
            ${ensembles.map(
              (ensemble) => html`<tr>
                <th scope="row"><button class="plain link" title="Browse its features" @click=${() => void request(connection, comparisonHost, "browse", { ensemble: ensemble.folder })}>${ensemble.label}</button></th>
                <td>${ensemble.method}${ensemble.members > 1 ? ` of ${ensemble.members}` : ""}</td>
                <td class="number">${ensemble.seedSet ?? "–"}</td>
                <td class="number">${count(ensemble.features)}</td>
                <td>${ensemble.hook}</td>
                <td class="number">${count(ensemble.d_in)}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <h2>Metrics</h2>
      <sae-report-table .table=${table} first="ensemble"></sae-report-table>
      ${this.#matches(comparison)}
    </main>`;
  }

  #matches({ ensembles, matches }: Comparison) {
    const at = (of: number, inside: number) => matches.find((match) => match.of === of && match.in === inside);
    const cell = (of: number, inside: number) => {
      const match = at(of, inside);
      if (!match) return html`<td></td>`;
      if (match.found === null) return html`<td class="number" title=${match.reason}>–</td>`;
      const percent = `${(100 * match.found).toFixed(1)}%`;
      return html`<td class="number">${percent} <span class="dim">(${match.meanCosine?.toFixed(3)})</span></td>`;
    };
    const reasons = [...new Set(matches.map(({ reason }) => reason).filter(Boolean))];
    return html`<h2>Features found in each other</h2>
      <p class="dim">
        Share of the row's features that have a decoder cosine of at least 0.7 with a feature of the column's; in
        parentheses the mean of the largest cosines.
      </p>
      <div class="scroll">
        <table>
          <thead><tr><th scope="col">features of</th>${ensembles.map(({ label }) => html`<th scope="col">in ${label}</th>`)}</tr></thead>
          <tbody>
            ${ensembles.map(({ label }, of) => html`<tr><th scope="row">${label}</th>${ensembles.map((_, inside) => cell(of, inside))}</tr>`)}
          </tbody>
        </table>
      </div>
      ${reasons.length > 0 ? html`<p class="dim">–: ${reasons.join("; ")}</p>` : nothing}`;
  }
}
customElements.define("sae-ensemble-comparison", SaeEnsembleComparison);

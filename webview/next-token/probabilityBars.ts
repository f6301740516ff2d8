// The next-token distribution as paired bars: the original's above, the changed one's below; a click asks what pushes a token.
import { css, html, LitElement, nothing } from "lit";
import type { ShownToken } from "../../src/protocol/inspection.ts";
import { controls, palette } from "../components/style.ts";
import { probability } from "./probability.ts";
import "../components/token.ts";

export class SaeProbabilityBars extends LitElement {
  static override properties = {
    tokens: { attribute: false },
    changed: { type: Boolean },
    chosen: { type: Number },
  };
  declare tokens: readonly ShownToken[];
  /** Whether there is a second distribution to show. */
  declare changed: boolean;
  declare chosen: number | undefined;

  constructor() {
    super();
    this.tokens = [];
    this.changed = false;
  }

  static override styles = [
    palette,
    controls,
    css`
      table {
        border-collapse: collapse;
        width: 100%;
      }
      th {
        font-weight: normal;
        color: var(--dim);
        text-align: right;
        white-space: nowrap;
        padding: 0 8px 4px;
      }
      thead td {
        border: none;
      }
      th:first-child {
        text-align: left;
        padding-left: 0;
      }
      .bars {
        width: 60%;
      }
      td {
        padding: 2px 8px;
        border-top: 1px solid var(--hairline);
      }
      td:first-child {
        padding-left: 0;
        white-space: nowrap;
      }
      .number {
        text-align: right;
        white-space: nowrap;
        font-variant-numeric: tabular-nums;
      }
      .bar {
        height: 6px;
        min-width: 1px;
        border-radius: 1px;
        margin: 1px 0;
        background: var(--activation);
      }
      .bar.after {
        background: var(--negative);
      }
      .of::before {
        content: "";
        display: inline-block;
        width: 8px;
        height: 8px;
        border-radius: 1px;
        margin-right: 5px;
        background: var(--activation);
      }
      .of.after::before {
        background: var(--negative);
      }
      tr.chosen td {
        background: var(--vscode-list-inactiveSelectionBackground);
      }
      /* In high contrast there is no background to select with. */
      tr.chosen {
        outline: 2px solid var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -2px;
      }
      /* Narrow: the bars have a line of their own below token and numbers. */
      @container panel (max-width: 460px) {
        tr {
          display: grid;
          grid-template-columns: 1fr 74px 74px;
          align-items: end;
        }
        tbody tr {
          border-top: 1px solid var(--hairline);
        }
        th,
        td {
          padding: 2px 0;
          border-top: none;
        }
        tr.chosen {
          background: var(--vscode-list-inactiveSelectionBackground);
        }
        tr.chosen td {
          background: none;
        }
        td:first-child {
          min-width: 0;
          overflow: hidden;
          text-overflow: ellipsis;
        }
        td.bars {
          grid-row: 2;
          grid-column: 1 / -1;
          width: auto;
        }
        thead td.bars {
          display: none;
        }
      }
      @media (forced-colors: active) {
        .bar {
          border: 1px solid Highlight;
        }
      }
    `,
  ];

  override render() {
    const most = Math.max(1e-9, ...this.tokens.flatMap(({ original, changed }) => [original, changed]));
    const bar = (value: number, after: boolean) =>
      html`<div class=${`bar ${after ? "after" : ""}`} style=${`width: ${(100 * value) / most}%`}></div>`;
    return html`<table>
      <thead>
        <tr>
          <th scope="col">token</th>
          <td class="bars"></td>
          <th scope="col" class="of">original</th>
          ${this.changed ? html`<th scope="col" class="of after">changed</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.tokens.map(
          (token) => html`<tr class=${token.id === this.chosen ? "chosen" : ""}>
            <td>
              <button
                class="plain"
                title="Which features push this token?"
                aria-pressed=${token.id === this.chosen ? "true" : "false"}
                @click=${() => this.dispatchEvent(new CustomEvent("choose", { detail: { token } }))}
              >
                <sae-token .text=${token.text}></sae-token>
              </button>
            </td>
            <td class="bars" aria-hidden="true">${bar(token.original, false)}${this.changed ? bar(token.changed, true) : nothing}</td>
            <td class="number">${probability(token.original)}</td>
            ${this.changed ? html`<td class="number">${probability(token.changed)}</td>` : nothing}
          </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("sae-probability-bars", SaeProbabilityBars);

// Step two: what the biased probe gets right, cell by cell, with the worst in words.
import { css, html, LitElement, nothing } from "lit";
import type { DebiasState } from "../../src/protocol/debias.ts";
import { count, percent } from "../components/numbers.ts";
import { forms, palette } from "../components/style.ts";

export class SaeBias extends LitElement {
  static override properties = { debias: { attribute: false } };
  declare debias: DebiasState | undefined;

  static override styles = [
    palette,
    forms,
    css`
      p {
        margin: 8px 0;
      }
      .scroll {
        overflow-x: auto;
      }
      .worst-words {
        font-size: 1.15em;
      }
      th {
        padding: 3px 12px 3px 0;
      }
      td {
        padding: 6px 12px;
        min-width: 110px;
        border: 1px solid var(--hairline);
      }
      td.corner {
        border: none;
      }
      thead th {
        padding: 3px 12px;
      }
      td .value {
        font-size: 1.2em;
      }
      td .bar {
        height: 4px;
        margin-top: 3px;
        background: var(--track);
      }
      td .bar div {
        height: 100%;
        background: var(--activation);
      }
      td.worst {
        box-shadow: inset 0 0 0 2px var(--vscode-errorForeground);
      }
      @media (max-width: 400px) {
        th,
        thead th {
          padding: 3px 8px 3px 0;
        }
        td {
          min-width: 0;
          padding: 4px 8px;
        }
      }
      .dim {
        color: var(--dim);
      }
      .note {
        border-left: 3px solid var(--flag);
        padding-left: 8px;
      }
    `,
  ];

  override render() {
    const { debias } = this;
    if (!debias) return nothing;
    const { choice, base, cellNames, room, attributeAccuracy, warnings, perCell, cut } = debias;
    const means = base.cells.map(({ mean }) => mean);
    const worst = worstCell(means);
    const side = (values: readonly string[]) => values.join(", ");
    const { sd } = base.cells[worst]!;
    const apart = (base.worst_group.mean ?? 0) < (means[worst] ?? 0) - 0.0005;
    const cell = (at: number) => {
      const { mean, sd } = base.cells[at]!;
      return html`<td class=${at === worst ? "worst" : ""} title=${sd === null ? "" : `± ${percent(sd)} over the seeds`}>
        <span class="value">${percent(mean)}</span> <span class="dim">right${at === worst ? ", the worst" : ""}</span>
        <div class="bar" aria-hidden="true"><div style=${`width: ${100 * (mean ?? 0)}%`}></div></div>
      </td>`;
    };
    return html`
      <p class="worst-words"><strong>${cellNames[worst]!.replace(" · ", " who is ")}: ${percent(means[worst]!)}${sd === null ? "" : ` ± ${percent(sd)}`} right.</strong>
        ${
          !room.enough
            ? "The worst of the four."
            : worst === 1 || worst === 2
              ? learntWords(debias, worst)
              : "It was trained on such texts: something else than the bias is hard about them."
        }</p>
      <div class="scroll" role="region" aria-label="Accuracy by cell" tabindex="0"><table aria-label="Accuracy of the biased probe by cell">
        <thead><tr><td class="corner"></td><th scope="col">${side(choice.attribute.positive)}</th><th scope="col">${side(choice.attribute.negative)}</th></tr></thead>
        <tbody>
          <tr><th scope="row">${side(choice.label.positive)}</th>${cell(0)}${cell(1)}</tr>
          <tr><th scope="row">${side(choice.label.negative)}</th>${cell(2)}${cell(3)}</tr>
        </tbody>
      </table></div>
      ${apart ? html`<p class="dim">Which cell is the worst differs between the seeds: worst group, the mean over each seed's worst, is ${percent(base.worst_group.mean)}.</p>` : nothing}
      <p class="dim">Overall ${percent(base.accuracy.mean)}; a probe of balanced data has ${percent(debias.oracle.accuracy.mean)}. A probe of ${choice.columns.attribute} is right in ${percent(attributeAccuracy.mean)}. ${perCell.train} texts a cell to train on, ${perCell.test} to test on, ${choice.seeds.length} ${choice.seeds.length === 1 ? "seed" : "seeds"}.${cut.texts > 0 ? ` ${count(cut.texts)} of ${count(cut.of)} texts fill the context of ${cut.context} tokens: what is longer was cut to it.` : ""}</p>
      ${
        room.enough
          ? nothing
          : html`<p class="note">There is no room (less than 0.001 between the biased probe and that of balanced data, with one seed at least): this data carries no bias that hurts.</p>`
      }
      ${warnings.map((warning) => html`<p class="note">${warning.charAt(0).toUpperCase()}${warning.slice(1)}.</p>`)}
    `;
  }
}
customElements.define("sae-bias", SaeBias);

/** What the probe learnt, as far as the seeds' spread and the probe of balanced data bear it out. `worst`: a cell that the biased data lacks. */
function learntWords({ base, oracle, choice }: DebiasState, worst: number): string {
  const { attribute, label } = choice.columns;
  const [{ mean, sd }, balanced] = [base.cells[worst]!, oracle.cells[worst]!];
  const most = (mean ?? 0) + (sd ?? 0);
  const comparison = `a probe of balanced data has ${percent(balanced.mean)}`;
  if (most >= (balanced.mean ?? 0) - (balanced.sd ?? 0))
    return `Whether a probe trained without such texts learnt ${attribute} instead of ${label} can't be told: ${comparison}, within the spread over the seeds.`;
  if (most >= 0.5) return `A probe trained without such texts goes by ${attribute} in part: ${comparison}.`;
  return `A probe trained without such texts learnt ${attribute} instead of ${label}.`;
}

export function worstCell(means: readonly (number | null)[]): number {
  const known = means.map((mean) => mean ?? Number.POSITIVE_INFINITY);
  return known.indexOf(Math.min(...known));
}

// Which features push a token up, which down: what ablating each does, beside direct logit attribution.
import { css, html, LitElement, nothing } from "lit";
import type { Pushing, ShownToken } from "../../src/protocol/inspection.ts";
import { significant } from "../components/numbers.ts";
import { controls, palette } from "../components/style.ts";
import { probability } from "./probability.ts";
import "../components/token.ts";

export class SaePushingFeatures extends LitElement {
  static override properties = { token: { attribute: false }, pushing: { attribute: false } };
  declare token: ShownToken | undefined;
  declare pushing: Pushing | undefined;

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
        padding: 0 8px 4px;
      }
      thead td {
        border: none;
      }
      th:first-child {
        text-align: left;
        padding-left: 0;
      }
      td {
        padding: 2px 8px;
        border-top: 1px solid var(--hairline);
        text-align: right;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      td:first-child {
        text-align: left;
        padding-left: 0;
        white-space: normal;
      }
      .group {
        padding-top: 8px;
      }
      .id {
        font-family: var(--mono);
      }
      /* Narrow: a feature's name and its button have a line of their own, its numbers the next one. */
      @container panel (max-width: 460px) {
        tr {
          display: grid;
          grid-template-columns: repeat(4, minmax(0, 1fr));
          column-gap: 6px;
          align-items: baseline;
        }
        th:first-child,
        td:first-child {
          grid-column: 1 / 4;
        }
        td.group {
          grid-column: 1 / -1;
        }
        tbody tr {
          border-top: 1px solid var(--hairline);
        }
        td:last-child:not(.group) {
          grid-area: 1 / 4;
        }
        th,
        td {
          padding: 2px 0;
          border-top: none;
          white-space: normal;
        }
      }
    `,
  ];

  override render() {
    const { token, pushing } = this;
    if (!token || !pushing) return html``;
    if (pushing.features.length === 0)
      return html`<p class="dim">No feature fires on the last token before the cursor.</p>`;
    const up = pushing.features.filter(({ measured }) => measured > 0);
    const down = pushing.features.filter(({ measured }) => measured <= 0).reverse();
    const largest = Math.max(...pushing.features.map(({ direct }) => Math.abs(direct)));
    return html`<table>
      <thead>
        <tr>
          <th scope="col">feature at the last token</th>
          <th scope="col" title="Its activation there">value</th>
          <th scope="col" title="What ablating it at the last token takes from this token's logit (less the mean over the vocabulary): its effect through all layers after the hook">effect (logits)</th>
          <th scope="col" title="The token's probability without the feature">p without</th>
          <th scope="col" title="Direct logit attribution: activation · decoder row through the final norm's weight (at attn.hook_z and mlp.hook_post through the layer's output matrix first) and the unembedding (less the mean over the vocabulary), relative to the largest here. It leaves out the layers after the hook, which may undo it, and the norms' scale.">direct (relative)</th>
          <td></td>
        </tr>
      </thead>
      ${up.length > 0 ? html`<tbody>${up.map((one) => this.#row(one, largest))}</tbody>` : html`<tbody><tr><td class="dim group" colspan="6">Nothing here pushes it up.</td></tr></tbody>`}
      ${
        down.length > 0
          ? html`<tbody class="down">
              <tr><td class="dim group" colspan="6">These push it down:</td></tr>
              ${down.map((one) => this.#row(one, largest))}
            </tbody>`
          : nothing
      }
    </table>`;
  }

  #row({ row, value, direct, measured, probability: without }: Pushing["features"][number], largest: number) {
    return html`<tr>
      <td>
        <button class="plain link id" @click=${() => this.#tell("open", row.feature)}>${row.member}/${row.index}</button>
        ${row.label || row.tokens.slice(0, 3).map(({ text }) => html`<sae-token .text=${text}></sae-token> `)}
      </td>
      <td>${significant(value)}</td>
      <td>${signed(measured)}</td>
      <td>${probability(without)}</td>
      <td>${signed(direct / (largest || 1))}</td>
      <td><button class="plain outlined" @click=${() => this.#tell("ablate", row.feature)}>ablate</button></td>
    </tr>`;
  }

  #tell(what: "open" | "ablate", feature: number): void {
    this.dispatchEvent(new CustomEvent(what, { detail: { feature } }));
  }
}
customElements.define("sae-pushing-features", SaePushingFeatures);

function signed(value: number): string {
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${significant(Math.abs(value))}`;
}

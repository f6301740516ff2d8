// Long work as a view shows it: the stage, a bar, what is left, and a button that cancels it.
import { css, html, LitElement } from "lit";
import type { ProbingProgress } from "../../src/protocol/labelledData.ts";
import { count } from "./numbers.ts";
import { controls, palette } from "./style.ts";

export class SaeLongWork extends LitElement {
  static override properties = { progress: { attribute: false }, name: { type: String } };
  declare progress: ProbingProgress | undefined;
  /** What goes on as a whole. */
  declare name: string;

  constructor() {
    super();
    this.name = "";
  }

  static override styles = [
    palette,
    controls,
    css`
      :host {
        display: block;
        margin: 10px 0;
      }
      .line {
        display: flex;
        gap: 12px;
        align-items: baseline;
        font-variant-numeric: tabular-nums;
        padding-bottom: 4px;
      }
      .line .dim {
        margin-left: auto;
      }
      .track {
        height: 4px;
        background: var(--track);
        border-radius: 2px;
        overflow: hidden;
      }
      .fill {
        height: 100%;
        background: var(--vscode-progressBar-background, var(--activation));
      }
    `,
  ];

  override render() {
    const { progress } = this;
    const share = progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
    const eta = progress?.eta ?? null;
    const left = eta === null ? "" : ` · ${eta < 90 ? `${Math.ceil(eta)} s` : `${Math.round(eta / 60)} min`} left`;
    const numbers = progress ? `${count(progress.done)} of ${count(progress.total)} ${progress.unit}${left}` : "";
    const stage = progress ? `${this.name}: ${progress.stage}` : this.name;
    return html`<div class="line">
        <span>${stage}</span><span class="dim">${numbers}</span>
        <button class="plain outlined" @click=${() => this.dispatchEvent(new CustomEvent("cancel"))}>Cancel</button>
      </div>
      <div class="track" role="progressbar" aria-label=${stage} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(share * 100)}>
        <div class="fill" style=${`width: ${100 * share}%`}></div>
      </div>`;
  }
}
customElements.define("sae-long-work", SaeLongWork);

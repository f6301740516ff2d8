// A file of tensors: what it is, and its tensors with their shapes, norms and histograms. Large tensors are read when asked for.
import { css, html, LitElement, nothing, svg } from "lit";
import { request } from "../../src/protocol/rpc.ts";
import { type TensorFileView, type TensorStatisticsView, tensorFileHost } from "../../src/protocol/tensorFile.ts";
import { connectToHost } from "../components/host.ts";
import { count, significant } from "../components/numbers.ts";
import { controls, page, palette } from "../components/style.ts";

const connection = connectToHost();
/** Bytes up to which a tensor is read without being asked for, and all of them together. */
const AT_ONCE = 64 << 20;
const ALL_AT_ONCE = 512 << 20;

type State = TensorStatisticsView | "reading" | { readonly error: string };

class SaeTensorFile extends LitElement {
  static override properties = {
    file: { state: true },
    error: { state: true },
    statistics: { state: true },
  };
  declare file: TensorFileView | undefined;
  declare error: string;
  declare statistics: ReadonlyMap<number, State>;

  constructor() {
    super();
    this.error = "";
    this.statistics = new Map();
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
      dl {
        display: grid;
        grid-template-columns: max-content minmax(0, 1fr);
        gap: 3px 16px;
        margin: 0;
      }
      dt {
        color: var(--dim);
      }
      dd {
        margin: 0;
        overflow-wrap: anywhere;
      }
      .warning {
        margin: 12px 0 0;
        padding: 6px 10px;
        border-left: 4px solid var(--flag);
        background: var(--vscode-inputValidation-warningBackground);
        max-width: 90ch;
      }
      .error {
        margin: 12px 0 0;
        max-width: 90ch;
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
        padding: 4px 16px 4px 0;
        text-align: left;
        border-bottom: 1px solid var(--hairline);
        white-space: nowrap;
        font-weight: normal;
      }
      tbody th {
        font-family: var(--mono);
      }
      thead th {
        color: var(--dim);
      }
      .number {
        text-align: right;
      }
      svg {
        display: block;
        width: 144px;
        height: 22px;
      }
      path {
        fill: var(--activation);
      }
      /* The text keeps the colour that reads on every background. */
      .bad {
        font-weight: 600;
        border-bottom: 2px solid var(--vscode-errorForeground);
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    request(connection, tensorFileHost, "ready", {}, { timeout: 300_000 }).then(
      (file) => {
        this.file = file;
        void this.#readSmall(file);
      },
      (error: Error) => {
        this.error = error.message;
      },
    );
  }

  /** One after the other: the disk is one. */
  async #readSmall(file: TensorFileView): Promise<void> {
    let total = 0;
    for (const [tensor, { bytes }] of file.tensors.entries()) {
      total += bytes;
      if (total > ALL_AT_ONCE) return;
      if (bytes <= AT_ONCE) await this.#read(tensor);
    }
  }

  async #read(tensor: number): Promise<void> {
    const set = (state: State) => {
      this.statistics = new Map(this.statistics).set(tensor, state);
    };
    set("reading");
    await request(connection, tensorFileHost, "statistics", { tensor }, { timeout: 300_000 }).then(
      set,
      (error: Error) => set({ error: error.message }),
    );
  }

  override render() {
    const untitled = html`<h1>Tensors</h1>`;
    if (this.error)
      return html`<main>${untitled}<p class="error" role="alert">${this.error}</p>${this.#asText()}</main>`;
    const { file } = this;
    if (!file) return html`<main>${untitled}<p class="dim" role="status">Reading the file…</p></main>`;
    return html`<main>
      <h1>${file.title}</h1>
      ${file.problem ? html`<p class="error" role="alert">${file.problem}</p>${this.#asText()}` : nothing}
      <dl>${file.facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      ${file.warnings.map((warning) => html`<p class="warning">${warning}</p>`)}
      ${file.tensors.length > 0 ? this.#table(file) : nothing}
    </main>`;
  }

  #asText() {
    return html`<p><button class="plain outlined" @click=${() => void request(connection, tensorFileHost, "openAsText", {})}>Open as text</button></p>`;
  }

  #table({ tensors }: TensorFileView) {
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    return html`<h2>${count(tensors.length)} ${tensors.length === 1 ? "tensor" : "tensors"}, ${size(bytes)}</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">tensor</th>
              <th scope="col">shape</th>
              <th scope="col">dtype</th>
              <th scope="col" class="number">size</th>
              <th scope="col" class="number">norm</th>
              <th scope="col" class="number">mean</th>
              <th scope="col" class="number">min</th>
              <th scope="col">histogram</th>
              <th scope="col">max</th>
              <th scope="col">zeros</th>
            </tr>
          </thead>
          <tbody>
            ${tensors.map(
              (tensor, at) => html`<tr>
                <th scope="row">${tensor.name}</th>
                <td>${tensor.shape.length === 0 ? "scalar" : tensor.shape.map(count).join(" × ")}</td>
                <td>${tensor.dtype}</td>
                <td class="number">${size(tensor.bytes)}</td>
                ${this.#numbers(at, tensor.name)}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>`;
  }

  #numbers(at: number, name: string) {
    const state = this.statistics.get(at);
    if (state === "reading") return html`<td colspan="6" class="dim">reading…</td>`;
    if (state === undefined) {
      return html`<td colspan="6"><button class="plain link" aria-label="Read it: ${name}" @click=${() => void this.#read(at)}>Read it</button></td>`;
    }
    if ("error" in state) return html`<td colspan="6" class="dim">${state.error}</td>`;
    const { norm, mean, min, max, zeros, elements, notFinite, histogram } = state;
    const share = elements > 0 ? `${((100 * zeros) / elements).toFixed(1)}%` : "–";
    return html`<td class="number">${significant(norm)}</td>
      <td class="number">${significant(mean)}</td>
      <td class="number">${significant(min)}</td>
      <td>${bars(histogram, `${count(elements)} values from ${significant(min)} to ${significant(max)}`)}</td>
      <td>${significant(max)}</td>
      <td>${share}${notFinite > 0 ? html` <span class="bad">${count(notFinite)} not finite</span>` : nothing}</td>`;
  }
}

/** Counts on a logarithmic scale, as one shape. */
function bars(counts: readonly number[], label: string) {
  const tallest = Math.max(1, ...counts);
  const height = (n: number) => (n === 0 ? 0 : 2 + (98 * Math.log1p(n)) / Math.log1p(tallest));
  const shape = counts.map((n, i) => `M${i * 10 + 0.8} 100v${-Math.round(height(n))}h8.4V100`).join("");
  return html`<svg viewBox="0 0 ${counts.length * 10} 100" preserveAspectRatio="none" role="img" aria-label=${label}>
    <title>${label}; bars: logarithm of the count</title>${svg`<path d=${shape}></path>`}
  </svg>`;
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toPrecision(3)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

customElements.define("sae-tensor-file", SaeTensorFile);

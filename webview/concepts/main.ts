// The concept view: for each class of labelled texts the features that detect it, and how well 1, 2 and 5 of them do beside raw activations and all features. Keeps nothing but the choice of data.
import { css, html, LitElement, nothing } from "lit";
import { type ConceptsChoice, type ConceptsResult, conceptsHost, conceptsView } from "../../src/protocol/concepts.ts";
import type { LabelledData, ProbingProgress, Spread } from "../../src/protocol/labelledData.ts";
import { PROBING_PATIENCE } from "../../src/protocol/patience.ts";
import { onNotification, type Params, type RequestOptions, type Result, request } from "../../src/protocol/rpc.ts";
import { fileName } from "../components/fileName.ts";
import { connectToHost, loadViewState, saveViewState } from "../components/host.ts";
import "../components/longWork.ts";
import { messageOf } from "../components/messageOf.ts";
import { count, percent } from "../components/numbers.ts";
import { same } from "../components/same.ts";
import { controls, forms, page, palette } from "../components/style.ts";
import "../components/token.ts";
import "./classForm.ts";

type Requests = typeof conceptsHost.requests;
const connection = connectToHost();
const host = <K extends keyof Requests>(name: K, params: Params<typeof conceptsHost, K>, options?: RequestOptions) =>
  request(connection, conceptsHost, name, params, options);

class SaeConcepts extends LitElement {
  static override properties = {
    about: { state: true },
    fatal: { state: true },
    error: { state: true },
    data: { state: true },
    choice: { state: true },
    result: { state: true },
    work: { state: true },
    progress: { state: true },
    said: { state: true },
  };
  declare about: Result<typeof conceptsHost, "ready"> | undefined;
  declare fatal: string;
  declare error: string;
  declare data: LabelledData | undefined;
  declare choice: ConceptsChoice | undefined;
  declare result: ConceptsResult | undefined;
  /** What goes on, and what ends it. */
  declare work: { readonly name: string; readonly cancel: AbortController } | undefined;
  declare progress: ProbingProgress | undefined;
  declare said: string;

  constructor() {
    super();
    this.fatal = "";
    this.error = "";
    this.said = "";
  }

  static override styles = [
    palette,
    page,
    controls,
    forms,
    css`
      :host {
        overflow: auto;
      }
      main {
        padding: 10px 16px 32px;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 14px;
        align-items: baseline;
      }
      section {
        padding: 14px 0 6px;
      }
      .buttons {
        display: flex;
        gap: 8px;
        margin: 12px 0;
        align-items: center;
      }
      .scroll {
        container-type: inline-size;
      }
      table {
        width: 100%;
        table-layout: fixed;
      }
      th,
      td {
        padding: 5px 12px 5px 0;
        vertical-align: top;
        overflow-wrap: anywhere;
      }
      thead th:first-child {
        width: 120px;
      }
      thead th.accuracy {
        width: 92px;
      }
      thead th {
        color: var(--dim);
        font-size: 11px;
        vertical-align: bottom;
      }
      tbody tr {
        border-top: 1px solid var(--hairline);
      }
      .bar {
        height: 5px;
        max-width: 80px;
        margin-top: 2px;
        background: var(--track);
      }
      .bar div {
        height: 100%;
        background: var(--activation);
      }
      .raw {
        color: var(--dim);
        font-size: 11px;
      }
      .feature {
        display: block;
        text-align: left;
        white-space: nowrap;
        overflow: hidden;
        text-overflow: ellipsis;
        max-width: 100%;
        margin-left: -6px;
      }
      .feature .id {
        font-family: var(--mono);
        color: var(--vscode-textLink-foreground);
      }
      .flagged {
        color: var(--flag);
      }
      .note {
        border-left: 3px solid var(--flag);
        padding-left: 8px;
      }
      /* A class's features come below its numbers. */
      @container (max-width: 800px) {
        tr {
          display: grid;
          grid-template-columns: minmax(84px, 1.4fr) repeat(4, minmax(0, 1fr));
        }
        thead th:first-child,
        thead th.accuracy {
          width: auto;
        }
        .features {
          grid-column: 1 / -1;
        }
      }
      @container (max-width: 400px) {
        tr {
          grid-template-columns: repeat(4, minmax(0, 1fr));
        }
        th:first-child {
          grid-column: 1 / -1;
        }
      }
      p {
        margin: 6px 0;
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    onNotification(connection, conceptsView, "progress", (progress) => {
      this.progress = progress;
    });
    // Labels and flags stand beside the features.
    onNotification(connection, conceptsView, "annotationsChanged", () => {
      if (this.result) void this.#do(async () => this.#took((await host("ready", {})).result));
    });
    void this.#start();
  }

  async #start(): Promise<void> {
    const kept = loadViewState<{ choice: ConceptsChoice | null }>({ choice: null });
    try {
      this.about = await host("ready", {});
    } catch (error) {
      this.fatal = messageOf(error);
      return;
    }
    this.choice = this.about.result?.choice ?? kept.choice ?? this.about.suggested ?? undefined;
    this.#took(this.about.result);
    saveViewState({ ensemble: this.about.ensemble, choice: kept.choice });
    if (this.choice) await this.#describe(this.choice.trainFile, this.choice.testFile);
  }

  #took(result: ConceptsResult | null): void {
    if (!result) return;
    this.result = result;
    saveViewState({ ensemble: this.about?.ensemble, choice: result.choice });
  }

  async #do(work: () => Promise<void>): Promise<void> {
    this.error = "";
    try {
      await work();
    } catch (error) {
      if ((error as Error).name !== "AbortError") this.error = messageOf(error);
    }
  }

  #describe(
    trainFile: string,
    testFile: string | null,
    chosen?: ConceptsChoice["columns"],
    options: RequestOptions = { timeout: PROBING_PATIENCE },
  ): Promise<void> {
    const known = chosen ?? (this.choice?.trainFile === trainFile ? this.choice.columns : null);
    const columns = known && { ...known, attribute: "" };
    return this.#do(async () => {
      this.data = await host("describe", { trainFile, testFile, columns, attribute: false }, options);
      const { perClass = 400, seeds = [0, 1, 2] } = this.choice ?? {};
      const { text, label } = this.data.columns;
      this.choice = { trainFile, testFile, columns: { text, label }, seeds, perClass };
    });
  }

  async #pick(which: "train" | "test"): Promise<void> {
    const { file } = await host("pickFile", {}, { timeout: PROBING_PATIENCE });
    if (file === null) return;
    // A data set of the hub is fetched first.
    await this.#long("Reading", (options) =>
      which === "train" ? this.#describe(file, null, undefined, options) : this.#testOn(file, options),
    );
  }

  /** Another file to test on, or none; what was chosen stays. */
  async #testOn(testFile: string | null, options?: RequestOptions): Promise<void> {
    if (this.choice) await this.#describe(this.choice.trainFile, testFile, undefined, options);
  }

  #detect(choice: ConceptsChoice): Promise<void> {
    return this.#long("Detecting", async (options) => this.#took(await host("detect", choice, options)));
  }

  /** What takes long and can be cancelled. */
  #long(name: string, work: (options: RequestOptions) => Promise<void>): Promise<void> {
    const cancel = new AbortController();
    this.work = { name, cancel };
    this.progress = undefined;
    this.said = "";
    return this.#do(() => work({ signal: cancel.signal, timeout: PROBING_PATIENCE })).finally(() => {
      this.work = undefined;
    });
  }

  #save(): Promise<void> {
    return this.#do(async () => {
      const { file } = await host("saveReport", {}, { timeout: PROBING_PATIENCE });
      this.said = `Report saved: ${file}`;
    });
  }

  override render() {
    const { about, work } = this;
    if (this.fatal)
      return html`<main><header><h1>Concepts</h1></header><p class="error" role="alert">${this.fatal}</p></main>`;
    if (!about) return html`<main><h1 class="notice">Opening the ensemble…</h1></main>`;
    return html`<main>
      <header>
        <h1>${about.title}</h1>
        <span class="dim">${about.method}${about.members > 1 ? ` of ${about.members}` : ""} · ${about.hook}</span>
      </header>
      <section><h2>Data</h2>${this.#form()}
        ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
        ${work ? html`<sae-long-work .name=${work.name} .progress=${this.progress} @cancel=${() => work.cancel.abort()}></sae-long-work>` : nothing}
      </section>
      ${this.result ? this.#table(this.result) : nothing}
    </main>`;
  }

  /** Whether the result is of other data than what is chosen now. */
  get #earlier(): boolean {
    return this.result !== undefined && !same(this.result.choice, this.choice);
  }

  #form() {
    const { data, choice } = this;
    return html`<sae-class-form
        .data=${data}
        .choice=${choice}
        @pick=${(event: CustomEvent<"train" | "test">) => void this.#pick(event.detail)}
        @hold=${() => void this.#testOn(null)}
        @columns=${(event: CustomEvent<ConceptsChoice["columns"]>) => choice && void this.#describe(choice.trainFile, choice.testFile, event.detail)}
        @choice=${(event: CustomEvent<ConceptsChoice>) => {
          this.choice = event.detail;
        }}
      ></sae-class-form>
    <div class="buttons">
      ${data ? nothing : html`<button class="primary" ?disabled=${this.work !== undefined} @click=${() => void this.#pick("train")}>Choose Texts…</button>`}
      ${choice && data ? html`<button class=${this.result ? "plain outlined" : "primary"} ?disabled=${this.work !== undefined || data.trouble !== ""} @click=${() => void this.#detect(choice)}>Detect</button>` : nothing}
      ${this.result ? html`<button class="plain outlined" ?disabled=${this.work !== undefined || this.#earlier} @click=${() => void this.#save()}>Save Report</button>` : nothing}
      <span class="dim" role="status">${this.#earlier ? "" : this.said}</span>
    </div>`;
  }

  #table({ k, means, classes, leftOut, choice }: ConceptsResult) {
    const raw = means[0]!;
    const own = means.at(-1)!;
    const title = (n: number | null) => (n === null ? "all features" : `k = ${n}`);
    return html`<section><h2>Classes${this.#earlier ? " (earlier data)" : ""}</h2>
      ${this.#earlier ? html`<p class="note">These are of ${choice.columns.label} in ${fileName(choice.trainFile)}, with ${count(choice.perClass)} texts a class and ${seedsWords(choice.seeds)}. Detect makes them anew.</p>` : nothing}
      <p>Accuracy of telling a class from the rest by the k features that differ most (50% by chance), beside the same with ${raw.name}. Texts: to train on + to test on; tested are as many of the class as of the rest.</p>
      ${leftOut.length > 0 ? html`<p class="dim">Left out for too few texts: ${leftOut.join(", ")}.</p>` : nothing}
      <div class="scroll"><table aria-label="Accuracy of each class">
        <thead><tr><th scope="col">${choice.columns.label}</th>${k.map((n) => html`<th class="accuracy" scope="col">${title(n)}</th>`)}<th class="features" scope="col">features that differ most<br />▲ fires more in it, ▼ less</th></tr></thead>
        <tbody>
          ${classes.map(
            ({ name, texts, accuracy, features }) => html`<tr>
              <th scope="row">${name}<br /><span class="raw">${count(texts.train)} + ${count(texts.test)} texts</span><br />
                <span class="raw" title=${`${count(texts.tested)} of ${name} and as many of the others`}>tested on ${count(texts.tested)}&nbsp;+&nbsp;${count(texts.tested)}</span></th>
              ${k.map((_, at) => cell(accuracy.at(-1)![at]!, accuracy[0]![at]!))}
              <td class="features">${features.map((one) => this.#feature(name, one))}</td>
            </tr>`,
          )}
          <tr><th scope="row"><strong>mean</strong></th>${k.map((_, at) => cell(own.accuracy[at]!, raw.accuracy[at]!))}<td class="features"></td></tr>
        </tbody>
      </table></div>
    </section>`;
  }

  #feature(name: string, { row, firesMore }: ConceptsResult["classes"][number]["features"][number]) {
    const side = firesMore ? "more" : "less";
    return html`<button class="plain feature" title=${`Fires ${side} in ${name} than in the rest. Open in the feature browser`} @click=${() => void host("browse", { feature: row.feature })}>
      <span class="side" role="img" aria-label=${`fires ${side}`}>${firesMore ? "▲" : "▼"}</span>
      ${row.flagged ? html`<span class="flagged">⚑</span>` : nothing}
      <span class="id">${row.member}/${row.index}</span>
      ${row.label || row.tokens.slice(0, 4).map((token) => html`<sae-token .text=${token.text} .share=${token.strength}></sae-token> `)}
    </button>`;
  }
}
customElements.define("sae-concepts", SaeConcepts);

const seedsWords = (seeds: readonly number[]) => `${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`;

/** The ensemble's accuracy as a bar, the raw activations' below. */
function cell({ mean, sd }: Spread, raw: Spread) {
  return html`<td title=${sd === null ? "" : `± ${percent(sd)} over the seeds`}>${percent(mean)}
    <div class="bar" aria-hidden="true"><div style=${`width: ${100 * (mean ?? 0)}%`}></div></div>
    <span class="raw">raw ${percent(raw.mean)}</span></td>`;
}

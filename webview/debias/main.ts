// The debias view: data → bias → features → result, and the talk with the host. Keeps nothing but the choice of data and which feature is open.
import { css, html, LitElement, nothing } from "lit";
import {
  type DebiasChoice,
  type DebiasState,
  type DebiasVerdict,
  debiasHost,
  debiasView,
  type Suggestion,
} from "../../src/protocol/debias.ts";
import type { FeatureDetail } from "../../src/protocol/featureBrowser.ts";
import type { Columns, LabelledData, ProbingProgress } from "../../src/protocol/labelledData.ts";
import { PROBING_PATIENCE } from "../../src/protocol/patience.ts";
import { onNotification, type Params, type RequestOptions, type Result, request } from "../../src/protocol/rpc.ts";
import { fileName } from "../components/fileName.ts";
import { connectToHost, loadViewState, saveViewState } from "../components/host.ts";
import "../components/longWork.ts";
import { messageOf } from "../components/messageOf.ts";
import { percent } from "../components/numbers.ts";
import { same } from "../components/same.ts";
import { controls, forms, page, palette } from "../components/style.ts";
import { worstCell } from "./bias.ts";
import { firstPair } from "./dataForm.ts";
import "./resultTable.ts";
import "./scrChart.ts";
import "./suggestions.ts";

type Requests = typeof debiasHost.requests;
const connection = connectToHost();
const host = <K extends keyof Requests>(name: K, params: Params<typeof debiasHost, K>, options?: RequestOptions) =>
  request(connection, debiasHost, name, params, options);

/** Suggestions asked for at a time. */
const PAGE = 25;
const steps = ["data", "bias", "features", "result"] as const;
type Step = (typeof steps)[number];

class SaeDebias extends LitElement {
  static override properties = {
    about: { state: true },
    fatal: { state: true },
    error: { state: true },
    data: { state: true },
    choice: { state: true },
    editing: { state: true },
    debias: { state: true },
    verdict: { state: true },
    previous: { state: true },
    suggestions: { state: true },
    total: { state: true },
    largest: { state: true },
    open: { state: true },
    detail: { state: true },
    work: { state: true },
    progress: { state: true },
    said: { state: true },
  };
  declare about: Result<typeof debiasHost, "ready"> | undefined;
  declare fatal: string;
  /** What went wrong last, shown in the step it belongs to. */
  declare error: { readonly step: Step; readonly message: string } | undefined;
  declare data: LabelledData | undefined;
  declare choice: DebiasChoice | undefined;
  /** Whether the form is shown though something is prepared. */
  declare editing: boolean;
  declare debias: DebiasState | undefined;
  declare verdict: DebiasVerdict | undefined;
  declare previous: DebiasVerdict | undefined;
  declare suggestions: readonly Suggestion[];
  declare total: number;
  declare largest: number;
  declare open: number;
  declare detail: FeatureDetail | undefined;
  /** Long work that goes on, by its name. */
  declare work: { readonly name: string; readonly step: Step; readonly cancel: AbortController } | undefined;
  declare progress: ProbingProgress | undefined;
  /** What was done last: files written. */
  declare said: string;

  constructor() {
    super();
    this.fatal = "";
    this.editing = true;
    this.suggestions = [];
    this.total = 0;
    this.largest = 1;
    this.open = -1;
    this.said = "";
  }

  static override styles = [
    palette,
    page,
    controls,
    forms,
    css`
      main {
        height: 100%;
        display: flex;
        flex-direction: column;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 14px;
        align-items: baseline;
        padding: 10px 16px 6px;
      }
      nav ol {
        display: flex;
        flex-wrap: wrap;
        list-style: none;
        margin: 0;
        padding: 0 12px 8px;
        border-bottom: 1px solid var(--hairline);
      }
      nav li {
        display: flex;
        align-items: baseline;
      }
      nav button {
        text-align: left;
      }
      nav li + li::before {
        content: "→";
        color: var(--dim);
        padding: 0 2px;
      }
      nav button[aria-current="step"] strong {
        text-decoration: underline;
        text-underline-offset: 4px;
      }
      .columns {
        flex: 1;
        min-height: 0;
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
      }
      .columns.alone {
        grid-template-columns: minmax(0, 1fr);
      }
      .columns > div {
        overflow-y: auto;
        padding: 4px 16px 32px;
      }
      .columns > div + div {
        border-left: 1px solid var(--hairline);
      }
      section {
        padding: 14px 0 6px;
      }
      .summary {
        overflow-wrap: anywhere;
      }
      .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        margin: 10px 0;
      }
      .note {
        border-left: 3px solid var(--flag);
        padding-left: 8px;
      }
      .verdict {
        font-size: 1.1em;
        margin: 0 0 8px;
      }
      p {
        margin: 6px 0;
      }
      @media (max-width: 899px) {
        .columns {
          display: block;
          overflow-y: auto;
        }
        .columns > div {
          overflow: visible;
        }
        .columns > div + div {
          border-left: none;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    onNotification(connection, debiasView, "verdict", (verdict) => this.#judged(verdict));
    onNotification(connection, debiasView, "annotationsChanged", () => {
      if (this.debias) void this.#more(true);
    });
    onNotification(connection, debiasView, "progress", (progress) => {
      this.progress = progress;
    });
    void this.#start();
  }

  async #start(): Promise<void> {
    const kept = loadViewState<{ choice: DebiasChoice | null; open: number }>({ choice: null, open: -1 });
    try {
      this.about = await host("ready", {});
    } catch (error) {
      this.fatal = messageOf(error);
      return;
    }
    this.open = kept.open;
    this.#keep();
    const { state, suggested } = this.about;
    const choice = state?.choice ?? kept.choice ?? suggested;
    if (!choice) return;
    this.choice = choice;
    void this.#describe(choice.trainFile, choice.testFile, choice.columns, false);
    if (state) await this.#took(state);
    // It was prepared before the window was loaded anew: what took long is kept beside the ensemble.
    else if (kept.choice) await this.#prepare(kept.choice);
  }

  #keep(): void {
    saveViewState({ ensemble: this.about?.ensemble, choice: this.debias?.choice ?? null, open: this.open });
  }

  /** Runs one piece of work; what it throws is shown in its step. */
  async #do(step: Step, work: () => Promise<void>): Promise<void> {
    this.error = undefined;
    try {
      await work();
    } catch (error) {
      if ((error as Error).name !== "AbortError") this.error = { step, message: messageOf(error) };
    }
  }

  /** The same for what takes long and can be cancelled. */
  #long(step: Step, name: string, work: (options: RequestOptions) => Promise<void>): Promise<void> {
    const cancel = new AbortController();
    this.work = { name, step, cancel };
    this.progress = undefined;
    this.said = "";
    return this.#do(step, () => work({ signal: cancel.signal, timeout: PROBING_PATIENCE })).finally(() => {
      this.work = undefined;
    });
  }

  #describe(
    trainFile: string,
    testFile: string | null,
    columns: Columns | null,
    anew: boolean,
    options: RequestOptions = { timeout: PROBING_PATIENCE },
  ): Promise<void> {
    return this.#do("data", async () => {
      const data = await host("describe", { trainFile, testFile, columns, attribute: true }, options);
      this.data = data;
      if (!anew && this.choice) return;
      const same = this.choice?.columns;
      this.choice = {
        trainFile,
        testFile,
        columns: data.columns,
        label: same?.label === data.columns.label && !anew ? this.choice!.label : firstPair(data, "label"),
        attribute: firstPair(data, "attribute"),
        seeds: this.choice?.seeds ?? [0, 1, 2],
        perCell: this.choice?.perCell ?? null,
      };
    });
  }

  async #pick(which: "train" | "test"): Promise<void> {
    const { file } = await host("pickFile", {}, { timeout: PROBING_PATIENCE });
    if (file === null) return;
    // A data set of the hub is fetched first.
    await this.#long("data", "Reading", (options) =>
      which === "train" ? this.#describe(file, null, null, true, options) : this.#testOn(file, options),
    );
  }

  /** Another file to test on, or none; what was chosen stays. */
  async #testOn(testFile: string | null, options?: RequestOptions): Promise<void> {
    const { choice } = this;
    if (!choice) return;
    await this.#describe(choice.trainFile, testFile, choice.columns, false, options);
    if (!this.error) this.choice = { ...choice, testFile };
  }

  #prepare(choice: DebiasChoice): Promise<void> {
    return this.#long("data", "Preparing", async (options) => {
      await this.#took(await host("prepare", choice, options));
      this.editing = false;
    });
  }

  async #took(state: DebiasState): Promise<void> {
    this.debias = state;
    this.verdict = state.verdict;
    this.previous = undefined;
    this.editing = false;
    this.#keep();
    await this.#more(true);
    if (this.open >= 0) await this.#look(this.open);
  }

  /** More suggestions; or those that are shown, anew. */
  #more(anew = false): Promise<void> {
    return this.#do("features", async () => {
      const shown = this.suggestions.length;
      const answered = anew
        ? await host("suggestions", { offset: 0, limit: Math.min(200, Math.max(PAGE, shown)) })
        : await host("suggestions", { offset: shown, limit: PAGE });
      this.suggestions = anew ? answered.rows : [...this.suggestions, ...answered.rows];
      this.total = answered.total;
      this.largest = answered.largest;
    });
  }

  #judged(verdict: DebiasVerdict): void {
    if (!this.debias) return;
    if (verdict.flags.join() !== this.verdict?.flags.join()) this.previous = this.verdict;
    this.verdict = verdict;
    const flagged = new Set(verdict.flags);
    this.#show((feature) => flagged.has(feature));
  }

  /** Flags of the rows that are shown; what else is said of them is asked for when there is time. */
  #show(flagged: (feature: number, before: boolean) => boolean): void {
    this.suggestions = this.suggestions.map((one) => {
      const now = flagged(one.row.feature, one.row.flagged);
      return now === one.row.flagged ? one : { ...one, row: { ...one.row, flagged: now } };
    });
  }

  #flag(feature: number, flagged: boolean): Promise<void> {
    this.#show((one, before) => (one === feature ? flagged : before));
    // The host tells us what the flags do, as it tells the feature browser that there are others.
    return this.#do("features", async () => {
      try {
        await host("annotate", { features: [feature], flagged });
      } catch (error) {
        await this.#more(true);
        throw error;
      }
    });
  }

  #look(feature: number): Promise<void> {
    this.open = feature;
    this.#keep();
    return this.#do("features", async () => {
      if (feature >= 0) this.detail = await host("detail", { feature });
    });
  }

  #retrain(): Promise<void> {
    return this.#long("result", "Retraining", async (options) => {
      this.verdict = await host("retrain", {}, options);
    });
  }

  #compare(): Promise<void> {
    return this.#long("result", "Comparing", async (options) => {
      this.debias = await host("compare", {}, options);
    });
  }

  #saveReport(): Promise<void> {
    return this.#long("result", "Writing the report", async (options) => {
      const { file } = await host("saveReport", {}, options);
      this.said = `Report saved: ${file}`;
    });
  }

  #saveProbe(): Promise<void> {
    return this.#long("result", "Saving the debiased probe", async (options) => {
      const { file } = await host("saveProbe", {}, options);
      const seeds = this.debias?.choice.seeds ?? [];
      const whose = seeds.length > 1 ? `, the probe of seed ${seeds[0]} with its own scores` : "";
      this.said = `Debiased probe saved: ${file}${whose}.`;
    });
  }

  #go(step: Step): void {
    if (step === "data") this.editing = true;
    void this.updateComplete.then(() => this.renderRoot.querySelector(`#${step}`)?.scrollIntoView({ block: "start" }));
  }

  override render() {
    const { about, debias } = this;
    if (this.fatal)
      return html`<main><header><h1>Debias</h1></header><p class="error" role="alert">${this.fatal}</p></main>`;
    if (!about) return html`<main><h1 class="notice">Opening the ensemble…</h1></main>`;
    return html`<main>
      <header>
        <h1>${about.title}</h1>
        <span class="dim">${about.method}${about.members > 1 ? ` of ${about.members}` : ""} · ${about.hook}</span>
      </header>
      ${this.#steps()}
      <div class=${debias ? "columns" : "columns alone"}>
        <div>
          ${this.#dataStep()}
          ${
            debias
              ? html`<section id="bias">${this.#earlierNote(debias)}${this.#heading("Bias")}<sae-bias .debias=${debias}></sae-bias></section>
                ${this.#featuresStep(debias)}`
              : nothing
          }
        </div>
        ${debias ? html`<div>${this.#resultStep(debias)}</div>` : nothing}
      </div>
    </main>`;
  }

  /** Whether what is shown is of other data than what is chosen now. */
  get #earlier(): boolean {
    return this.editing && this.debias !== undefined && !same(this.debias.choice, this.choice);
  }

  /** A heading of what was computed, which says whether it is of what is chosen now. */
  #heading(words: string) {
    return html`<h2>${words}${this.#earlier ? " (earlier data)" : ""}</h2>`;
  }

  /** Whose results still stand there. */
  #earlierNote({ choice }: DebiasState) {
    if (!this.#earlier) return nothing;
    return html`<p class="note">What follows is of ${sides(choice)} in ${fileName(choice.trainFile)}. Show the Bias makes it anew.
      <button class="plain link" @click=${() => this.#back(choice)}>Back to it</button></p>`;
  }

  async #back(choice: DebiasChoice): Promise<void> {
    this.choice = choice;
    this.editing = false;
    await this.#describe(choice.trainFile, choice.testFile, choice.columns, false);
  }

  #steps() {
    const { debias, verdict } = this;
    const worst = (mean: number | null | undefined) => percent(mean ?? null);
    const flags = verdict?.flags.length ?? 0;
    const retrained = retrainedScores(verdict);
    const result = retrained ?? verdict?.ablated;
    const told: Record<Step, string> = {
      data: debias ? sides(debias.choice) : "choose",
      bias: debias ? `worst group ${worst(debias.base.worst_group.mean)}` : "",
      features: debias ? `${flags} flagged` : "",
      result:
        debias && flags > 0 ? `worst group ${worst(result?.worst_group.mean)}${retrained ? " retrained" : ""}` : "",
    };
    const current: Step = !debias || this.editing ? "data" : flags === 0 ? "features" : "result";
    return html`<nav aria-label="Steps"><ol>
      ${steps.map(
        (step) => html`<li>
          <button class="plain" aria-current=${step === current ? "step" : "false"} ?disabled=${!debias && step !== "data"} @click=${() => this.#go(step)}>
            <strong>${step}</strong> <span class="dim">${told[step]}</span></button>
        </li>`,
      )}
    </ol></nav>`;
  }

  #trouble(step: Step) {
    const { error, work } = this;
    return html`${error?.step === step ? html`<p class="error" role="alert">${error.message}</p>` : nothing}
      ${work?.step === step ? html`<sae-long-work .name=${work.name} .progress=${this.progress} @cancel=${() => work.cancel.abort()}></sae-long-work>` : nothing}`;
  }

  #dataStep() {
    const { debias, choice } = this;
    if (debias && !this.editing) {
      const { trainFile, testFile } = debias.choice;
      return html`<section id="data"><h2>Data</h2>
        <p class="summary">${sides(debias.choice)} in ${fileName(trainFile)}${testFile === null ? nothing : html` and ${fileName(testFile)}`}
          <button class="plain link" @click=${() => this.#go("data")}>Change</button></p>
        ${this.#trouble("data")}</section>`;
    }
    return html`<section id="data"><h2>Data</h2>
      <sae-data-form
        .data=${this.data}
        .choice=${choice}
        .busy=${this.work !== undefined}
        @pick=${(event: CustomEvent<"train" | "test">) => void this.#pick(event.detail)}
        @hold=${() => void this.#testOn(null)}
        @columns=${(event: CustomEvent<Columns>) => choice && void this.#describe(choice.trainFile, choice.testFile, event.detail, true)}
        @choice=${(event: CustomEvent<DebiasChoice>) => {
          this.choice = event.detail;
        }}
        @prepare=${(event: CustomEvent<DebiasChoice>) => void this.#prepare(event.detail)}
      ></sae-data-form>
      ${this.#trouble("data")}</section>`;
  }

  #featuresStep({ choice }: DebiasState) {
    const elsewhere = (this.verdict?.flags ?? []).filter(
      (feature) => !this.suggestions.some(({ row }) => row.feature === feature),
    ).length;
    const { attribute, columns } = choice;
    return html`<section id="features">${this.#heading("Features")}
      <p>What a probe of ${columns.attribute} uses most. Look at where each fires, and flag those that are about ${columns.attribute} and not about ${columns.label}. Nothing is flagged for you.${this.#where()}</p>
      <p class="dim">Effect: blue on ${columns.attribute}, purple on ${columns.label}. Showing ${this.suggestions.length} of ${this.total.toLocaleString("en-US")} with an effect${elsewhere > 0 ? `; ${elsewhere} more flagged elsewhere` : ""}.</p>
      ${this.#trouble("features")}
      <sae-suggestions
        .rows=${this.suggestions}
        .largest=${this.largest}
        .sides=${[attribute.positive.join(", "), attribute.negative.join(", ")]}
        .open=${this.open}
        .detail=${this.detail}
        @flag=${(event: CustomEvent<{ feature: number; flagged: boolean }>) => void this.#flag(event.detail.feature, event.detail.flagged)}
        @look=${(event: CustomEvent<{ feature: number }>) => void this.#look(event.detail.feature)}
        @browse=${(event: CustomEvent<{ feature: number }>) => void host("browse", event.detail)}
      ></sae-suggestions>
      ${this.suggestions.length < this.total && this.suggestions.length < 200 ? html`<button class="plain outlined" @click=${() => void this.#more()}>Show more</button>` : nothing}
    </section>`;
  }

  /** Which side to look at first; "" where no bias says so. */
  #where(): string {
    const { debias } = this;
    if (!debias?.room.enough) return "";
    const worst = worstCell(debias.base.cells.map(({ mean }) => mean));
    if (worst !== 1 && worst !== 2) return "";
    const { positive, negative } = debias.choice.attribute;
    return ` To have ${debias.cellNames[worst]} told right, look first at features that fire more for ${(worst === 1 ? negative : positive).join(", ")}.`;
  }

  #resultStep(debias: DebiasState) {
    const { verdict } = this;
    if (!verdict) return nothing;
    const n = verdict.flags.length;
    const worst = (scores: DebiasVerdict["ablated"]) => percent(scores.worst_group.mean);
    const busy = this.work !== undefined || this.#earlier;
    const retrained = retrainedScores(verdict);
    const words =
      n === 0
        ? `Worst group ${worst(debias.base)}. Flag a feature to see what the classifier is without it.`
        : `${n} flagged: worst group ${worst(debias.base)} → ${worst(verdict.ablated)}${retrained ? ` → ${worst(retrained)} retrained` : ""}; balanced data gives ${worst(debias.oracle)}.`;
    return html`<section id="result">${this.#heading("Result")}
        <p class="verdict" role="status">${words}</p>
        <sae-result-table .debias=${debias} .verdict=${verdict} .previous=${this.previous}></sae-result-table>
        <div class="buttons">
          <button class="plain outlined" ?disabled=${busy || n === 0} title="Trains the probe anew on the still biased data, without the flagged features" @click=${() => void this.#retrain()}>Retrain</button>
          <button class="plain outlined" ?disabled=${busy} @click=${() => void this.#saveReport()}>Save Report</button>
          <button class="plain outlined" ?disabled=${busy || n === 0} title=${`The retrained probe of seed ${debias.choice.seeds[0]}: weights, directions and a description with its own scores, with code that applies them. What is shown here are means over the seeds.`} @click=${() => void this.#saveProbe()}>Save Debiased Probe</button>
        </div>
        ${this.#trouble("result")}
        <p class="dim" role="status">${this.#earlier ? "" : this.said}</p>
      </section>
      <section>${this.#heading("By number of features")}
        <sae-scr-chart .debias=${debias}></sae-scr-chart>
        ${
          debias.compared
            ? nothing
            : html`<div class="buttons"><button class="plain outlined" ?disabled=${busy} title="Pools the texts for them too" @click=${() => void this.#compare()}>Compare with the Run's Other Ensembles</button></div>`
        }
        <p class="dim">SCR: the share of the accuracy that the bias cost (${percent(debias.room.difference.mean)}) that comes back when so many features of the largest effect are removed, nobody having looked at them. Bands: standard deviation over seeds.</p>
      </section>`;
  }
}
customElements.define("sae-debias", SaeDebias);

/** What retraining gave, where it was with the flags that there are now. */
function retrainedScores(verdict: DebiasVerdict | undefined): DebiasVerdict["ablated"] | undefined {
  return verdict?.retrained?.flags.join() === verdict?.flags.join() ? verdict?.retrained?.scores : undefined;
}

function sides({ label, attribute }: DebiasChoice): string {
  return [label, attribute]
    .map(({ positive, negative }) => `${positive.join(", ")} / ${negative.join(", ")}`)
    .join(" × ");
}

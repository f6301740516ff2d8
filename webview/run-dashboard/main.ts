// The run dashboard: what runs, four charts over tokens, the report. Everything comes from the host; nothing is kept.
import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import { css, html, LitElement, nothing } from "lit";
import type { ReportTable } from "../../src/protocol/reportTable.ts";
import { onNotification, request } from "../../src/protocol/rpc.ts";
import { dashboardHost, dashboardView, type RunSnapshot } from "../../src/protocol/runDashboard.ts";
import type { RunEvent } from "../../src/protocol/runEvents.ts";
import type { RunEntry } from "../../src/protocol/service.ts";
import { connectToHost, saveViewState } from "../components/host.ts";
import { messageOf } from "../components/messageOf.ts";
import { controls, page, palette } from "../components/style.ts";
import "./chart.ts";
import { chartsSvg, svgToPng, tableMarkdown, trainingCsv } from "./exports.ts";
import "./reportTable.ts";
import { quantities, TrainingSeries, trainingName, trainingSeedSet } from "./series.ts";

const connection = connectToHost();

/** Milliseconds for what may ask a person in between. */
const patience = 600_000;

/** Where it is said what came of an action: beside its button. */
type Place = "run" | "training" | "evaluation";

/** Stands where the run's name will be. */
const untitled = html`<header><h1>Run</h1></header>`;

class SaeRunDashboard extends LitElement {
  static override properties = {
    run: { state: true },
    report: { state: true },
    reportDamage: { state: true },
    version: { state: true },
    chosen: { state: true },
    fatal: { state: true },
    said: { state: true },
  };
  declare run: RunEntry | undefined;
  declare report: ReportTable | null;
  /** Why the report can't be read; empty where it can, or there is none. */
  declare reportDamage: string;
  declare version: number;
  /** The training whose charts are shown; empty: the first of a run that is done, else the newest. */
  declare chosen: string;
  /** Why there is nothing to show yet. */
  declare fatal: string;
  /** What came of the last action: a failure, or where a file was saved. */
  declare said: { readonly place: Place; readonly message: string; readonly failed: boolean } | undefined;
  #series = new TrainingSeries();
  #device = "";
  #messages: { level: string; message: string }[] = [];

  constructor() {
    super();
    this.report = null;
    this.reportDamage = "";
    this.version = 0;
    this.chosen = "";
    this.fatal = "";
  }

  static override styles = [
    palette,
    page,
    controls,
    css`
      :host {
        overflow-y: auto;
        padding: 12px 16px 32px;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 14px;
        align-items: center;
        min-height: 30px;
      }
      h1 {
        font-size: 1.2em;
        margin: 0;
      }
      h2 {
        font-size: 11px;
        font-weight: 600;
        text-transform: uppercase;
        letter-spacing: 0.04em;
        color: var(--dim);
        margin: 22px 0 8px;
      }
      .right {
        margin-left: auto;
        display: flex;
        gap: 6px;
      }
      .progress {
        margin: 10px 0 0;
      }
      .progress .line {
        display: flex;
        flex-wrap: wrap;
        gap: 0 14px;
        justify-content: space-between;
        font-variant-numeric: tabular-nums;
        padding-bottom: 4px;
      }
      .track {
        height: 4px;
        background: color-mix(in srgb, var(--vscode-foreground) 14%, transparent);
        border-radius: 2px;
      }
      .fill {
        height: 100%;
        background: var(--vscode-progressBar-background, var(--activation));
        border-radius: 2px;
      }
      .charts {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
        gap: 10px 28px;
      }
      .tabs {
        margin-bottom: 10px;
      }
      .tabs div {
        display: flex;
        gap: 4px;
        margin-bottom: 4px;
        flex-wrap: wrap;
        align-items: baseline;
      }
      .tabs span {
        margin-right: 6px;
      }
      .error {
        margin: 12px 0;
      }
      .notice {
        padding: 4px 0;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    onNotification(connection, dashboardView, "events", ({ events }) => this.#take(events));
    onNotification(connection, dashboardView, "runChanged", (snapshot) => this.#show(snapshot));
    onNotification(connection, dashboardView, "runGone", ({ message }) => this.#leave(message));
    request(connection, dashboardHost, "ready", {}).then(
      (snapshot) => this.#show(snapshot),
      (error: Error) => {
        if (!this.run) this.fatal = error.message;
      },
    );
  }

  #show({ run, report, reportDamage }: RunSnapshot): void {
    // What was watched to the end stays in view.
    if (this.run && this.run.state !== "done" && run.state === "done") this.chosen ||= this.#newest ?? "";
    this.run = run;
    this.report = report;
    this.reportDamage = reportDamage;
    this.fatal = "";
    saveViewState({ folder: run.folder });
  }

  /** Another run may come to the same place: nothing of this one is kept. */
  #leave(message: string): void {
    this.run = undefined;
    this.report = null;
    this.chosen = "";
    this.said = undefined;
    this.fatal = message;
    this.#series = new TrainingSeries();
    this.#device = "";
    this.#messages = [];
  }

  get #newest(): string | undefined {
    return [...this.#series.trainings.keys()].at(-1);
  }

  #take(events: readonly RunEvent[]): void {
    for (const event of events) {
      this.#series.add(event);
      // The run's log says which device was taken, and why: "device cpu (2 threads, …): …".
      if (event.type === "log" && event.message.startsWith("device ")) this.#device = event.message;
      if (event.type === "log" && event.level !== "info")
        this.#messages.push({ level: event.level, message: event.message });
    }
    this.version++;
  }

  /** Does what a button says; what came of it is said beside it until the next action. */
  async #do(place: Place, action: () => Promise<unknown>): Promise<void> {
    this.said = undefined;
    try {
      await action();
    } catch (error) {
      this.said = { place, message: messageOf(error), failed: true };
    }
  }

  #save(place: Place, name: string, contentOf: () => string | Promise<string>, base64 = false): Promise<void> {
    return this.#do(place, async () => {
      const content = await contentOf();
      const saved = await request(connection, dashboardHost, "save", { name, content, base64 }, { timeout: patience });
      if (saved.file !== null) this.said = { place, message: `Saved: ${saved.file}`, failed: false };
    });
  }

  #said(place: Place) {
    if (this.said?.place !== place) return nothing;
    const { message, failed } = this.said;
    return failed
      ? html`<p class="error" role="alert">${message}</p>`
      : html`<p class="dim" role="status">${message}</p>`;
  }

  override render() {
    const { run } = this;
    if (this.fatal) return html`<main>${untitled}<p class="error" role="alert">${this.fatal}</p></main>`;
    if (!run) return html`<main>${untitled}<p class="notice" role="status">Opening the run…</p></main>`;
    const stages = [...this.#series.trainings.keys()];
    const unasked = run.state === "done" ? stages[0] : this.#newest;
    const stage = this.#series.trainings.has(this.chosen) ? this.chosen : unasked;
    const training = stage === undefined ? undefined : this.#series.trainings.get(stage);
    const { progress } = run;
    const indexed = run.ensembles.find((ensemble) => ensemble.indexed);
    const ask = (name: "stop" | "resume") =>
      void this.#do("run", () => request(connection, dashboardHost, name, {}, { timeout: patience }));
    const browse = (ensemble: string) =>
      void this.#do("run", () => request(connection, dashboardHost, "browse", { ensemble }, { timeout: patience }));
    return html`<main>
      <header>
        <h1>${run.name}</h1>
        <span class="dim">${run.state}</span>
        ${this.#device ? html`<span class="dim" title=${this.#device}>on ${this.#device.split(" ")[1]}</span>` : nothing}
        <span class="right">
          ${run.state === "running" ? html`<vscode-button secondary @click=${() => ask("stop")}>Stop</vscode-button>` : nothing}
          ${run.state === "queued" ? html`<vscode-button secondary @click=${() => ask("stop")}>Leave the Queue</vscode-button>` : nothing}
          ${run.state === "stopped" || run.state === "failed" ? html`<vscode-button @click=${() => ask("resume")}>Resume</vscode-button>` : nothing}
          ${indexed ? html`<vscode-button @click=${() => browse(indexed.folder)}>Browse Features</vscode-button>` : nothing}
        </span>
      </header>
      ${this.#said("run")}
      ${run.reason ? html`<p class=${run.state === "failed" ? "error" : "notice"}>${run.reason}</p>` : nothing}
      ${run.state === "running" && progress ? this.#progress(progress) : nothing}
      ${this.#messages.length ? html`<ul>${this.#messages.slice(-5).map(({ level, message }) => html`<li class=${level === "error" ? "error" : "notice"}>${message}</li>`)}</ul>` : nothing}

      <h2>Training</h2>
      ${
        training && stage !== undefined
          ? html`${stages.length > 1 ? this.#choice(stages, stage) : nothing}
            <div class="charts">
              ${quantities.map(({ key, title }) => html`<sae-chart .training=${training} .quantity=${key} .title=${title} .version=${this.version}></sae-chart>`)}
            </div>
            <p class="dim">${training.penalised ? "The loss is the squared error and what the architecture adds to it; for TopK the auxiliary loss of dead latents, so it rises when latents are first counted as dead. " : ""}The charts run over tokens. Explained variance is over all dimensions at once, as SAELens logs it; the table's first is the paper's mean over dimensions. Dead latents are known after dead_feature_window steps.
              Export:
              <button class="plain link" @click=${() => void this.#save("training", `${trainingName(stage)}.csv`, () => trainingCsv(training))}>CSV</button>
              <button class="plain link" @click=${() => void this.#save("training", `${trainingName(stage)}.svg`, () => chartsSvg(training, run.name))}>SVG</button>
              <button class="plain link" @click=${() => void this.#save("training", `${trainingName(stage)}.png`, () => svgToPng(chartsSvg(training, run.name)), true)}>PNG</button>
            </p>
            ${this.#said("training")}`
          : html`<p class="notice">The charts begin with the first training step.</p>`
      }

      <h2>Evaluation</h2>
      ${
        this.report
          ? html`<sae-report-table .table=${this.report}></sae-report-table>
              <p class="dim">Export: <button class="plain link" @click=${() => void this.#save("evaluation", "report-table.md", () => tableMarkdown(this.report!))}>Markdown</button></p>
              ${this.#said("evaluation")}`
          : this.reportDamage
            ? html`<p class="error" role="alert">${this.reportDamage}</p>`
            : html`<p class="notice">The table of metrics comes with the evaluation, after training.</p>`
      }
    </main>`;
  }

  /** The trainings, a row a seed set. */
  #choice(stages: readonly string[], shown: string) {
    const sets = [...Map.groupBy(stages, (stage) => trainingSeedSet(stage).seedSet)];
    return html`<div class="tabs">
      ${sets.map(
        ([set, own]) => html`<div role="group" aria-label=${`Training, seed set ${set}`}>
          ${sets.length > 1 ? html`<span class="dim">seed set ${set}</span>` : nothing}
          ${own.map(
            (stage) =>
              html`<button class="plain outlined" title=${`ensembles/${trainingName(stage)}`} aria-pressed=${stage === shown ? "true" : "false"} @click=${() => {
                this.chosen = stage;
              }}>${trainingSeedSet(stage).method}</button>`,
          )}
        </div>`,
      )}
    </div>`;
  }

  #progress({ stage, done, total, unit, rate, eta }: NonNullable<RunEntry["progress"]>) {
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const numbers = [
      `${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} ${unit}`,
      rate === null ? "" : `${Math.round(rate).toLocaleString("en-US")} ${unit}/s`,
      eta === null
        ? ""
        : `${eta < 90 ? `${Math.max(1, Math.round(eta))} s` : `${Math.round(eta / 60)} min`} left of this stage`,
    ].filter(Boolean);
    return html`<div class="progress">
      <div class="line"><span>${stage} · ${Math.floor(share * 100)}%</span><span class="dim">${numbers.join(" · ")}</span></div>
      <div class="track" role="progressbar" aria-label=${stage} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(share * 100)}><div class="fill" style=${`width: ${share * 100}%`}></div></div>
    </div>`;
  }
}
customElements.define("sae-run-dashboard", SaeRunDashboard);

// The next-token panel: what the model says at the cursor, as it is and under interventions; what pushes a token; text generated both ways.
import "@vscode-elements/elements/dist/vscode-button/index.js";
import { css, html, LitElement, nothing } from "lit";
import {
  type FeatureName,
  type Generated,
  type NextTokenCursor,
  type NextTokens,
  nextTokenHost,
  nextTokenView,
  type Pushing,
  type ShownIntervention,
  type ShownToken,
} from "../../src/protocol/inspection.ts";
import { onNotification, type Params, type Result, request } from "../../src/protocol/rpc.ts";
import { fileName } from "../components/fileName.ts";
import { connectToHost } from "../components/host.ts";
import { significant } from "../components/numbers.ts";
import { controls, page, palette } from "../components/style.ts";
import { probability } from "./probability.ts";
import "./interventionList.ts";
import "./probabilityBars.ts";
import "./pushingFeatures.ts";

const line = connectToHost();
/** A model that is opened for the first time may take its time. */
const patience = 10 * 60_000;
const shownBefore = 120;
/** Characters by which a place is named that generated text began at. */
const shownStart = 30;
const nothingYet = { text: "", ended: false };

type Said = Omit<Generated, "side">;
type Requests = typeof nextTokenHost;
/** The list as it is kept, with the names of its features. */
type Kept = Pick<Result<Requests, "ready">, "interventions" | "names">;

export class SaeNextToken extends LitElement {
  static override properties = {
    text: { state: true },
    reason: { state: true },
    ensemble: { state: true },
    document: { state: true },
    known: { state: true },
    list: { state: true },
    names: { state: true },
    result: { state: true },
    busy: { state: true },
    error: { state: true },
    chosen: { state: true },
    pushing: { state: true },
    said: { state: true },
    generating: { state: true },
    temperature: { state: true },
    seed: { state: true },
  };
  declare text: string | null;
  declare reason: string;
  declare ensemble: string;
  /** Path of the text that all this is about; empty for none. */
  declare document: string;
  /** Whether the list is that of the host yet: before, a change to it would replace what is kept. */
  declare known: boolean;
  declare list: readonly ShownIntervention[];
  declare names: ReadonlyMap<number, FeatureName>;
  declare result: NextTokens | undefined;
  declare busy: boolean;
  declare error: string;
  declare chosen: ShownToken | undefined;
  declare pushing: Pushing | undefined;
  declare said: { original: Said; changed: Said | null; after: string; under: string } | undefined;
  declare generating: boolean;
  declare temperature: number;
  declare seed: number;
  readonly #begun: Promise<void>;
  #asking = new AbortController();
  #generating = new AbortController();
  #pushing = new AbortController();

  constructor() {
    super();
    this.text = null;
    this.reason = "";
    this.ensemble = "";
    this.document = "";
    this.known = false;
    this.list = [];
    this.names = new Map();
    this.busy = false;
    this.error = "";
    this.generating = false;
    this.temperature = 0;
    this.seed = 42;
    onNotification(line, nextTokenView, "cursor", (cursor) => this.#moved(cursor));
    onNotification(line, nextTokenView, "ensemble", (ensemble) => this.#change(ensemble));
    onNotification(line, nextTokenView, "generated", (generated) => this.#hear(generated));
    onNotification(line, nextTokenView, "annotationsChanged", () => void this.#ask());
    onNotification(line, nextTokenView, "add", async ({ features, names, kind, value }) => {
      await this.#begun;
      if (!this.known) return;
      this.#learn(names);
      this.#setList([...this.list, { features, flagged: false, kind, value, from: "everywhere", on: true }]);
    });
    this.#begun = this.#begin();
  }

  static override styles = [
    palette,
    page,
    controls,
    css`
      :host {
        overflow: auto;
        padding: 0 14px 20px;
      }
      main {
        container: panel / inline-size;
      }
      h1 {
        font-size: 1em;
        font-weight: 600;
        margin: 10px 0 2px;
      }
      h2 {
        font-size: 1em;
        font-weight: 600;
        margin: 18px 0 6px;
      }
      .before {
        font-family: var(--mono);
        font-size: var(--vscode-editor-font-size, 12px);
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        margin: 0 0 4px;
      }
      .cursor {
        display: inline-block;
        width: 2px;
        height: 1.1em;
        vertical-align: text-bottom;
        background: var(--vscode-editorCursor-foreground, currentColor);
      }
      .notice {
        padding: 4px 0;
      }
      .summary {
        margin: 6px 0;
      }
      .moved {
        white-space: nowrap;
      }
      .form {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 12px;
        align-items: center;
      }
      .form input {
        font: inherit;
        width: 64px;
        color: var(--vscode-input-foreground);
        background: var(--vscode-input-background);
        border: 1px solid var(--vscode-input-border, var(--hairline));
        border-radius: 2px;
        padding: 1px 3px;
      }
      .sides {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(180px, 100%), 1fr));
        gap: 10px;
        margin-top: 8px;
      }
      .side {
        border: 1px solid var(--hairline);
        border-top: 3px solid var(--activation);
        border-radius: 3px;
        padding: 6px 8px;
        min-height: 4em;
      }
      .side.changed {
        border-top-color: var(--negative);
      }
      .side p {
        margin: 4px 0 0;
        font-family: var(--mono);
        font-size: var(--vscode-editor-font-size, 12px);
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .ended {
        margin-top: 4px;
      }
      .error {
        margin: 8px 0;
      }
      .stale {
        opacity: 0.6;
      }
    `,
  ];

  async #begin(): Promise<void> {
    try {
      const { interventions, names, ...cursor } = await this.#host("ready", {});
      this.list = interventions;
      this.known = true;
      this.#learn(names);
      this.#moved(cursor);
    } catch (error) {
      this.error = (error as Error).message;
    }
  }

  #host<K extends keyof Requests["requests"]>(name: K, params: Params<Requests, K>, signal?: AbortSignal) {
    return request(line, nextTokenHost, name, params, { timeout: patience, ...(signal && { signal }) });
  }

  #moved({ text, reason, title, document }: NextTokenCursor): void {
    const same = text === this.text && title === this.ensemble;
    this.text = text;
    this.reason = reason;
    this.ensemble = title;
    this.document = document;
    if (same && this.result) return;
    this.chosen = undefined;
    this.pushing = undefined;
    void this.#ask();
  }

  /** Nothing that was said of the ensemble before holds for another one. */
  #change({ title, interventions, names }: Kept & { title: string }): void {
    this.#generating.abort();
    this.#pushing.abort();
    this.list = interventions;
    this.names = new Map();
    this.#learn(names);
    this.result = undefined;
    this.said = undefined;
    this.chosen = undefined;
    this.pushing = undefined;
    this.ensemble = title;
    void this.#ask();
  }

  #setList(list: readonly ShownIntervention[]): void {
    this.list = list;
    void this.#host("keep", { interventions: [...list] }).catch(() => {});
    void this.#ask();
  }

  /** Features that are switched off, or that nobody can be asked about, keep the names that are known of them. */
  #learn(names: readonly FeatureName[]): void {
    this.names = new Map([...this.names, ...names.map((name) => [name.feature, name] as const)]);
  }

  get #active() {
    return this.list.filter(({ on }) => on).map(({ on: _, ...intervention }) => intervention);
  }

  /** Whether anything is intervened on: all flagged features are none where nothing is flagged. */
  get #changes(): boolean {
    return this.#active.some(({ features, flagged }) => features.length > 0 || (flagged && this.result?.flagged !== 0));
  }

  /** Asks for the distribution; a question before is cancelled. */
  async #ask(): Promise<void> {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.error = "";
    if (this.text === null) {
      this.result = undefined;
      this.busy = false;
      return;
    }
    this.busy = true;
    try {
      const result = await this.#host("nextToken", { interventions: this.#active }, signal);
      if (signal.aborted) return;
      this.#learn(result.rows);
      this.result = result;
    } catch (error) {
      if (signal.aborted) return;
      this.result = undefined;
      this.error = (error as Error).message;
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  async #push(token: ShownToken): Promise<void> {
    this.#pushing.abort();
    this.#pushing = new AbortController();
    const { signal } = this.#pushing;
    this.chosen = token;
    this.pushing = undefined;
    try {
      this.pushing = await this.#host("pushing", { token: token.id }, signal);
    } catch (error) {
      if (!signal.aborted) this.error = (error as Error).message;
    }
  }

  async #generate(): Promise<void> {
    this.#generating.abort();
    this.#generating = new AbortController();
    const { signal } = this.#generating;
    this.generating = true;
    this.error = "";
    const interventions = this.#active;
    this.said = {
      original: nothingYet,
      changed: this.#changes ? nothingYet : null,
      after: this.text ?? "",
      under: JSON.stringify(interventions),
    };
    try {
      const options = { tokens: 50, temperature: this.temperature, seed: this.seed };
      await this.#host("generate", { interventions, options }, signal);
    } catch (error) {
      if (!signal.aborted) this.error = (error as Error).message;
    } finally {
      if (this.#generating.signal === signal) this.generating = false;
    }
  }

  #hear({ side, ...said }: Generated): void {
    if (this.said && this.generating) this.said = { ...this.said, [side]: said };
  }

  override render() {
    const { text, result } = this;
    const changed = this.#changes;
    return html`<main>
      <h1>${this.document ? html`After the cursor in ${fileName(this.document)}` : "Next token"} <span class="dim">· ${this.ensemble}${result ? ` · ${result.context.toLocaleString("en-US")} ${result.context === 1 ? "token" : "tokens"}` : ""}</span></h1>
      ${
        text === null
          ? html`<p class="notice">${this.reason}</p>`
          : html`<p class="before">${text.length > shownBefore ? "…" : ""}${text.slice(-shownBefore)}<span class="cursor"></span></p>`
      }
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
      ${
        this.known
          ? html`<h2>Interventions</h2>
              <sae-intervention-list
                .list=${this.list}
                .names=${this.names}
                .flagged=${this.result?.flagged}
                @changed=${(event: CustomEvent) => this.#setList(event.detail.list)}
                @open=${(event: CustomEvent) => void this.#host("show", { feature: event.detail.feature })}
                @pick=${() => void this.#pick()}
              ></sae-intervention-list>`
          : nothing
      }
      ${
        result || this.busy
          ? html`<h2>Next token ${this.busy ? html`<span class="dim" role="status">reading…</span>` : nothing}</h2>
              ${result ? this.#distribution(result, changed) : html`<p class="dim">Opening the model…</p>`}`
          : nothing
      }
      ${
        this.chosen
          ? html`<h2>What pushes <sae-token .text=${this.chosen.text}></sae-token></h2>
              ${
                this.pushing
                  ? html`<sae-pushing-features
                      .token=${this.chosen}
                      .pushing=${this.pushing}
                      @open=${(event: CustomEvent) => void this.#host("show", { feature: event.detail.feature })}
                      @ablate=${(event: CustomEvent) => this.#ablate(event.detail.feature)}
                    ></sae-pushing-features>`
                  : html`<p class="dim">Ablating one feature after the other…</p>`
              }`
          : nothing
      }
      ${text === null ? nothing : this.#generation(changed)}
    </main>`;
  }

  #distribution(result: NextTokens, changed: boolean) {
    const moved = (token: ShownToken) =>
      html`<span class="moved"><sae-token .text=${token.text}></sae-token> ${probability(token.original)} → ${probability(token.changed)}</span>`;
    return html`
      ${
        changed
          ? html`<p class="summary">
              KL ${significant(result.kl)} nats${result.kl === 0 ? `: ${this.#unmoved}` : ""}
              ${result.gains ? html` · gains most: ${moved(result.gains)}` : nothing}
              ${result.loses ? html` · loses most: ${moved(result.loses)}` : nothing}
            </p>`
          : nothing
      }
      <sae-probability-bars
        class=${this.busy ? "stale" : ""}
        .tokens=${result.tokens}
        .changed=${changed}
        .chosen=${this.chosen?.id}
        @choose=${(event: CustomEvent) => void this.#push(event.detail.token)}
      ></sae-probability-bars>
    `;
  }

  /** Why interventions change nothing. */
  get #unmoved(): string {
    return this.text === ""
      ? "nothing stands before the cursor that they could change"
      : "the interventions change nothing in this text";
  }

  #generation(changed: boolean) {
    const number = (label: string, value: number, step: string, set: (value: number) => void) =>
      html`<label>${label} <input type="number" min="0" step=${step} .value=${String(value)} @change=${(
        event: Event,
      ) => {
        const given = (event.target as HTMLInputElement).valueAsNumber;
        if (Number.isFinite(given) && given >= 0) set(given);
      }} /></label>`;
    return html`<h2>Go on for 50 tokens</h2>
      <div class="form">
        ${
          this.generating
            ? html`<vscode-button secondary @click=${() => this.#generating.abort()}>Stop</vscode-button>`
            : html`<vscode-button @click=${() => void this.#generate()}>${changed ? "Generate with and without" : "Generate"}</vscode-button>`
        }
        ${number("temperature", this.temperature, "0.1", (value) => {
          this.temperature = Math.min(5, value);
        })}
        ${number("seed", this.seed, "1", (value) => {
          this.seed = Math.round(value);
        })}
      </div>
      ${this.said && this.#outdated(this.said) ? html`<p class="dim outdated">${this.#outdated(this.said)}</p>` : nothing}
      ${
        this.said
          ? html`<div class=${`sides ${this.#outdated(this.said) ? "stale" : ""}`} aria-live="polite">
              <div class="side"><span class="dim">original</span>${this.#side(this.said.original)}</div>
              ${this.said.changed === null ? nothing : html`<div class="side changed"><span class="dim">with the interventions</span>${this.#side(this.said.changed)}</div>`}
            </div>`
          : nothing
      }`;
  }

  #side({ text, ended }: Said) {
    return html`${text ? html`<p>${text}</p>` : nothing}${ended ? html`<div class="dim ended">The model ended the text${text ? " here" : " at once"}.</div>` : nothing}`;
  }

  /** Why what was generated isn't what would be now; empty where it is. */
  #outdated({ after, under }: NonNullable<typeof this.said>): string {
    if (after !== this.text)
      return `From another place: it goes on after “${after.length > shownStart ? "…" : ""}${after.slice(-shownStart)}”`;
    return under === JSON.stringify(this.#active) ? "" : "With the interventions as they were then";
  }

  #ablate(feature: number): void {
    this.#setList([
      ...this.list,
      { features: [feature], flagged: false, kind: "ablate", value: 0, from: "everywhere", on: true },
    ]);
  }

  async #pick(): Promise<void> {
    const picked = await this.#host("choose", {}).catch((error: Error) => {
      this.error = error.message;
      return null;
    });
    if (!picked) return;
    const features = picked.names.map(({ feature }) => feature);
    this.#learn(picked.names);
    this.#setList([...this.list, { features, flagged: false, kind: "ablate", value: 0, from: "everywhere", on: true }]);
  }
}
customElements.define("sae-next-token", SaeNextToken);

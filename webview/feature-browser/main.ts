// The feature browser: filter bar, list and detail, keyboard, and the talk with the host. Keeps nothing but query, scroll and selection.
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import {
  ANNOTATIONS_DAMAGED,
  ENSEMBLE_DELETED,
  type FeatureDetail,
  featureBrowserHost,
  featureBrowserView,
  type ListQuery,
  type Snapshot,
  type SourceQuestion,
} from "../../src/protocol/featureBrowser.ts";
import { onNotification, request } from "../../src/protocol/rpc.ts";
import { connectToHost, loadViewState, saveViewState } from "../components/host.ts";
import { controls, page, palette } from "../components/style.ts";
import { AwaitedField, type FieldName } from "./awaitedField.ts";
import type { SaeFeatureDetail } from "./featureDetail.ts";
import "./featureDetail.ts";
import type { Chosen, SaeFeatureList } from "./featureList.ts";
import "./featureList.ts";
import { messageOf } from "../components/messageOf.ts";
import { count } from "../components/numbers.ts";
import { everything, patternError, type SaeFilterBar, searchesOneToken } from "./filterBar.ts";
import { featureAsMarkdown } from "./markdown.ts";
import { Pages } from "./pages.ts";
import "./tryText.ts";
import type { Tried } from "./tryText.ts";

const connection = connectToHost();
const host = <K extends keyof typeof featureBrowserHost.requests>(
  name: K,
  params: Parameters<typeof request<typeof featureBrowserHost, K>>[3],
  options?: { timeout?: number },
) => request(connection, featureBrowserHost, name, params, options);

/** Milliseconds for which a button says that its work is done. */
const confirmation = 2000;

const keys: readonly (readonly [string, string])[] = [
  ["j / k, ↓ / ↑", "next, previous feature"],
  ["Enter", "open; out of the label or the search"],
  ["Ctrl/Cmd+Enter", "out of the note"],
  ["f", "flag or unflag the selected features"],
  ["l", "label"],
  ["n", "note"],
  ["/", "search"],
  ["x", "clear search and filters"],
  ["Shift+arrows, Ctrl/Cmd+click", "select several"],
  ["Ctrl/Cmd+Z", "undo the last change of flags, labels or notes"],
  ["Escape", "out of any field; back to the list"],
  ["?", "these keys"],
];

/** Fields of one line, by their ids: Enter leaves them; in the note it begins another line. */
const oneLine = new Set(["label", "search"]);

/** Stands where the ensemble's name will be. */
const untitled = html`<div class="title"><h1>Features</h1></div>`;

class SaeFeatureBrowser extends LitElement {
  static override properties = {
    snapshot: { state: true },
    fatal: { state: true },
    fatalCode: { state: true },
    query: { state: true },
    version: { state: true },
    cursor: { state: true },
    selection: { state: true },
    detail: { state: true },
    detailError: { state: true },
    trouble: { state: true },
    detailOpen: { state: true },
    loading: { state: true },
    help: { state: true },
    trying: { state: true },
    tried: { state: true },
    tryError: { state: true },
    tryBusy: { state: true },
    copied: { state: true },
  };
  declare snapshot: Snapshot | undefined;
  declare fatal: string;
  /** What kind of error it is: what helps against it. */
  declare fatalCode: unknown;
  declare query: ListQuery;
  declare version: number;
  /** Place of the row that the keys start from; -1 for none, with which they start above the first. */
  declare cursor: number;
  declare selection: Set<number>;
  declare detail: FeatureDetail | undefined;
  declare detailError: string;
  /** What went wrong with the last action. */
  declare trouble: string;
  declare detailOpen: boolean;
  declare loading: boolean;
  declare help: boolean;
  declare trying: boolean;
  declare tried: Tried | undefined;
  declare tryError: string;
  declare tryBusy: boolean;
  /** The feature that has just been copied; -1 for none. */
  declare copied: number;

  readonly #pages = new Pages(
    (query, offset, limit) => host("page", { query, offset, limit }),
    () => this.#arrived(),
  );
  /** Place that the cursor went to before its row was there, and whether the selection goes that far. */
  #awaited: { place: number; extend: boolean } | undefined;
  /** Label or note that gets the focus once its feature has arrived. */
  #field: AwaitedField | undefined;
  /** Rows of a selection that are being fetched. */
  #selecting = Promise.resolve();
  #anchor = 0;
  #searchTimer: ReturnType<typeof setTimeout> | undefined;
  #copiedTimer: ReturnType<typeof setTimeout> | undefined;
  #detailRequest = 0;
  /** The feature that was asked for last, which the detail shows or will show; -1 for none. */
  #asked: number;
  /** The ensemble's folder, by which the panel is restored. */
  #ensemble: string | undefined;
  /** Time of the index that the kept feature is of. */
  #indexTime: number | undefined;

  constructor() {
    super();
    const kept = loadViewState<{
      ensemble?: string;
      indexTime?: number;
      query: ListQuery;
      feature: number;
      detailOpen: boolean;
    }>({
      query: everything,
      feature: -1,
      detailOpen: false,
    });
    this.#ensemble = kept.ensemble;
    this.#indexTime = kept.indexTime;
    this.#asked = kept.feature;
    this.fatal = "";
    // A filter that came with a later version is not in what an earlier one kept.
    this.query = { ...everything, ...kept.query };
    this.version = 0;
    this.cursor = 0;
    this.selection = new Set(kept.feature >= 0 ? [kept.feature] : []);
    this.detailError = "";
    this.trouble = "";
    this.detailOpen = kept.detailOpen;
    this.loading = false;
    this.help = false;
    this.trying = false;
    this.tryError = "";
    this.tryBusy = false;
    this.copied = -1;
  }

  static override styles = [
    palette,
    page,
    controls,
    css`
      .title {
        display: flex;
        gap: 14px;
        align-items: baseline;
        padding: 8px 12px 0;
        white-space: nowrap;
      }
      .title .about {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      h1 {
        font-size: 1.1em;
        font-weight: 600;
        margin: 0;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .title .right {
        margin-left: auto;
      }
      .count {
        margin-right: 8px;
        color: var(--dim);
        font-variant-numeric: tabular-nums;
      }
      main {
        display: flex;
        flex-direction: column;
        height: 100%;
      }
      .panes {
        flex: 1;
        min-height: 0;
        display: grid;
        grid-template-columns: minmax(0, 3fr) minmax(300px, 2fr);
      }
      sae-feature-list {
        grid-column: 1;
      }
      sae-feature-detail {
        border-left: 1px solid var(--hairline);
        background: var(--vscode-editor-background);
      }
      .panes > .error {
        align-self: start;
      }
      .remedies {
        margin: 12px 16px;
      }
      .notice > p {
        margin: 0 0 8px;
      }
      .notice button.link {
        margin-left: -6px;
      }
      dialog {
        color: var(--vscode-editorWidget-foreground, inherit);
        background: var(--vscode-editorWidget-background);
        border: 1px solid var(--hairline);
        border-radius: 6px;
        padding: 16px 24px;
        box-shadow: 0 0 16px var(--vscode-widget-shadow);
      }
      dialog h2 {
        font-size: 1.1em;
        margin: 0 0 8px;
      }
      dialog td {
        padding: 4px 20px 4px 0;
      }
      dialog button {
        margin-top: 12px;
      }
      /* Beside another editor: the detail below the list, or over it where there is no room for both. */
      @media (max-width: 719px) {
        .panes {
          grid-template-columns: minmax(0, 1fr);
        }
        .panes.detail {
          grid-template-rows: minmax(0, 2fr) minmax(0, 3fr);
        }
        .panes:not(.detail) sae-feature-detail {
          display: none;
        }
        sae-feature-detail {
          border-left: none;
          border-top: 1px solid var(--hairline);
        }
      }
      /* There the name has a line of its own, and so have a key and what it does. */
      @media (max-width: 479px) {
        .title {
          flex-wrap: wrap;
          row-gap: 4px;
        }
        .title .about {
          display: none;
        }
        .title .right {
          flex: 1 0 100%;
          display: flex;
          flex-wrap: wrap;
          gap: 4px;
          align-items: baseline;
        }
        .count {
          margin-right: auto;
        }
        dialog tr,
        dialog td {
          display: block;
          padding: 0;
        }
        dialog tr {
          margin-bottom: 6px;
        }
      }
      @media (max-width: 719px) and (max-height: 559px) {
        .panes.detail {
          grid-template-rows: minmax(0, 1fr);
        }
        .panes.detail sae-feature-list,
        main:has(.panes.detail) sae-filter-bar {
          display: none;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("keydown", this.#onKey);
    onNotification(connection, featureBrowserView, "annotationsChanged", () => void this.#reload());
    onNotification(connection, featureBrowserView, "indexChanged", () => this.#startOver());
    onNotification(connection, featureBrowserView, "canLabelChanged", ({ canLabel }) => {
      if (this.snapshot) this.snapshot = { ...this.snapshot, canLabel };
    });
    onNotification(connection, featureBrowserView, "show", ({ feature }) => this.#goTo(feature));
    void this.#start();
  }

  async #start(): Promise<void> {
    try {
      // The first rows are asked for at once: they don't depend on what the ensemble is called.
      const [snapshot] = await Promise.all([
        host("ready", {}),
        patternError(this.query.text) ? undefined : this.#pages.ask(this.query),
      ]);
      this.snapshot = snapshot;
      this.#ensemble = snapshot.ensembleFolder;
      if (this.#indexTime !== undefined && this.#indexTime !== snapshot.indexTime) {
        // The index was made anew while nobody looked: the number is another feature's.
        this.selection = new Set();
        this.#asked = -1;
      }
      this.#indexTime = snapshot.indexTime;
      this.#keep();
      const first = this.snapshot.open ?? this.selection.values().next().value ?? this.#pages.at(0)?.feature;
      if (first !== undefined) {
        const opened = this.#open(first, this.snapshot.open !== null || this.detailOpen);
        await Promise.all([opened, this.#pointAt(first)]);
      }
    } catch (error) {
      this.fatal = messageOf(error);
      this.fatalCode = (error as { code?: unknown }).code;
    }
  }

  /** Another index: what was chosen, shown and tried is of features that are no more. */
  #startOver(): void {
    this.#detailRequest++;
    this.#field = undefined;
    this.#asked = -1;
    this.fatal = "";
    this.detail = undefined;
    this.detailError = "";
    this.loading = false;
    this.trouble = "";
    this.selection = new Set();
    this.cursor = 0;
    this.#anchor = 0;
    this.copied = -1;
    this.tried = undefined;
    void this.#start();
  }

  async #reload(): Promise<void> {
    await this.#pages.refresh();
    // Meanwhile another one may have been asked for: an answer about the one before would take its place.
    if (this.detail && this.#asked >= 0) await this.#open(this.#asked, this.detailOpen);
  }

  #keep(): void {
    saveViewState({
      ...(this.#indexTime !== undefined && { indexTime: this.#indexTime }),
      ensemble: this.#ensemble,
      query: this.query,
      feature: this.#asked,
      detailOpen: this.detailOpen,
    });
  }

  #ask(query: ListQuery): void {
    const typed = query.text !== this.query.text;
    this.query = query;
    this.cursor = -1;
    this.#anchor = 0;
    this.#awaited = undefined;
    clearTimeout(this.#searchTimer);
    // A pattern that is half typed is said to be none at once.
    if (!patternError(query.text)) this.#searchTimer = setTimeout(() => void this.#showRows(query), typed ? 150 : 0);
    this.#keep();
  }

  /** The rows of another query, from the first on. */
  async #showRows(query: ListQuery): Promise<void> {
    await this.#pages.ask(query);
    this.#list?.reveal(0);
  }

  /** Opens a feature that something other than the list named, and its row in the list, if it is among the rows. */
  #goTo(feature: number): void {
    this.#field = undefined;
    this.selection = new Set([feature]);
    void this.#open(feature);
    void this.#pointAt(feature);
  }

  /** Moves the cursor to the row of the feature that was asked for, however far down; to none where the query leaves it out. */
  async #pointAt(feature: number): Promise<void> {
    const { query } = this;
    this.#awaited = undefined;
    // A query that can't be answered is the rows' matter, which say why.
    const asked = async () => (await host("place", { query, feature }).catch(() => ({ place: null }))).place;
    const place = this.#pages.placeOf(feature) ?? (await asked()) ?? -1;
    // Meanwhile another feature or other rows may have been asked for.
    if (feature !== this.#asked || query !== this.query) return;
    this.cursor = place;
    this.#anchor = Math.max(0, place);
  }

  async #open(feature: number, show = true): Promise<void> {
    const mine = ++this.#detailRequest;
    if (feature !== this.#asked) this.trouble = "";
    this.#asked = feature;
    if (show) this.detailOpen = true;
    if (this.detail?.row.feature !== feature) this.loading = true;
    try {
      const detail = await host("detail", { feature });
      if (mine !== this.#detailRequest) return;
      this.detail = detail;
      this.detailError = "";
      if (this.selection.size <= 1) this.selection = new Set([feature]);
    } catch (error) {
      if (mine !== this.#detailRequest) return;
      this.detailError = messageOf(error);
      this.#field = undefined;
    }
    this.loading = false;
    this.#keep();
    await this.#enterField();
  }

  /** Moves to the label or the note of the feature that was asked for, at once or when it has arrived: a field of the one before would take what is meant for this one. */
  #edits(name: FieldName): void {
    this.#field = new AwaitedField(name);
    // Where there is room for the list alone, the field is shown first.
    this.detailOpen = true;
    this.#keep();
    if (!this.#onItsWay) void this.#enterField();
  }

  /** Whether another feature than the detail shows has been asked for. */
  get #onItsWay(): boolean {
    return this.loading || this.#awaited !== undefined;
  }

  async #enterField(): Promise<void> {
    await this.updateComplete;
    const detail = this.#detailPane;
    await detail?.updateComplete;
    const field = this.#field;
    if (!field || this.#onItsWay) return;
    this.#field = undefined;
    detail?.edit(field.name, field.typed);
  }

  #choose({ place, feature, toggle, extend }: Pick<Chosen, "place" | "feature" | "toggle" | "extend">): void {
    this.cursor = place;
    if (extend) {
      this.#selecting = this.#selectFromAnchor(place);
      return;
    }
    if (toggle) {
      const selection = new Set(this.selection);
      if (!selection.delete(feature)) selection.add(feature);
      this.selection = selection;
    } else {
      this.selection = new Set([feature]);
      void this.#open(feature);
    }
    this.#anchor = place;
  }

  /** Rows between that aren't here are fetched first: what is flagged together is all that lies between. */
  async #selectFromAnchor(place: number): Promise<void> {
    const [from, to] = [Math.min(this.#anchor, place), Math.max(this.#anchor, place)];
    try {
      const rows = await this.#pages.range(from, to);
      if (this.cursor === place) this.selection = new Set(rows.map(({ feature }) => feature));
    } catch (error) {
      this.trouble = messageOf(error);
    }
  }

  #move(by: number, extend: boolean): void {
    const total = this.#pages.total ?? 0;
    if (total === 0) return;
    const place = Math.max(0, Math.min(total - 1, this.cursor + by));
    const row = this.#pages.at(place);
    this.cursor = place;
    this.#awaited = row ? undefined : { place, extend };
    if (row) this.#choose({ place, feature: row.feature, toggle: false, extend });
    else this.#pages.want(place, place);
  }

  /** Rows have come: opens the one that the cursor waits on. */
  #arrived(): void {
    this.version++;
    if (this.#awaited === undefined) return;
    const { place, extend } = this.#awaited;
    const row = this.#pages.at(place);
    if (!row) return;
    this.#awaited = undefined;
    this.#choose({ place, feature: row.feature, toggle: false, extend });
  }

  #annotate(change: { features: number[]; flagged?: boolean; label?: string; note?: string }): Promise<void> {
    return this.#edit(() => host("annotate", change));
  }

  /** Changes flags, labels or notes; what goes wrong is said in the detail, above what there is now. */
  async #edit(change: () => Promise<unknown>): Promise<void> {
    this.trouble = "";
    try {
      await change();
    } catch (error) {
      this.trouble = messageOf(error);
    }
    await this.#reload();
  }

  /** Has the host do something; what goes wrong is said in the detail. */
  #tell<K extends "buildIndex" | "close" | "openSource" | "openNeuronpedia" | "labelWithModel">(
    name: K,
    params: Parameters<typeof request<typeof featureBrowserHost, K>>[3],
  ): void {
    this.trouble = "";
    // The host may ask the user in between.
    host(name, params, { timeout: 3_600_000 }).catch((error: Error) => {
      if (this.fatal) this.fatal = error.message;
      else this.trouble = error.message;
    });
  }

  async #copy(detail: FeatureDetail): Promise<void> {
    this.trouble = "";
    try {
      await host("copy", { text: featureAsMarkdown(detail) });
    } catch (error) {
      this.trouble = messageOf(error);
      return;
    }
    this.copied = detail.row.feature;
    clearTimeout(this.#copiedTimer);
    this.#copiedTimer = setTimeout(() => {
      this.copied = -1;
    }, confirmation);
  }

  async #flagSelection(): Promise<void> {
    await this.#selecting;
    const features = [...this.selection];
    if (features.length === 0) return;
    // After a search the cursor is on its first row, and what is selected is still what the detail shows.
    const row = [this.#pages.at(this.cursor), this.detail?.row].find((one) => one && this.selection.has(one.feature));
    await this.#annotate({ features, flagged: !row?.flagged });
  }

  async #try(text: string): Promise<void> {
    this.tryBusy = true;
    this.tryError = "";
    try {
      this.tried = await host("tryText", { text }, { timeout: 120_000 });
    } catch (error) {
      this.tryError = messageOf(error);
    }
    this.tryBusy = false;
  }

  get #detailPane(): SaeFeatureDetail | null {
    return this.renderRoot.querySelector<SaeFeatureDetail>("sae-feature-detail");
  }

  get #list(): SaeFeatureList | null {
    return this.renderRoot.querySelector<SaeFeatureList>("sae-feature-list");
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    const typing = event
      .composedPath()
      .some((node) => node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement);
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !typing) {
      event.preventDefault();
      // Above the document, VS Code takes the key as well and has the page undo what was typed last, in a field that it moves to.
      event.stopPropagation();
      void this.#edit(() => host("undo", {}));
      return;
    }
    // What was typed is taken: the keys are the list's again.
    const leaves = ({ id }: HTMLElement) => oneLine.has(id) || (id === "note" && (event.ctrlKey || event.metaKey));
    if (event.key === "Enter" && event.composedPath().some((node) => node instanceof HTMLElement && leaves(node))) {
      this.#list?.focus();
      return;
    }
    if (this.#field?.take(event)) {
      event.preventDefault();
      return;
    }
    if (event.key === "Escape") {
      const awaited = this.#field;
      this.#field = undefined;
      if (awaited) return;
      // A search box would empty itself; the search is to stay and x clears it.
      event.preventDefault();
      if (this.help) this.help = false;
      else if (typing) this.#list?.focus();
      else this.detailOpen = false;
      this.#keep();
      return;
    }
    if (typing || (this.help && event.key !== "?") || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Record<string, () => void> = {
      j: () => this.#move(1, false),
      k: () => this.#move(-1, false),
      ArrowDown: () => this.#move(1, event.shiftKey),
      ArrowUp: () => this.#move(-1, event.shiftKey),
      PageDown: () => this.#move(10, event.shiftKey),
      PageUp: () => this.#move(-10, event.shiftKey),
      Home: () => this.#move(-Number.MAX_SAFE_INTEGER, event.shiftKey),
      End: () => this.#move(Number.MAX_SAFE_INTEGER, event.shiftKey),
      Enter: () => {
        const row = this.#pages.at(this.cursor);
        if (row) void this.#open(row.feature);
        else this.#move(1, false);
      },
      f: () => void this.#flagSelection(),
      l: () => this.#edits("label"),
      n: () => this.#edits("note"),
      "/": () => this.renderRoot.querySelector<SaeFilterBar>("sae-filter-bar")?.focusSearch(),
      x: () => this.#ask(everything),
      "?": () => {
        this.help = !this.help;
      },
    };
    const interactive = event
      .composedPath()
      .some(
        (node) =>
          node instanceof HTMLButtonElement || (node instanceof HTMLElement && node.tagName.startsWith("VSCODE-")),
      );
    if (
      interactive &&
      (event.key === "Enter" || event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End")
    )
      return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    this.#field = undefined;
    action();
  };

  protected override updated(changed: PropertyValues<this>): void {
    const dialog = this.renderRoot.querySelector("dialog");
    if (!dialog || !changed.has("help")) return;
    if (this.help) dialog.showModal();
    else dialog.close();
  }

  override render() {
    const { snapshot } = this;
    if (this.fatal) return this.#closed(this.fatal);
    if (!snapshot) return html`<main>${untitled}<p class="notice" role="status">Opening the feature index…</p></main>`;
    const kind = snapshot.members > 1 ? `${snapshot.method} of ${snapshot.members}` : snapshot.method;
    const about = `${kind} · ${snapshot.hook} · ${snapshot.corpusTokens.toLocaleString("en-US")} tokens indexed`;
    return html`<main>
      <div class="title">
        <h1>${snapshot.title}</h1>
        <span class="about dim" title=${about}>${about}</span>
        <span class="right">
          <span class="count" role="status">${this.selection.size > 1 ? `${count(this.selection.size)} selected · ` : ""}${this.#found} of ${count(snapshot.width)}</span>
          ${
            snapshot.canTryText
              ? html`<button class="plain outlined" aria-pressed=${this.trying ? "true" : "false"} @click=${() => {
                  this.trying = !this.trying;
                }}>Try text</button>`
              : nothing
          }
          <button class="plain outlined" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" @click=${() => {
            this.help = !this.help;
          }}>?</button>
        </span>
      </div>
      <sae-filter-bar
        .query=${this.query}
        .members=${snapshot.members}
        @query=${(event: CustomEvent<ListQuery>) => this.#ask(event.detail)}
      ></sae-filter-bar>
      ${
        this.trying
          ? html`<sae-try-text
              .result=${this.tried}
              .error=${this.tryError}
              .busy=${this.tryBusy}
              @try=${(event: CustomEvent<{ text: string }>) => void this.#try(event.detail.text)}
              @open=${(event: CustomEvent<{ feature: number }>) => this.#goTo(event.detail.feature)}
            ></sae-try-text>`
          : nothing
      }
      <div class=${this.detailOpen ? "panes detail" : "panes"}>
        ${this.#rows(snapshot)}
        <sae-feature-detail
          .detail=${this.detail}
          .error=${this.trouble || this.detailError}
          .loading=${this.loading}
          .copied=${this.copied >= 0 && this.copied === this.detail?.row.feature}
          @back=${() => {
            this.detailOpen = false;
            this.#keep();
          }}
          @open=${(event: CustomEvent<{ feature: number }>) => this.#goTo(event.detail.feature)}
          @flag=${(event: CustomEvent<{ feature: number; flagged: boolean }>) => void this.#annotate({ features: [event.detail.feature], flagged: event.detail.flagged })}
          @label=${(event: CustomEvent<{ feature: number; label: string }>) => void this.#annotate({ features: [event.detail.feature], label: event.detail.label })}
          @note=${(event: CustomEvent<{ feature: number; note: string }>) => void this.#annotate({ features: [event.detail.feature], note: event.detail.note })}
          .canLabel=${snapshot.canLabel}
          @source=${(event: CustomEvent<SourceQuestion>) => this.#tell("openSource", event.detail)}
          @neuronpedia=${(event: CustomEvent<{ feature: number }>) => this.#tell("openNeuronpedia", event.detail)}
          @labelWithModel=${(event: CustomEvent<{ feature: number }>) =>
            this.#tell("labelWithModel", {
              features: this.selection.has(event.detail.feature) ? [...this.selection] : [event.detail.feature],
            })}
          @copy=${(event: CustomEvent<FeatureDetail>) => void this.#copy(event.detail)}
        ></sae-feature-detail>
      </div>
      <dialog aria-labelledby="keys" @close=${() => {
        this.help = false;
      }}>
        <h2 id="keys">Keyboard</h2>
        <table>${keys.map(([key, what]) => html`<tr><td><kbd>${key}</kbd></td><td>${what}</td></tr>`)}</table>
        <button class="plain outlined" @click=${() => {
          this.help = false;
        }}>Close</button>
      </dialog>
    </main>`;
  }

  /** What stands where the index could not be opened, and what to do. */
  #closed(reason: string) {
    if (this.fatalCode === ENSEMBLE_DELETED)
      return html`<main>${untitled}
        <p class="notice" role="status">${reason}
          <button class="plain outlined" @click=${() => this.#tell("close", {})}>Close</button>
        </p>
      </main>`;
    return html`<main>${untitled}
      <p class="error" role="alert">${reason}</p>
      <p class="remedies">
        <button class="plain outlined" @click=${() => {
          this.fatal = "";
          void this.#start();
        }}>Try Again</button>
        ${this.fatalCode === ANNOTATIONS_DAMAGED ? nothing : html`<button class="plain outlined" title="Has the run's index job build what is missing or damaged; flags and labels stay" @click=${() => this.#tell("buildIndex", {})}>Build Feature Index</button>`}
      </p>
    </main>`;
  }

  /** How many features the query finds. */
  get #found(): string {
    if (this.#pages.error || patternError(this.query.text)) return "–";
    return this.#pages.total === null ? "…" : count(this.#pages.total);
  }

  #rows(snapshot: Snapshot) {
    const wrong = patternError(this.query.text);
    if (wrong) return html`<p class="error" role="alert">${this.query.text.trim()}: ${wrong}</p>`;
    if (this.#pages.error)
      return html`<p class="error" role="alert">${this.#pages.error}
        <button class="plain outlined" @click=${() => this.#ask(this.query)}>Try Again</button>
      </p>`;
    if (this.#pages.total === 0) return this.#noRows(snapshot);
    return html`<sae-feature-list
      .pages=${this.#pages}
      .version=${this.version}
      .selection=${this.selection}
      .cursor=${this.cursor}
      .members=${snapshot.members}
      @choose=${(event: CustomEvent<Chosen>) => {
        this.#field = undefined;
        this.#choose(event.detail);
      }}
      @flag=${(event: CustomEvent<Chosen>) => void this.#annotate({ features: [event.detail.feature], flagged: event.detail.flagged })}
    ></sae-feature-list>`;
  }

  /** That nothing matches, and where else a word may be found: a tokenizer splits those that are rare. */
  #noRows({ width }: Snapshot) {
    const { text } = this.query;
    const phrase = `"${text.trim()}"`;
    return html`<div class="notice">
      <p>Nothing matches among ${count(width)} features.
        <button class="plain link" @click=${() => this.#ask(everything)}>Clear search and filters (x)</button></p>
      ${
        searchesOneToken(text)
          ? html`<p>A token is looked for among the 32 strongest of each feature; a rare word is several tokens.
              <button class="plain link" @click=${() => this.#ask({ ...this.query, text: phrase })}>Search for ${phrase} in the texts where features fire</button></p>`
          : nothing
      }
    </div>`;
  }
}
customElements.define("sae-feature-browser", SaeFeatureBrowser);

// Which documents are inspected with which ensemble, and what the service said of them: asked anew a moment after each edit or scroll, the question before cancelled.
import { existsSync } from "node:fs";
import * as vscode from "vscode";
import type { DocumentKind, InspectedDocument, InspectedToken, NamedFeature } from "../../protocol/inspection.ts";
import { inspectingContext } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { ensembleWords } from "../words.ts";

/** Milliseconds of quiet before a document is read again. */
const quiet = 150;
/** Characters of a document that are sent as a whole; of longer ones, this much around what is seen. */
const mostSent = 200_000;
/** Opening a model for the first time may convert its weights. */
const patience = 10 * 60_000;
/** Features with colours of their own. */
export const mostPinned = 4;

export interface Inspected {
  readonly document: vscode.TextDocument;
  /** Version of the document that the result is of; an older one says nothing about the text as it is now. */
  readonly version: number;
  /** Offset of what was sent. */
  readonly base: number;
  /** Features of `result.pinned`. */
  readonly pinned: readonly number[];
  readonly result: InspectedDocument;
  readonly rows: ReadonlyMap<number, NamedFeature>;
}

type Phase =
  | { readonly state: "waiting" }
  | { readonly state: "reading" }
  | { readonly state: "done" }
  | { readonly state: "failed"; readonly reason: string }
  /** The ensemble was deleted or moved. */
  | { readonly state: "gone"; readonly reason: string };

interface Entry {
  readonly document: vscode.TextDocument;
  inspected: Inspected | undefined;
  phase: Phase;
  timer: NodeJS.Timeout | undefined;
  abort: AbortController | undefined;
}

export class TextInspector implements vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #store: RunStore;
  readonly #memory: vscode.Memento;
  readonly #entries = new Map<string, Entry>();
  readonly #changed = new vscode.EventEmitter<void>();
  /** Another result, phase, ensemble or choice of features. */
  readonly onChanged = this.#changed.event;
  readonly #subscriptions: vscode.Disposable[];
  #pinned: number[] = [];
  #last: vscode.TextEditor | undefined;
  /** Features of the ensemble that answers have told of. */
  #named = new Map<number, NamedFeature>();

  constructor(service: ServiceClient, store: RunStore, memory: vscode.Memento) {
    this.#service = service;
    this.#store = store;
    this.#memory = memory;
    this.#subscriptions = [
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.#soon(document)),
      vscode.workspace.onDidCloseTextDocument((document) => this.turnOff(document)),
      vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => this.#scrolled(textEditor)),
      vscode.window.onDidChangeActiveTextEditor(() => this.#tell()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#tell()),
      service.on("annotationsChanged", ({ ensemble }) => {
        if (ensemble === this.ensemble) this.#again();
      }),
      store.onChanged(() => this.#listed()),
    ];
  }

  /** Folder of the ensemble that texts are read through. */
  get ensemble(): string | undefined {
    return this.#memory.get("inspection.ensemble");
  }

  /** "run · ensemble" */
  get ensembleName(): string | undefined {
    const { ensemble } = this;
    return ensemble && ensembleWords(ensemble);
  }

  /** Features shown in colours of their own; none: every token by its strongest feature. */
  get pinned(): readonly number[] {
    return this.#pinned;
  }

  async choose(ensemble: string): Promise<void> {
    if (ensemble === this.ensemble) return;
    await this.#memory.update("inspection.ensemble", ensemble);
    this.#pinned = [];
    this.#named = new Map();
    for (const entry of this.#entries.values()) entry.inspected = undefined;
    this.#again();
  }

  pin(features: readonly number[]): void {
    this.#pinned = [...new Set(features)].slice(-mostPinned);
    this.#again();
  }

  /** The active editor; while a panel has the focus, the one that was active before, if it is still to be seen. */
  get editor(): vscode.TextEditor | undefined {
    const { activeTextEditor: active, visibleTextEditors: visible } = vscode.window;
    if (active) this.#last = active;
    else if (this.#last && !visible.includes(this.#last)) this.#last = undefined;
    return this.#last;
  }

  isOn(document: vscode.TextDocument): boolean {
    return this.#entries.has(document.uri.toString());
  }

  /** What is on already is read again. */
  turnOn(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    const entry = this.#entries.get(key) ?? {
      document,
      inspected: undefined,
      phase: { state: "waiting" },
      timer: undefined,
      abort: undefined,
    };
    this.#entries.set(key, entry);
    void this.#read(entry);
  }

  turnOff(document: vscode.TextDocument): void {
    const entry = this.#entries.get(document.uri.toString());
    if (!entry) return;
    clearTimeout(entry.timer);
    entry.abort?.abort();
    this.#entries.delete(document.uri.toString());
    this.#tell();
  }

  phase(document: vscode.TextDocument): Phase | undefined {
    return this.#entries.get(document.uri.toString())?.phase;
  }

  /** What is known of a document, perhaps of an older version of it. */
  of(document: vscode.TextDocument): Inspected | undefined {
    return this.#entries.get(document.uri.toString())?.inspected;
  }

  /** A feature of the ensemble, if any answer has told of it. */
  named(feature: number): NamedFeature | undefined {
    return this.#named.get(feature);
  }

  /** The tokens at a place of the document as it is now: several where they share a character. */
  tokensAt(document: vscode.TextDocument, position: vscode.Position): readonly InspectedToken[] {
    const inspected = this.of(document);
    if (!inspected || inspected.version !== document.version) return [];
    const at = document.offsetAt(position) - inspected.base;
    return inspected.result.tokens.filter(({ start, end }) => start <= at && at < end);
  }

  dispose(): void {
    for (const { document } of [...this.#entries.values()]) this.turnOff(document);
    vscode.Disposable.from(this.#changed, ...this.#subscriptions).dispose();
  }

  #tell(): void {
    const document = this.editor?.document;
    void vscode.commands.executeCommand("setContext", inspectingContext, document ? this.isOn(document) : false);
    this.#changed.fire();
  }

  #again(): void {
    for (const entry of this.#entries.values()) void this.#read(entry);
    this.#tell();
  }

  /** Deleted or moved, and not only watched no longer. */
  get #gone(): boolean {
    const { ensemble } = this;
    return ensemble !== undefined && !this.#store.has(ensemble) && !existsSync(ensemble);
  }

  /** Texts lose what was said of them with the ensemble that said it, and are read again when it is back. */
  #listed(): void {
    const gone = this.#gone;
    for (const entry of this.#entries.values()) if (gone !== (entry.phase.state === "gone")) void this.#read(entry);
  }

  #soon(document: vscode.TextDocument): void {
    const entry = this.#entries.get(document.uri.toString());
    if (!entry) return;
    entry.abort?.abort();
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => void this.#read(entry), quiet);
  }

  /** Of a document that is read in part, another part may be wanted. */
  #scrolled({ document }: vscode.TextEditor): void {
    const entry = this.#entries.get(document.uri.toString());
    const read = entry?.inspected?.result.read;
    const partial = read && read.end - read.start < lengthOf(document);
    if (entry && (partial || kindOf(document) !== "text")) this.#soon(document);
  }

  async #read(entry: Entry): Promise<void> {
    const { document } = entry;
    const ensemble = this.ensemble;
    if (!ensemble) return;
    clearTimeout(entry.timer);
    entry.abort?.abort();
    const abort = new AbortController();
    entry.abort = abort;
    if (this.#gone) {
      // Another one in its place would have other features under the same numbers.
      this.#pinned = [];
      this.#named = new Map();
      entry.inspected = undefined;
      entry.phase = { state: "gone", reason: `${this.ensembleName} is gone: it was deleted or moved.` };
      this.#tell();
      return;
    }
    entry.phase = { state: "reading" };
    this.#tell();
    const { version } = document;
    const { text, base, visible } = sentPart(document);
    const question = { ensemble, document: document.uri.toString(), kind: kindOf(document), text, visible };
    const pinned = this.#pinned;
    const ask = (likelihoods: boolean) =>
      this.#service.request(
        "inspect",
        { ...question, pinned, likelihoods },
        { timeout: patience, signal: abort.signal },
      );
    try {
      // Features first: tints are there while probabilities are still being read.
      for (const likelihoods of [false, true]) {
        const result = await ask(likelihoods);
        if (entry.abort !== abort) return;
        const rows = new Map(result.rows.map((row) => [row.feature, row]));
        for (const row of result.rows) this.#named.set(row.feature, row);
        entry.inspected = { document, version, base, pinned, result, rows };
        if (result.likelihoods) break;
        this.#tell();
      }
      entry.phase = { state: "done" };
    } catch (error) {
      if (entry.abort !== abort || abort.signal.aborted) return;
      entry.inspected = undefined;
      entry.phase = { state: "failed", reason: (error as Error).message };
    }
    this.#tell();
  }
}

/** How a document's texts are found: by its language or its name. */
export function kindOf(document: vscode.TextDocument): DocumentKind {
  const [, extension] = /\.(jsonl|ndjson|csv|tsv)$/i.exec(document.uri.path) ?? [];
  if (document.languageId === "jsonl" || extension === "jsonl" || extension === "ndjson") return "jsonl";
  return extension === "csv" || extension === "tsv" ? extension : "text";
}

/** Characters of a document, without making one string of it. */
function lengthOf(document: vscode.TextDocument): number {
  return document.offsetAt(document.lineAt(document.lineCount - 1).range.end);
}

/** What goes to the service: everything, or whole lines around what is seen. Folded lines lie within what is seen. */
export function sentPart(
  document: vscode.TextDocument,
  around?: vscode.Position,
): { text: string; base: number; visible: { start: number; end: number } } {
  const { activeTextEditor, visibleTextEditors } = vscode.window;
  const editor = [activeTextEditor, ...visibleTextEditors].find((shown) => shown?.document === document);
  const seen = around ? [new vscode.Range(around, around)] : (editor?.visibleRanges ?? []);
  const [start, end] = [
    document.offsetAt(seen[0]?.start ?? new vscode.Position(0, 0)),
    document.offsetAt(seen.at(-1)?.end ?? new vscode.Position(0, 0)),
  ];
  if (lengthOf(document) <= mostSent) {
    return { text: document.getText(), base: 0, visible: { start, end } };
  }
  const from = document.positionAt(Math.max(0, start - mostSent / 2)).line;
  const base = document.offsetAt(new vscode.Position(from, 0));
  const to = document.positionAt(Math.max(Math.min(end, start + mostSent / 2), base + mostSent));
  const text = document.getText(new vscode.Range(new vscode.Position(from, 0), to));
  return { text, base, visible: { start: start - base, end: end - base } };
}

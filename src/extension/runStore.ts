// What is known of the runs in this workspace, kept up to date by the service, for every view that shows them.
import * as vscode from "vscode";
import type { EnsembleEntry, RunEntry } from "../protocol/service.ts";
import { experimentFiles, settings } from "./ids.ts";
import type { ServiceClient } from "./serviceClient.ts";

/** Most experiment files whose runs are looked for, and most runs that are remembered. */
const mostExperiments = 1000;
const mostRemembered = 100;
/** Key of the workspace's memory: folders of runs that were started from here, wherever they lie. */
const rememberedKey = "runs.started";

export class RunStore implements vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #memory: vscode.Memento;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onChanged = this.#changed.event;
  readonly #subscriptions: vscode.Disposable[] = [];
  /** Rows that are selected in the Ensembles view: what a command without an argument is about. */
  selectedEnsembles: readonly { run: RunEntry; ensemble: EnsembleEntry }[] = [];
  #experiments: ReadonlySet<string> = new Set();
  #runs: readonly RunEntry[] = [];
  #imports: readonly string[] = [];
  #loaded = false;
  #trouble = "";

  constructor(service: ServiceClient, memory: vscode.Memento) {
    this.#service = service;
    this.#memory = memory;
    const written = vscode.workspace.createFileSystemWatcher(experimentFiles.pattern, false, true, false);
    this.#subscriptions.push(
      service.on("runsChanged", ({ runs, imports }) => {
        this.#runs = runs;
        this.#imports = imports;
        this.#loaded = true;
        this.#trouble = "";
        this.#changed.fire();
      }),
      service.onStarted(() => void this.#ask()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => void this.watch()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration(`${settings.section}.${settings.nodePath}`)) void this.watch();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.#ask()),
      written,
      written.onDidCreate(({ fsPath }) => this.#add(fsPath)),
      written.onDidDelete(({ fsPath }) => void this.#know(this.#experiments.difference(new Set([fsPath])))),
      // VS Code tells of no file that came in one go with its folder.
      vscode.workspace.onDidOpenTextDocument((document) => {
        if (vscode.languages.match(experimentFiles, document)) this.#add(document.uri.fsPath);
      }),
    );
  }

  get runs(): readonly RunEntry[] {
    return this.#runs;
  }

  /** Experiment files of imported SAEs that have not been evaluated and indexed yet. */
  get imports(): readonly string[] {
    return this.#imports;
  }

  /** Whether the service has answered yet: before, a view shows nothing rather than "no runs". */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Why the service can't be asked; empty where it can. */
  get trouble(): string {
    return this.#trouble;
  }

  get ensembles(): readonly { run: RunEntry; ensemble: EnsembleEntry }[] {
    return this.#runs.flatMap((run) => run.ensembles.map((ensemble) => ({ run, ensemble })));
  }

  /** Those that texts can be read through. */
  get readable(): readonly { run: RunEntry; ensemble: EnsembleEntry }[] {
    return this.ensembles.filter(({ ensemble }) => ensemble.indexed && !ensemble.damage);
  }

  /** Whether an ensemble is there. */
  has(folder: string): boolean {
    return this.ensembles.some(({ ensemble }) => ensemble.folder === folder);
  }

  /** When an ensemble's index was written; null where it has none, or isn't known. */
  indexTime(folder: string): number | null {
    return this.ensembles.find(({ ensemble }) => ensemble.folder === folder)?.ensemble.indexTime ?? null;
  }

  /** Waits for the service's first answer: a command right after the start must not find an empty workspace. Throws why there is none. */
  async listed(): Promise<void> {
    if (this.#loaded) return;
    await this.#ask();
    if (this.#trouble) throw new Error(this.#trouble);
  }

  /** Asks the service to watch the workspace's runs: first those in the usual places, then those of experiments that only a search finds. */
  async watch(): Promise<void> {
    await this.#ask();
    const found = await vscode.workspace.findFiles(experimentFiles.pattern, "**/node_modules/**", mostExperiments);
    await this.#know(new Set(found.map(({ fsPath }) => fsPath)));
  }

  /** Watches a run that lies where nobody would look, from now on and in windows to come. */
  async remember(folder: string): Promise<void> {
    if (this.#runs.some((run) => run.folder === folder)) return;
    const others = this.#memory.get<string[]>(rememberedKey, []).filter((known) => known !== folder);
    await this.#memory.update(rememberedKey, [...others, folder].slice(-mostRemembered));
    await this.#ask();
  }

  #add(experiment: string): void {
    void this.#know(this.#experiments.union(new Set([experiment])));
  }

  async #know(experiments: ReadonlySet<string>): Promise<void> {
    const news = experiments.symmetricDifference(this.#experiments).size > 0;
    this.#experiments = experiments;
    if (news) await this.#ask();
  }

  async #ask(): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? [])
      .filter(({ uri }) => uri.scheme === "file")
      .map(({ uri }) => uri.fsPath);
    if (folders.length === 0) return;
    const runs = this.#memory.get<string[]>(rememberedKey, []);
    // An experiment says where its run lies: anywhere, another machine's share among it, so somebody has to trust it first.
    const experiments = vscode.workspace.isTrusted ? [...this.#experiments] : [];
    try {
      await this.#service.request("watchRuns", { folders, experiments, runs });
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error);
      this.#changed.fire();
    }
  }

  dispose(): void {
    vscode.Disposable.from(this.#changed, ...this.#subscriptions).dispose();
  }
}

// What is known of the runs in this workspace, kept up to date by the service, for every view that shows them.
import * as vscode from "vscode";
import type { EnsembleEntry, RunEntry } from "../protocol/service.ts";
import type { ServiceClient } from "./serviceClient.ts";

export class RunStore implements vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onChanged = this.#changed.event;
  readonly #subscriptions: vscode.Disposable[] = [];
  /** Rows that are selected in the Ensembles view: what a command without an argument is about. */
  selectedEnsembles: readonly { run: RunEntry; ensemble: EnsembleEntry }[] = [];
  #runs: readonly RunEntry[] = [];
  #loaded = false;

  constructor(service: ServiceClient) {
    this.#service = service;
    service.on("runsChanged", ({ runs }) => {
      this.#runs = runs;
      this.#loaded = true;
      this.#changed.fire();
    });
    this.#subscriptions.push(
      service.onStarted(() => void this.watch()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => void this.watch()),
    );
  }

  get runs(): readonly RunEntry[] {
    return this.#runs;
  }

  /** Whether the service has answered yet: before, a view shows nothing rather than "no runs". */
  get loaded(): boolean {
    return this.#loaded;
  }

  get ensembles(): readonly { run: RunEntry; ensemble: EnsembleEntry }[] {
    return this.#runs.flatMap((run) => run.ensembles.map((ensemble) => ({ run, ensemble })));
  }

  /** Those that texts can be read through. */
  get readable(): readonly { run: RunEntry; ensemble: EnsembleEntry }[] {
    return this.ensembles.filter(({ ensemble }) => ensemble.indexed && !ensemble.damage);
  }

  /** Waits for the service's first answer: a command right after the start must not find an empty workspace. */
  async listed(): Promise<void> {
    if (!this.#loaded) await this.watch();
  }

  /** Asks the service to watch the workspace's folders. */
  async watch(): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? [])
      .filter(({ uri }) => uri.scheme === "file")
      .map(({ uri }) => uri.fsPath);
    if (folders.length > 0) await this.#service.request("watchRuns", { folders }).catch(() => {});
  }

  dispose(): void {
    vscode.Disposable.from(this.#changed, ...this.#subscriptions).dispose();
  }
}

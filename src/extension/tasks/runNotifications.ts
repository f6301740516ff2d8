// Notifications of runs: progress that can be cancelled for those started in this window, and a word when one ends that was seen at work.
import * as vscode from "vscode";
import type { RunEntry } from "../../protocol/service.ts";
import { commands, settings } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { describeRun, isAtWork } from "../words.ts";

export class RunNotifications implements vscode.Disposable {
  readonly #store: RunStore;
  readonly #service: ServiceClient;
  readonly #shown = new Set<string>();
  readonly #followed = new vscode.EventEmitter<void>();
  /** A run is followed from now on, or no more. */
  readonly onFollowed = this.#followed.event;
  #atWork = new Set<string>();
  readonly #subscription: vscode.Disposable;

  constructor(store: RunStore, service: ServiceClient) {
    this.#store = store;
    this.#service = service;
    this.#subscription = store.onChanged(() => this.#look());
  }

  /** Shows the progress of a run until it ends. Cancelling stops it with a checkpoint, or takes it out of the queue. */
  follow(folder: string): void {
    const wanted = vscode.workspace.getConfiguration(settings.section).get<boolean>(settings.progressNotification);
    if (!wanted || this.#shown.has(folder)) return;
    this.#shown.add(folder);
    this.#followed.fire();
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true };
    void vscode.window.withProgress(options, async (progress, token) => {
      token.onCancellationRequested(() => void this.#service.request("stop", { folder }));
      await new Promise<void>((resolve) => {
        const look = () => {
          const run = this.#store.runs.find((candidate) => candidate.folder === folder);
          if (!run || !isAtWork(run.state)) {
            listening.dispose();
            resolve();
            return;
          }
          const cancel = run.state === "queued" ? "leaves the queue" : "keeps a checkpoint";
          progress.report({ message: `${run.name}: ${describeRun(run)} (Cancel ${cancel})` });
        };
        const listening = this.#store.onChanged(look);
        look();
      });
      this.#shown.delete(folder);
      this.#followed.fire();
    });
  }

  /** Whether a notification shows the run's progress; VS Code shows one that was put away in the status bar. */
  follows(folder: string): boolean {
    return this.#shown.has(folder);
  }

  #look(): void {
    for (const run of this.#store.runs)
      if (this.#atWork.has(run.folder) && !isAtWork(run.state)) void this.#tellEnd(run);
    this.#atWork = new Set(this.#store.runs.filter(({ state }) => isAtWork(state)).map(({ folder }) => folder));
  }

  async #tellEnd(run: RunEntry): Promise<void> {
    const [dashboard, browse, resume] = ["Open Dashboard", "Browse Features", "Resume"];
    let answer: string | undefined;
    if (run.state === "done") {
      const actions = run.ensembles.some(({ indexed }) => indexed) ? [browse, dashboard] : [dashboard];
      answer = await vscode.window.showInformationMessage(`${run.name}: ${describeRun(run)}.`, ...actions);
    } else if (run.state === "failed") {
      answer = await vscode.window.showErrorMessage(`${run.name} failed: ${run.reason}`, resume, dashboard);
    }
    if (answer === browse) await vscode.commands.executeCommand(commands.browseFeatures, run);
    else if (answer === dashboard) await vscode.commands.executeCommand(commands.openDashboard, run);
    else if (answer === resume) await vscode.commands.executeCommand(commands.resumeRun, run);
  }

  dispose(): void {
    vscode.Disposable.from(this.#subscription, this.#followed).dispose();
  }
}

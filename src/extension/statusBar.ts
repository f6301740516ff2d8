// The status bar item: what runs now and how far it is, where no notification says so; a click opens its dashboard.
import * as vscode from "vscode";
import type { RunEntry } from "../protocol/service.ts";
import { commands } from "./ids.ts";
import type { RunStore } from "./runStore.ts";
import type { RunNotifications } from "./tasks/runNotifications.ts";
import { describeRun, isAtWork } from "./words.ts";

export class RunStatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem("saeEnsembles.run", vscode.StatusBarAlignment.Left, 50);
  readonly #subscriptions: vscode.Disposable[];

  constructor(store: RunStore, notifications: RunNotifications) {
    this.#item.name = "SAE Ensembles: run";
    const show = () => this.#show(store.runs.filter(({ folder }) => !notifications.follows(folder)));
    this.#subscriptions = [store.onChanged(show), notifications.onFollowed(show)];
  }

  #show(runs: readonly RunEntry[]): void {
    const atWork = runs.filter((run) => isAtWork(run.state));
    const run = atWork.find((candidate) => candidate.state === "running") ?? atWork[0];
    if (!run) {
      this.#item.hide();
      return;
    }
    const others = atWork.length > 1 ? ` +${atWork.length - 1}` : "";
    this.#item.text = `$(${run.state === "running" ? "sync~spin" : "clock"}) ${run.name}: ${describeRun(run)}${others}`;
    this.#item.tooltip = `SAE Ensembles · ${run.folder}`;
    this.#item.command = { command: commands.openDashboard, title: "Open", arguments: [run] };
    this.#item.show();
  }

  dispose(): void {
    vscode.Disposable.from(this.#item, ...this.#subscriptions).dispose();
  }
}

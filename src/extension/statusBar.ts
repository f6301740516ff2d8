// The status bar item: what runs now and how far it is; a click opens its dashboard.
import * as vscode from "vscode";
import { commands } from "./ids.ts";
import type { RunStore } from "./runStore.ts";
import { describeRun, isAtWork } from "./words.ts";

export class RunStatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem("saeEnsembles.run", vscode.StatusBarAlignment.Left, 50);
  readonly #subscription: vscode.Disposable;

  constructor(store: RunStore) {
    this.#item.name = "SAE Ensembles: run";
    this.#subscription = store.onChanged(() => this.#show(store));
  }

  #show(store: RunStore): void {
    const atWork = store.runs.filter((run) => isAtWork(run.state));
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
    this.#subscription.dispose();
    this.#item.dispose();
  }
}

// The Runs view: one row a run with its state, its progress and what can be done with it.
import * as vscode from "vscode";
import type { RunEntry } from "../../protocol/service.ts";
import { commands } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import { describeRun, isAtWork } from "../words.ts";

const icons: Record<RunEntry["state"], vscode.ThemeIcon> = {
  queued: new vscode.ThemeIcon("clock"),
  running: new vscode.ThemeIcon("sync~spin"),
  stopped: new vscode.ThemeIcon("debug-pause"),
  failed: new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground")),
  done: new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed")),
  damaged: new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground")),
};

export class RunsTree implements vscode.TreeDataProvider<RunEntry> {
  readonly #store: RunStore;
  readonly onDidChangeTreeData: vscode.Event<void>;

  constructor(store: RunStore) {
    this.#store = store;
    this.onDidChangeTreeData = store.onChanged;
  }

  async getChildren(run?: RunEntry): Promise<RunEntry[]> {
    if (run) return [];
    // What went wrong stands above the rows; to ask again and again would start the service again and again.
    if (!this.#store.trouble) await this.#store.listed().catch(() => {});
    return [...this.#store.runs];
  }

  getTreeItem(run: RunEntry): vscode.TreeItem {
    const item = new vscode.TreeItem(run.name);
    item.id = run.folder;
    item.description = describeRun(run);
    item.iconPath = icons[run.state];
    const traits = [
      run.report ? "report" : "",
      run.ensembles.some((ensemble) => ensemble.indexed) ? "index" : "",
      run.ensembles.some((ensemble) => ensemble.damage === "") ? "ensembles" : "",
    ];
    item.contextValue = ["run", run.state, ...traits].filter(Boolean).join(":");
    const advice =
      run.state === "damaged"
        ? "Restore the file from a backup or from git. Or delete run.json and run the experiment again: ensembles that come out the same keep their flags, others are moved aside with theirs."
        : "";
    const lines = [`**${run.name}** · ${run.state}`, run.reason, advice, `\`${run.folder}\``];
    item.tooltip = new vscode.MarkdownString(lines.filter(Boolean).join("\n\n"));
    item.accessibilityInformation = { label: `${run.name}, ${describeRun(run)}` };
    if (run.state !== "damaged") item.command = { command: commands.openDashboard, title: "Open", arguments: [run] };
    return item;
  }
}

/** How many runs are at work or wait, for the activity bar; undefined for none. */
export function badgeOf(store: RunStore): vscode.ViewBadge | undefined {
  const value = store.runs.filter(({ state }) => isAtWork(state)).length;
  return value === 0
    ? undefined
    : { value, tooltip: value === 1 ? "1 run at work" : `${value} runs at work or queued` };
}

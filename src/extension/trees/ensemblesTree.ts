// The Ensembles view: every ensemble of every run, with its method and headline numbers; without any, a row that imports.
import { basename } from "node:path";
import * as vscode from "vscode";
import { seedSetOf } from "../../protocol/seedSet.ts";
import type { EnsembleEntry, RunEntry } from "../../protocol/service.ts";
import { notIndexed } from "../commands/wayToIndex.ts";
import { commands } from "../ids.ts";
import type { RunStore } from "../runStore.ts";

export interface EnsembleNode {
  readonly run: RunEntry;
  readonly ensemble: EnsembleEntry;
}

/** The one row of an empty view. VS Code hides an empty tree behind its welcome text, and nothing can be dropped on what is hidden. */
export const IMPORT_ROW = "import";

/** Imported SAEs that no run has evaluated and indexed yet. */
export interface ImportNode {
  readonly experiment: vscode.Uri;
}
export type EnsembleRow = EnsembleNode | ImportNode | typeof IMPORT_ROW;

export class EnsemblesTree implements vscode.TreeDataProvider<EnsembleRow> {
  readonly #store: RunStore;
  readonly onDidChangeTreeData: vscode.Event<void>;

  constructor(store: RunStore) {
    this.#store = store;
    this.onDidChangeTreeData = store.onChanged;
  }

  getChildren(node?: EnsembleRow): EnsembleRow[] {
    if (node) return [];
    const { ensembles, imports, loaded } = this.#store;
    const rows = [...imports.map((file) => ({ experiment: vscode.Uri.file(file) })), ...ensembles];
    return rows.length === 0 && loaded ? [IMPORT_ROW] : rows;
  }

  getTreeItem(row: EnsembleRow): vscode.TreeItem {
    if (row === IMPORT_ROW) return importItem();
    return "experiment" in row ? importedItem(row) : ensembleItem(row);
  }
}

function importedItem({ experiment }: ImportNode): vscode.TreeItem {
  const item = new vscode.TreeItem(basename(experiment.fsPath, ".sae.jsonc"));
  item.id = experiment.toString();
  item.description = "imported · no index";
  item.iconPath = new vscode.ThemeIcon("cloud-download");
  item.contextValue = "import";
  item.tooltip = new vscode.MarkdownString(
    `**${basename(experiment.fsPath, ".sae.jsonc")}** · imported SAEs\n\nNot evaluated and indexed yet: Run Experiment does both, and nothing is trained.\n\n\`${experiment.fsPath}\``,
  );
  item.command = { command: "vscode.open", title: "Open Experiment", arguments: [experiment] };
  return item;
}

function importItem(): vscode.TreeItem {
  const item = new vscode.TreeItem("Import SAEs…");
  item.description = "or drop them here";
  item.iconPath = new vscode.ThemeIcon("cloud-download");
  item.tooltip =
    "SAEs of SAELens, dictionary_learning, sparsify, Gemma Scope and OpenAI, one or a bag of them, become an ensemble like your own.";
  item.command = { command: commands.importSaes, title: "Import SAEs" };
  return item;
}

function ensembleItem({ run, ensemble }: EnsembleNode): vscode.TreeItem {
  const item = new vscode.TreeItem(`${run.name} · ${ensemble.name}`);
  item.id = ensemble.folder;
  if (ensemble.damage) {
    item.description = "damaged";
    item.tooltip = `${ensemble.damage}\n\nRestore the file from a backup. Or delete the ensemble: running the experiment again trains it again.`;
    item.iconPath = new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
    item.contextValue = "ensemble:damaged";
    return item;
  }
  const { seedSet } = seedSetOf(ensemble.name);
  const set = seedSet > 1 ? `seed set ${seedSet}` : "";
  const size = ensemble.members > 1 ? `${ensemble.method} ×${ensemble.members}` : ensemble.method;
  const quality = ensemble.explainedVariance === null ? "" : `EV ${ensemble.explainedVariance.toFixed(3)}`;
  // Most are called as their method is: said once, the number that matters has room.
  const named = ensemble.name.startsWith(ensemble.method);
  const short = !named ? size : ensemble.members > 1 ? `×${ensemble.members}` : "";
  const index = ensemble.indexed ? "" : "no index";
  item.description = [short, quality, set, index].filter(Boolean).join(" · ");
  if (ensemble.replaced) item.description = [short, `replaced ${ensemble.replaced}`].filter(Boolean).join(" · ");
  item.accessibilityInformation = {
    label: [run.name, ensemble.name, size, quality, set, index].filter(Boolean).join(", "),
  };
  item.iconPath = new vscode.ThemeIcon(
    ensemble.replaced ? "history" : ensemble.members > 1 ? "layers" : "circle-outline",
  );
  item.contextValue = `ensemble:${ensemble.replaced ? "replaced" : "current"}${ensemble.indexed ? ":indexed" : ensemble.indexable && run.state === "done" ? ":indexable" : ""}`;
  if (ensemble.indexDamage) {
    item.description = [short, "index damaged"].filter(Boolean).join(" · ");
    item.iconPath = new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
  }
  item.tooltip = new vscode.MarkdownString(
    [
      [`**${ensemble.name}**`, size, set].filter(Boolean).join(" · "),
      `${ensemble.features.toLocaleString("en-US")} features at \`${ensemble.hook}\``,
      ensemble.explainedVariance === null
        ? ""
        : `explained variance ${ensemble.explainedVariance.toFixed(4)} · L0 ${ensemble.l0?.toFixed(1) ?? "–"}`,
      ensemble.replaced
        ? `Training put another ensemble in its place (${ensemble.replaced}). Kept with its index, flags and labels.`
        : "",
      ensemble.indexDamage,
      indexAdvice(ensemble),
      ensemble.annotated ? `${ensemble.annotated.toLocaleString("en-US")} features flagged, labelled or noted` : "",
      `\`${ensemble.folder}\``,
    ]
      .filter(Boolean)
      .join("\n\n"),
  );
  item.command = { command: commands.browseFeatures, title: "Browse Features", arguments: [{ run, ensemble }] };
  return item;
}

/** Why there is no index to browse, and what to do. */
function indexAdvice(ensemble: EnsembleEntry): string {
  if (ensemble.indexed) return "";
  if (ensemble.replaced) return "No feature index.";
  return ensemble.indexable
    ? "No feature index that can be read: Build Feature Index makes one."
    : `No feature index. ${notIndexed(ensemble)}`;
}

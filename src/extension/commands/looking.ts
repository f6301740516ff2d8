// Commands that open what a run found: the feature browser and the report.
import { join } from "node:path";
import * as vscode from "vscode";
import type { RunEntry } from "../../protocol/service.ts";
import type { EnsembleNode } from "../trees/ensemblesTree.ts";
import type { Parts } from "./register.ts";
import { pick } from "./runs.ts";

/** Of an ensemble (a folder, or a row of a tree), of a run, or of whichever one chooses. */
export async function browseFeatures(
  { store, browsers }: Parts,
  target?: string | EnsembleNode | RunEntry,
): Promise<void> {
  if (typeof target === "string") return browsers.show(target);
  if (target && "ensemble" in target) return browsers.show(target.ensemble.folder);
  const indexed = store.ensembles.filter(
    ({ run, ensemble }) => ensemble.indexed && (!target || run.folder === target.folder),
  );
  if (indexed.length === 0) {
    void vscode.window.showInformationMessage("No ensemble with a feature index yet. Run an experiment, or the demo.");
    return;
  }
  if (indexed.length === 1) return browsers.show(indexed[0]!.ensemble.folder);
  const items = indexed.map(({ run, ensemble }) => ({
    label: `${run.name} · ${ensemble.name}`,
    description: `${ensemble.features.toLocaleString("en-US")} features at ${ensemble.hook}`,
    folder: ensemble.folder,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: "Browse which ensemble's features?" });
  if (chosen) browsers.show(chosen.folder);
}

/** Asks what the Features view is searched by; nothing clears it. */
export async function filterFeatures({ features }: Parts): Promise<void> {
  const filter = await vscode.window.showInputBox({
    title: "Filter Features",
    prompt: 'A token, "words of a context", /pattern/, or label:words. Empty shows everything.',
    value: features.filter,
  });
  if (filter !== undefined) features.filter = filter.trim();
}

export function clearFeatureFilter({ features }: Parts): void {
  features.filter = "";
}

export async function openReport(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen = run ?? (await pick(parts, "Open which report?", (entry) => entry.report));
  if (chosen)
    await vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.file(join(chosen.folder, "report.md")));
}

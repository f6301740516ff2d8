// Commands that open what a run found: the feature browser, the debias and the concept view, the report.
import { join } from "node:path";
import * as vscode from "vscode";
import type { RunEntry } from "../../protocol/service.ts";
import type { EnsembleNode } from "../trees/ensemblesTree.ts";
import { offerWay } from "./offerWay.ts";
import type { Parts } from "./register.ts";
import { pick } from "./runs.ts";
import { wayToIndexOf } from "./wayToIndex.ts";

type Target = string | EnsembleNode | RunEntry;

/** Of an ensemble (a folder, or a row of a tree), of a run, or of whichever one chooses. Without an index there is nothing to open: the way to one is offered. */
export async function browseFeatures({ store, browsers }: Parts, target?: Target): Promise<void> {
  const ensemble = await indexedEnsemble(store, target, "Browse which ensemble's features?");
  if (ensemble !== undefined) browsers.show(ensemble);
}

/** The debias view of an ensemble; from a feature browser's title, of the one that it shows. */
export async function debias({ store, browsers, debiasings }: Parts, target?: Target | vscode.Uri): Promise<void> {
  const ensemble = await indexedEnsemble(store, shownOr(target, browsers), "Debias with which ensemble's features?");
  if (ensemble !== undefined) debiasings.show(ensemble);
}

export async function openConcepts({ store, browsers, concepts }: Parts, target?: Target | vscode.Uri): Promise<void> {
  const ensemble = await indexedEnsemble(store, shownOr(target, browsers), "Detect concepts with which ensemble?");
  if (ensemble !== undefined) concepts.show(ensemble);
}

function shownOr(target: Target | vscode.Uri | undefined, browsers: Parts["browsers"]): Target | undefined {
  return target === undefined || target instanceof vscode.Uri ? browsers.active : target;
}

async function indexedEnsemble(
  store: Parts["store"],
  target: Target | undefined,
  title: string,
): Promise<string | undefined> {
  const meant = typeof target === "object" && "ensemble" in target ? target.ensemble.folder : target;
  if (typeof meant === "string") {
    const node = store.ensembles.find(({ ensemble }) => ensemble.folder === meant);
    if (!node || node.ensemble.indexed || node.ensemble.damage) return meant;
    // A page that asked need not wait for what a person chooses.
    void offerWay(wayToIndexOf(node, vscode.workspace.isTrusted));
    return undefined;
  }
  await store.listed();
  const indexed = store.ensembles.filter(
    ({ run, ensemble }) => ensemble.indexed && (!meant || run.folder === meant.folder),
  );
  if (indexed.length === 0) {
    void vscode.window.showInformationMessage("No ensemble with a feature index yet. Run an experiment, or the demo.");
    return undefined;
  }
  if (indexed.length === 1) return indexed[0]!.ensemble.folder;
  const items = indexed.map(({ run, ensemble }) => ({
    label: `${run.name} · ${ensemble.name}`,
    description: `${ensemble.features.toLocaleString("en-US")} features at ${ensemble.hook}`,
    folder: ensemble.folder,
  }));
  return (await vscode.window.showQuickPick(items, { title }))?.folder;
}

/** Asks what the Features view is searched by; nothing clears it. */
export async function filterFeatures({ features }: Parts): Promise<void> {
  const filter = await vscode.window.showInputBox({
    title: "Filter Features",
    prompt:
      'A token or /pattern/ among the 32 strongest of each feature, "words of a context", or label:words. Empty shows everything.',
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

// Commands on ensembles: compare, reveal, delete.
import * as vscode from "vscode";
import { showComparison } from "../panels/ensembleComparisonPanel.ts";
import type { EnsembleNode } from "../trees/ensemblesTree.ts";
import type { Parts } from "./register.ts";

/** Of the rows selected, or of those that one chooses. */
export async function compareEnsembles(
  { context, service, store }: Parts,
  row?: EnsembleNode,
  selected?: readonly EnsembleNode[],
): Promise<void> {
  await store.listed();
  const given = (selected ?? (row ? [row] : store.selectedEnsembles)).filter(({ ensemble }) => ensemble.damage === "");
  const chosen = given.length > 1 ? given.map(({ ensemble }) => ensemble.folder) : await choose(store.ensembles, given);
  if (chosen.length > 1) showComparison(context.extensionUri, service, chosen);
}

async function choose(all: readonly EnsembleNode[], picked: readonly EnsembleNode[]): Promise<string[]> {
  const whole = all.filter(({ ensemble }) => ensemble.damage === "");
  if (whole.length < 2) {
    void vscode.window.showInformationMessage("There is nothing to compare yet: it takes two ensembles.");
    return [];
  }
  const items = whole.map(({ run, ensemble }) => ({
    label: `${run.name} · ${ensemble.name}`,
    description: `${ensemble.method}${ensemble.members > 1 ? ` ×${ensemble.members}` : ""} at ${ensemble.hook}`,
    folder: ensemble.folder,
    picked: picked.some((node) => node.ensemble.folder === ensemble.folder),
  }));
  const title = "Compare which ensembles? (two or more)";
  const chosen = await vscode.window.showQuickPick(items, { title, canPickMany: true });
  if (chosen?.length === 1) void vscode.window.showInformationMessage("A comparison takes two ensembles or more.");
  return chosen?.map(({ folder }) => folder) ?? [];
}

export async function deleteEnsemble({ service }: Parts, node: EnsembleNode): Promise<void> {
  const { run, ensemble } = node;
  const { annotated } = ensemble;
  const words =
    annotated === null
      ? ", its feature index, and its flags and labels"
      : annotated === 0
        ? " and its feature index"
        : `, its feature index, and what was said about ${annotated === 1 ? "one feature" : `${annotated} features`}`;
  const again = ensemble.replaced ? "" : " Running the experiment again trains it again.";
  const answer = await vscode.window.showWarningMessage(
    `Delete the ensemble “${run.name} · ${ensemble.name}”${words}?`,
    { modal: true, detail: `${ensemble.folder}\n\nThis can't be undone.${again}` },
    "Delete",
  );
  if (answer === "Delete") await service.request("deleteEnsemble", { ensemble: ensemble.folder }, { timeout: 120_000 });
}

export async function revealEnsemble(_: Parts, { ensemble }: EnsembleNode): Promise<void> {
  await vscode.commands.executeCommand("revealInExplorer", vscode.Uri.file(ensemble.folder));
}

// Commands on runs: start, stop, resume, reveal, delete, open.
import * as vscode from "vscode";
import type { RunEntry } from "../../protocol/service.ts";
import type { EnsembleNode, ImportNode } from "../trees/ensemblesTree.ts";
import { describeRun, isAtWork } from "../words.ts";
import { offerWay } from "./offerWay.ts";
import type { Parts } from "./register.ts";
import { notIndexed, wayToIndexOf } from "./wayToIndex.ts";

export async function runDemo({ service, tasks, store }: Parts): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) throw new Error("Open a folder first: a run is a folder in it.");
  const { experiment } = await service.request("createDemo", { folder: folder.uri.fsPath });
  const uri = vscode.Uri.file(experiment);
  await vscode.window.showTextDocument(uri);
  await tasks.run(uri);
  await store.watch();
}

/** Of an experiment file, of imported SAEs' row, or of the editor's file. */
export async function runExperiment({ tasks, store }: Parts, target?: vscode.Uri | ImportNode): Promise<void> {
  await tasks.run(await experimentFile(target && "experiment" in target ? target.experiment : target));
  await store.watch();
}

/** Of an experiment file (with its settings as they are now), of a run, or of the editor's file, or of whichever one chooses. */
export async function evaluate(parts: Parts, target?: vscode.Uri | RunEntry | EnsembleNode): Promise<void> {
  const { tasks, store } = parts;
  const open = vscode.window.activeTextEditor?.document.uri;
  const file = target instanceof vscode.Uri ? target : !target && isExperiment(open) ? open : undefined;
  if (file) {
    await tasks.run(await experimentFile(file), ["evaluate"]);
  } else {
    const run =
      runOf(target as RunEntry | EnsembleNode | undefined) ?? (await pick(parts, "Evaluate which run?", isEvaluable));
    if (!run) return;
    if (!isEvaluable(run))
      throw new Error(`${run.name} is ${run.state}: its ensembles can be evaluated once it is done.`);
    await tasks.resume(run.folder, run.name, ["evaluate"]);
  }
  await store.watch();
}

function runOf(target: RunEntry | EnsembleNode | undefined): RunEntry | undefined {
  return target && "ensemble" in target ? target.run : target;
}

function isEvaluable(run: RunEntry): boolean {
  return run.state === "done" && run.ensembles.some(({ damage }) => damage === "");
}

/** Builds what is missing, damaged or out of date of a run's feature indices. Of an ensemble that its experiment makes none of, says so. */
export async function buildIndex(parts: Parts, target?: RunEntry | EnsembleNode | string): Promise<void> {
  // A browser knows its ensemble by the folder.
  const node =
    typeof target === "string" ? parts.store.ensembles.find(({ ensemble }) => ensemble.folder === target) : target;
  if (node && "ensemble" in node && notIndexed(node.ensemble)) {
    void offerWay(wayToIndexOf(node, vscode.workspace.isTrusted));
    return;
  }
  const run = runOf(node) ?? (await pick(parts, "Build the feature index of which run?", isEvaluable));
  if (run) await parts.tasks.resume(run.folder, run.name, ["index"]);
}

export async function stopRun(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen = run ?? (await pick(parts, "Stop which run?", (entry) => isAtWork(entry.state)));
  if (chosen) await parts.service.request("stop", { folder: chosen.folder });
}

export async function resumeRun(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen =
    run ?? (await pick(parts, "Resume which run?", (entry) => entry.state === "stopped" || entry.state === "failed"));
  if (chosen) await parts.tasks.resume(chosen.folder, chosen.name);
}

export async function deleteRun(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen =
    run ?? (await pick(parts, "Delete which run?", (entry) => !isAtWork(entry.state) && entry.state !== "damaged"));
  if (!chosen) return;
  const answer = await vscode.window.showWarningMessage(
    `Delete the run “${chosen.name}” with its activations, ensembles, flags and labels?`,
    { modal: true, detail: chosen.folder },
    "Delete",
  );
  if (answer === "Delete") await parts.service.request("delete", { folder: chosen.folder }, { timeout: 120_000 });
}

export async function revealRun(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen = run ?? (await pick(parts, "Reveal which run?", () => true));
  if (chosen) await vscode.commands.executeCommand("revealInExplorer", vscode.Uri.file(chosen.folder));
}

export async function openDashboard(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen = run ?? (await pick(parts, "Open which run's dashboard?", (entry) => entry.state !== "damaged"));
  if (chosen) parts.dashboards.show(chosen);
}

export async function showLog(parts: Parts, run?: RunEntry): Promise<void> {
  const chosen = run ?? (await pick(parts, "Show which run's log?", (entry) => entry.state !== "damaged"));
  if (chosen) await parts.tasks.showLog(chosen.folder, chosen.name);
}

function isExperiment(uri: vscode.Uri | undefined): uri is vscode.Uri {
  return uri?.path.endsWith(".sae.jsonc") === true;
}

/** The file given, or the editor's, saved. */
async function experimentFile(given: vscode.Uri | undefined): Promise<vscode.Uri> {
  const uri = given ?? vscode.window.activeTextEditor?.document.uri;
  if (!isExperiment(uri))
    throw new Error("Open an experiment file (*.sae.jsonc) first, or make one with New Experiment.");
  const document = vscode.workspace.textDocuments.find((open) => open.uri.toString() === uri.toString());
  if (document?.isDirty) await document.save();
  return uri;
}

/** Lets a person choose among the runs that fit; says so where there are none. */
export async function pick(
  { store }: Parts,
  title: string,
  fits: (run: RunEntry) => boolean,
): Promise<RunEntry | undefined> {
  await store.listed();
  const runs = store.runs.filter(fits);
  if (runs.length === 0) {
    void vscode.window.showInformationMessage("There is no such run in this workspace.");
    return undefined;
  }
  if (runs.length === 1) return runs[0];
  const items = runs.map((run) => ({ label: run.name, description: describeRun(run), detail: run.folder, run }));
  return (await vscode.window.showQuickPick(items, { title }))?.run;
}

// Commands on inspected text: turn it on and off, choose the ensemble, tint, pin, flag, label, intervene.
import * as vscode from "vscode";
import type { FeatureHere, Ranking } from "../../protocol/inspection.ts";
import { partOf, showFile, showPart } from "../editor/fileParts.ts";
import type { Place } from "../editor/followedEditor.ts";
import { Hint } from "../hint.ts";
import { rankings } from "../trees/featuresHereTree.ts";
import type { FeatureNode } from "../trees/featuresTree.ts";
import { featureWords } from "../words.ts";
import { offerWay } from "./offerWay.ts";
import type { Parts } from "./register.ts";
import { wayToIndex } from "./wayToIndex.ts";

/** Schemes whose editors show no text of a person's. */
export const notTexts = new Set(["output", "vscode-terminal", "debug"]);

/** The active text; files chosen in the Explorer (`chosen`); or the notebook cell whose button was pressed, which also turns it off again. */
export async function inspectText(
  parts: Parts,
  target?: vscode.NotebookCell | vscode.Uri,
  chosen?: unknown,
): Promise<void> {
  const cell = target && "document" in target ? target.document : undefined;
  if (cell && parts.inspector.isOn(cell)) {
    parts.inspector.turnOff(cell);
    return;
  }
  const files = target instanceof vscode.Uri && Array.isArray(chosen) ? (chosen as vscode.Uri[]) : undefined;
  const documents = cell ? [cell] : files ? await shown(files) : await documentsToInspect();
  if (documents.length === 0 || !(await requireEnsemble(parts))) return;
  for (const document of documents) parts.inspector.turnOn(document);
}

async function shown(files: readonly vscode.Uri[]): Promise<vscode.TextDocument[]> {
  const documents: vscode.TextDocument[] = [];
  for (const file of files) documents.push(await showFile(file));
  return documents;
}

export function stopInspecting({ inspector }: Parts): void {
  const active = inspector.editor?.document;
  for (const document of sidesOfDiff() ?? (active ? [active] : [])) inspector.turnOff(document);
}

/** Both texts of the diff editor that is in front; undefined where none is. */
function sidesOfDiff(): vscode.TextDocument[] | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (!(input instanceof vscode.TabInputTextDiff)) return undefined;
  const sides = [input.original.toString(), input.modified.toString()];
  return vscode.workspace.textDocuments.filter(({ uri }) => sides.includes(uri.toString()));
}

/** The active text; both sides of a diff; or an answer why there is none. */
async function documentsToInspect(): Promise<vscode.TextDocument[]> {
  const { activeTextEditor: editor, tabGroups } = vscode.window;
  const input = tabGroups.activeTabGroup.activeTab?.input;
  const sides = sidesOfDiff();
  if (sides) return sides;
  if (editor && notTexts.has(editor.document.uri.scheme)) throw new Hint("Output can't be inspected. Open a text.");
  if (editor) return [editor.document];
  if (input instanceof vscode.TabInputNotebook)
    throw new Hint("Put the cursor into a cell: cells are inspected one by one.");
  // An editor whose text extensions don't get: the file is too large for that.
  if (input instanceof vscode.TabInputText) return [await showPart(input.uri, 1)];
  const picked = await vscode.window.showOpenDialog({ title: "Inspect which text?", openLabel: "Inspect" });
  return picked ? shown(picked) : [];
}

/** Another part of a file that is shown in parts, inspected if the one before was. `part`, from 1, is asked for where none is given. */
export async function showFilePart({ inspector }: Parts, part?: unknown): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  const open = document && partOf(document.uri);
  if (!open) throw new Hint("This is no part of a file.");
  const { parts } = open;
  const wanted = typeof part === "number" ? part : await askForPart(open.part, parts);
  if (wanted === undefined) return;
  const inspected = inspector.isOn(document);
  const shown = await showPart(open.file, wanted);
  if (inspected) inspector.turnOn(shown);
}

async function askForPart(now: number, parts: number): Promise<number | undefined> {
  const answer = await vscode.window.showInputBox({
    title: `Part ${now} of ${parts} is shown`,
    prompt: `Which part of the file? 1 to ${parts}`,
    value: String(now < parts ? now + 1 : 1),
    validateInput: (typed) =>
      Number(typed) >= 1 && Number(typed) <= parts && Number.isInteger(Number(typed)) ? undefined : `1 to ${parts}`,
  });
  return answer === undefined ? undefined : Number(answer);
}

/** The chosen ensemble; asks where there are several and none is chosen yet. */
export async function requireEnsemble(parts: Parts): Promise<string | undefined> {
  const { inspector, store } = parts;
  await store.listed();
  const { ensemble } = inspector;
  if (ensemble && store.readable.some((entry) => entry.ensemble.folder === ensemble)) return ensemble;
  return chooseEnsemble(parts);
}

export async function chooseEnsemble({ inspector, store }: Parts): Promise<string | undefined> {
  await store.listed();
  const indexed = store.readable;
  if (indexed.length === 0) {
    await offerWay(wayToIndex(store, vscode.workspace.isTrusted));
    return undefined;
  }
  const items = indexed.map(({ run, ensemble }) => ({
    label: `${run.name} · ${ensemble.name}`,
    description: `${ensemble.features.toLocaleString("en-US")} features at ${ensemble.hook}`,
    folder: ensemble.folder,
  }));
  const chosen =
    items.length === 1
      ? items[0]
      : await vscode.window.showQuickPick(items, { title: "Read texts through which ensemble?" });
  if (chosen) await inspector.choose(chosen.folder);
  return chosen?.folder;
}

/** What the status bar item offers. */
export async function inspectionMenu(parts: Parts): Promise<void> {
  const document = parts.inspector.editor?.document;
  const phase = document && parts.inspector.phase(document);
  const items: (vscode.QuickPickItem & { run(): unknown })[] = [
    ...(document && partOf(document.uri)
      ? [{ label: "$(files) Show Another Part of This File…", run: () => showFilePart(parts) }]
      : []),
    { label: "$(eye-closed) Stop Inspecting This Text", run: () => stopInspecting(parts) },
    { label: "$(layers) Choose Another Ensemble…", run: () => chooseEnsemble(parts) },
    { label: "$(symbol-color) Tint by Strongest Feature", run: () => parts.inspector.pin([]) },
    { label: "$(list-ordered) Features Here", run: () => vscode.commands.executeCommand("saeEnsembles.here.focus") },
    { label: "$(arrow-right) Next Token", run: () => nextToken(parts) },
  ];
  const title = phase && "reason" in phase ? phase.reason : "Inspection";
  await (await vscode.window.showQuickPick(items, { title }))?.run();
}

export async function rankFeaturesHere({ here }: Parts): Promise<void> {
  const items = Object.entries(rankings).map(([ranking, label]) => ({
    label,
    ranking: ranking as Ranking,
    picked: ranking === here.ranking,
  }));
  const chosen = await vscode.window.showQuickPick(items, { title: "Rank features by" });
  if (chosen) here.rankBy(chosen.ranking);
}

/** Commands get a feature's index from a hover, or a row from the tree. */
function featureOf(target: number | FeatureHere): number {
  return typeof target === "number" ? target : target.row.feature;
}

export function tintByFeature({ inspector }: Parts, target: number | FeatureHere): void {
  inspector.pin([featureOf(target)]);
}

export function tintByStrongest({ inspector }: Parts): void {
  inspector.pin([]);
}

/** Pins a feature beside the others, or takes it away. */
export function pinFeature({ inspector }: Parts, target: number | FeatureHere): void {
  const feature = featureOf(target);
  const others = inspector.pinned.filter((pinned) => pinned !== feature);
  inspector.pin(others.length < inspector.pinned.length ? others : [...others, feature]);
}

/** A feature's row of a tree; of the Features view it names its ensemble. */
type FeatureOfTree = FeatureHere | Extract<FeatureNode, { kind: "feature" }>;

/** From a hover with ensemble, feature and the new state; from a tree with its row, or with all that are selected. */
export async function flagFeature(
  { service, inspector }: Parts,
  target: string | FeatureOfTree,
  feature?: number | readonly FeatureOfTree[],
  flagged?: boolean,
): Promise<void> {
  const ensemble = ensembleOf(target, inspector);
  if (!ensemble) return;
  if (typeof target === "string") {
    await service.request("annotate", { ensemble, features: [feature as number], flagged: flagged! });
    return;
  }
  const rows = [target, ...(Array.isArray(feature) ? (feature as FeatureOfTree[]) : [])].filter(
    (node) => "row" in node,
  );
  const features = [...new Set(rows.map(({ row }) => row.feature))];
  await service.request("annotate", { ensemble, features, flagged: !target.row.flagged });
}

function ensembleOf(target: string | FeatureOfTree, inspector: Parts["inspector"]): string | undefined {
  if (typeof target === "string") return target;
  return "ensemble" in target ? target.ensemble : inspector.ensemble;
}

export async function labelFeature({ service, inspector }: Parts, target: string | FeatureOfTree, feature?: number) {
  const ensemble = ensembleOf(target, inspector);
  if (!ensemble) return;
  const id = typeof target === "string" ? feature! : target.row.feature;
  const { row } = await service.request("detail", { ensemble, feature: id });
  const label = await vscode.window.showInputBox({
    title: `Label of ${row.member}/${row.index}`,
    prompt: featureWords({ label: "", tokens: row.tokens }),
    value: row.label,
  });
  if (label !== undefined) await service.request("annotate", { ensemble, features: [id], label });
}

export async function nextToken(parts: Parts): Promise<void> {
  if (await requireEnsemble(parts)) parts.nextToken.showHere();
}

export async function ablateFeature(
  parts: Parts,
  target: string | FeatureHere,
  feature?: number,
  place?: Place,
): Promise<void> {
  const features = [typeof target === "string" ? feature! : target.row.feature];
  await parts.nextToken.add(features, "ablate", 0, place);
}

/** Adds the feature's own maximum, or the text's where it never fired in the corpus: as if it fired as strongly as it ever did. */
export async function steerFeature(
  parts: Parts,
  target: string | FeatureHere,
  feature?: number,
  max?: number | null,
  place?: Place,
): Promise<void> {
  const [id, most] = typeof target === "string" ? [feature!, max] : [target.row.feature, target.row.max || target.max];
  await parts.nextToken.add([id], "add", most || 1, place);
}

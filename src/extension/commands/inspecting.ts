// Commands on inspected text: turn it on and off, choose the ensemble, tint, pin, flag, label, intervene, compare.
import * as vscode from "vscode";
import type { FeatureHere, Ranking } from "../../protocol/inspection.ts";
import { commands } from "../ids.ts";
import { rankings } from "../trees/featuresHereTree.ts";
import type { FeatureNode } from "../trees/featuresTree.ts";
import { featureWords } from "../words.ts";
import { bigFile } from "./bigFile.ts";
import type { Parts } from "./register.ts";

/** Schemes whose editors show no text of a person's. */
const notTexts = new Set(["output", "vscode-terminal", "debug"]);
const comparisonPatience = 10 * 60_000;
const compared = 100;

export async function inspectText(parts: Parts): Promise<void> {
  const documents = await documentsToInspect();
  if (documents.length === 0 || !(await requireEnsemble(parts))) return;
  for (const document of documents) parts.inspector.turnOn(document);
}

export function stopInspecting({ inspector }: Parts): void {
  const active = vscode.window.activeTextEditor?.document;
  if (active) inspector.turnOff(active);
}

/** The active text; both sides of a diff; or an answer why there is none. */
async function documentsToInspect(): Promise<vscode.TextDocument[]> {
  const { activeTextEditor: editor, tabGroups, visibleTextEditors } = vscode.window;
  const input = tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputTextDiff) {
    const sides = [input.original.toString(), input.modified.toString()];
    return visibleTextEditors.map(({ document }) => document).filter(({ uri }) => sides.includes(uri.toString()));
  }
  if (editor && notTexts.has(editor.document.uri.scheme)) throw new Error("Output can't be inspected. Open a text.");
  if (editor) return [editor.document];
  if (input instanceof vscode.TabInputNotebook)
    throw new Error("Put the cursor into a cell: cells are inspected one by one.");
  if (input instanceof vscode.TabInputText) return bigFile(input.uri);
  throw new Error("Open a text first, then inspect it.");
}

/** The chosen ensemble; asks where there are several and none is chosen yet. */
async function requireEnsemble(parts: Parts): Promise<string | undefined> {
  const { inspector, store } = parts;
  await store.listed();
  const indexed = store.ensembles.filter(({ ensemble }) => ensemble.indexed && !ensemble.damage);
  const { ensemble } = inspector;
  if (ensemble && indexed.some((entry) => entry.ensemble.folder === ensemble)) return ensemble;
  return chooseEnsemble(parts);
}

export async function chooseEnsemble({ inspector, store }: Parts): Promise<string | undefined> {
  await store.listed();
  const indexed = store.ensembles.filter(({ ensemble }) => ensemble.indexed && !ensemble.damage);
  if (indexed.length === 0) {
    const demo = "Run the Demo";
    const answer = await vscode.window.showInformationMessage(
      "There is no ensemble with a feature index in this workspace yet. A run makes one; the demo takes a few minutes.",
      demo,
    );
    if (answer === demo) await vscode.commands.executeCommand(commands.runDemo);
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
  const document = vscode.window.activeTextEditor?.document;
  const phase = document && parts.inspector.phase(document);
  const items: (vscode.QuickPickItem & { run(): unknown })[] = [
    { label: "$(eye-closed) Stop Inspecting This Text", run: () => stopInspecting(parts) },
    { label: "$(layers) Choose Another Ensemble…", run: () => chooseEnsemble(parts) },
    { label: "$(symbol-color) Tint by Strongest Feature", run: () => parts.inspector.pin([]) },
    { label: "$(list-ordered) Features Here", run: () => vscode.commands.executeCommand("saeEnsembles.here.focus") },
    { label: "$(arrow-right) Next Token", run: () => nextToken(parts) },
  ];
  const title = phase?.state === "failed" ? phase.reason : "Inspection";
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
    prompt: row.tokens.map(({ text }) => text.trim()).join(" "),
    value: row.label,
  });
  if (label !== undefined) await service.request("annotate", { ensemble, features: [id], label });
}

export async function nextToken(parts: Parts): Promise<void> {
  if (await requireEnsemble(parts)) parts.nextToken.show();
}

export async function ablateFeature(parts: Parts, target: string | FeatureHere, feature?: number): Promise<void> {
  await parts.nextToken.add([typeof target === "string" ? feature! : target.row.feature], "ablate", 0);
}

/** Adds the feature's own maximum: as if it fired as strongly as it ever did. */
export async function steerFeature(
  parts: Parts,
  target: string | FeatureHere,
  feature?: number,
  max?: number | null,
): Promise<void> {
  const [id, most] = typeof target === "string" ? [feature!, max] : [target.row.feature, target.row.max];
  await parts.nextToken.add([id], "add", most ?? 1);
}

/** Two selections of an editor, or the texts of two editors side by side: the features that differ most. */
export async function compareTexts(parts: Parts): Promise<void> {
  const texts = twoTexts();
  const ensemble = await requireEnsemble(parts);
  if (!ensemble) return;
  const { features, total } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: "Comparing two texts…", cancellable: true },
    (_, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const question = { ensemble, a: texts.a.text, b: texts.b.text, limit: compared };
      return parts.service.request("compare", question, { timeout: comparisonPatience, signal: abort.signal });
    },
  );
  const items = features.map(({ row, a, b }) => ({
    label: `${row.member}/${row.index}`,
    description: featureWords(row),
    detail: `${a > b ? texts.a.name : texts.b.name} more: mean ${a.toPrecision(3)} in ${texts.a.name}, ${b.toPrecision(3)} in ${texts.b.name}`,
    feature: row.feature,
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: `${texts.a.name} and ${texts.b.name}: ${features.length} of ${total.toLocaleString("en-US")} features, by the difference of their means`,
    placeHolder: "Tint by…",
    matchOnDescription: true,
  });
  if (!chosen) return;
  for (const editor of texts.editors) parts.inspector.turnOn(editor.document);
  parts.inspector.pin([chosen.feature]);
}

interface NamedText {
  readonly name: string;
  readonly text: string;
}

function twoTexts(): { a: NamedText; b: NamedText; editors: readonly vscode.TextEditor[] } {
  const { activeTextEditor: active, visibleTextEditors: visible } = vscode.window;
  const selections = active?.selections.filter((selection) => !selection.isEmpty) ?? [];
  if (active && selections.length === 2) {
    const [a, b] = selections
      .toSorted((x, y) => x.start.compareTo(y.start))
      .map((range) => active.document.getText(range));
    return { a: { name: "selection 1", text: a! }, b: { name: "selection 2", text: b! }, editors: [active] };
  }
  const editors = visible.filter(({ document }) => !notTexts.has(document.uri.scheme));
  const [first, second] = editors;
  if (first && second && editors.length === 2 && first.document !== second.document) {
    const named = ({ document }: vscode.TextEditor): NamedText => ({
      name: vscode.workspace.asRelativePath(document.uri, false),
      text: document.getText().slice(0, comparedCharacters),
    });
    return { a: named(first), b: named(second), editors };
  }
  throw new Error(
    "Select two pieces of a text (hold Alt for the second), or put two editors side by side, then compare.",
  );
}

/** Characters of each file that are compared. */
const comparedCharacters = 20_000;

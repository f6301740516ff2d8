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

/** The active text, or the notebook cell whose button was pressed; that button also turns it off again. */
export async function inspectText(parts: Parts, target?: vscode.NotebookCell | vscode.Uri): Promise<void> {
  const cell = target && "document" in target ? target.document : undefined;
  if (cell && parts.inspector.isOn(cell)) {
    parts.inspector.turnOff(cell);
    return;
  }
  const documents = cell ? [cell] : await documentsToInspect();
  if (documents.length === 0 || !(await requireEnsemble(parts))) return;
  for (const document of documents) parts.inspector.turnOn(document);
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
  const { ensemble } = inspector;
  if (ensemble && store.readable.some((entry) => entry.ensemble.folder === ensemble)) return ensemble;
  return chooseEnsemble(parts);
}

export async function chooseEnsemble({ inspector, store }: Parts): Promise<string | undefined> {
  await store.listed();
  const indexed = store.readable;
  if (indexed.length === 0) {
    await offerEnsemble(
      store.ensembles.find(({ ensemble }) => ensemble.indexable && !ensemble.damage)?.ensemble.folder,
    );
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

/** Says what is missing, with a button that makes it. `trained`: an ensemble that lacks nothing but its index. */
async function offerEnsemble(trained: string | undefined): Promise<void> {
  const [demo, index] = ["Run the Demo", "Build Feature Index"];
  const message = trained
    ? "No ensemble in this workspace has a feature index yet, which texts are read with."
    : "There is no ensemble with a feature index in this workspace yet. A run makes one; the demo takes a few minutes.";
  const answer = await vscode.window.showInformationMessage(message, trained ? index : demo);
  if (answer === index) await vscode.commands.executeCommand(commands.buildIndex, trained);
  if (answer === demo) await vscode.commands.executeCommand(commands.runDemo);
}

/** What the status bar item offers. */
export async function inspectionMenu(parts: Parts): Promise<void> {
  const document = parts.inspector.editor?.document;
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

/** Two files chosen in the Explorer, two selections of an editor, or the texts of two editors side by side: the features that differ most. */
export async function compareTexts(parts: Parts, _?: vscode.Uri, chosenFiles?: vscode.Uri[]): Promise<void> {
  const texts = chosenFiles?.length === 2 ? await twoFiles(chosenFiles) : twoTexts();
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
  const open = { iconPath: new vscode.ThemeIcon("list-flat"), tooltip: "Show This Feature" };
  const items = features.map(({ row, a, b }) => ({
    label: `${row.flagged ? "$(flag) " : ""}${row.member}/${row.index}`,
    description: featureWords(row),
    detail: `${a > b ? texts.a.name : texts.b.name} more: mean ${a.toPrecision(3)} in ${texts.a.name}, ${b.toPrecision(3)} in ${texts.b.name}`,
    buttons: [open],
    feature: row.feature,
  }));
  const pick = vscode.window.createQuickPick<(typeof items)[number]>();
  pick.items = items;
  pick.title = `${texts.a.name} and ${texts.b.name}: ${features.length} of ${total.toLocaleString("en-US")} features, by the difference of their means`;
  pick.placeholder = features.length === 0 ? "No feature fires in either text" : "Tint by…";
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  pick.ignoreFocusOut = true; // what took seconds to compute stays while its texts are looked at
  pick.onDidTriggerItemButton(({ item }) => parts.browsers.show(ensemble, item.feature));
  pick.onDidAccept(() => {
    const [chosen] = pick.selectedItems;
    pick.hide();
    if (!chosen) return;
    for (const document of texts.documents) parts.inspector.turnOn(document);
    parts.inspector.pin([chosen.feature]);
  });
  pick.onDidHide(() => pick.dispose());
  pick.show();
}

interface NamedText {
  readonly name: string;
  readonly text: string;
}

interface TwoTexts {
  readonly a: NamedText;
  readonly b: NamedText;
  readonly documents: readonly vscode.TextDocument[];
}

/** Characters of each file that are compared. */
const comparedCharacters = 20_000;

function twoTexts(): TwoTexts {
  const { activeTextEditor: active, visibleTextEditors: visible } = vscode.window;
  const selections = active?.selections.filter((selection) => !selection.isEmpty) ?? [];
  if (active && selections.length === 2) {
    const [a, b] = selections
      .toSorted((x, y) => x.start.compareTo(y.start))
      .map((range) => active.document.getText(range));
    return { a: { name: "selection 1", text: a! }, b: { name: "selection 2", text: b! }, documents: [active.document] };
  }
  const documents = [...new Set(visible.map(({ document }) => document))].filter(
    ({ uri }) => !notTexts.has(uri.scheme),
  );
  const [first, second, ...others] = documents;
  if (first && second && others.length === 0) return wholeTexts(first, second);
  throw new Error(
    "Select two pieces of a text (hold Alt for the second), put two editors side by side, or choose two files in the Explorer, then compare.",
  );
}

/** Opened side by side, so that a feature can tint both. */
async function twoFiles(files: readonly vscode.Uri[]): Promise<TwoTexts> {
  const [a, b] = [
    await vscode.workspace.openTextDocument(files[0]!),
    await vscode.workspace.openTextDocument(files[1]!),
  ];
  await vscode.window.showTextDocument(a, { preview: false });
  await vscode.window.showTextDocument(b, { preview: false, viewColumn: vscode.ViewColumn.Beside });
  return wholeTexts(a, b);
}

function wholeTexts(first: vscode.TextDocument, second: vscode.TextDocument): TwoTexts {
  const named = (document: vscode.TextDocument): NamedText => ({
    name: vscode.workspace.asRelativePath(document.uri, false),
    text: document.getText(new vscode.Range(new vscode.Position(0, 0), document.positionAt(comparedCharacters))),
  });
  return { a: named(first), b: named(second), documents: [first, second] };
}

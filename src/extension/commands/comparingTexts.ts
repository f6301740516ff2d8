// The command that compares two texts: two selections, two editors side by side, or two files chosen in the Explorer; which features differ most.
import * as vscode from "vscode";
import type { DocumentKind } from "../../protocol/inspection.ts";
import { showFile } from "../editor/fileParts.ts";
import { kindOf } from "../editor/textInspector.ts";
import { Hint } from "../hint.ts";
import { featureWords } from "../words.ts";
import { notTexts, requireEnsemble } from "./inspecting.ts";
import type { Parts } from "./register.ts";

const patience = 10 * 60_000;
/** Features that are listed. */
const listed = 100;
/** Characters of each text that are read. */
const mostCharacters = 20_000;

/** What is listed, for a key binding or another extension that runs the command. */
interface Comparison {
  readonly title: string;
  /** Means over the tokens of each text. */
  readonly features: readonly { readonly feature: number; readonly a: number; readonly b: number }[];
}

/** Two files chosen in the Explorer, two selections of an editor, or the texts of two editors side by side: the features that differ most. */
export async function compareTexts(
  parts: Parts,
  _?: vscode.Uri,
  chosenFiles?: vscode.Uri[],
): Promise<Comparison | undefined> {
  const texts = chosenFiles?.length === 2 ? await twoFiles(chosenFiles) : twoTexts();
  const ensemble = await requireEnsemble(parts);
  if (!ensemble) return undefined;
  const { features, total } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: "Comparing two texts…", cancellable: true },
    (_, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const question = { ensemble, a: texts.a.read, b: texts.b.read, limit: listed };
      return parts.service.request("compare", question, { timeout: patience, signal: abort.signal });
    },
  );
  const open = { iconPath: new vscode.ThemeIcon("list-flat"), tooltip: "Show This Feature" };
  const items = features.map(({ row, a, b }) => ({
    label: `${row.flagged ? "$(flag) " : ""}${row.member}/${row.index}`,
    description: featureWords(row),
    detail: `${a.toPrecision(3)} in ${texts.a.name} · ${b.toPrecision(3)} in ${texts.b.name}`,
    buttons: [open],
    feature: row.feature,
  }));
  const pick = vscode.window.createQuickPick<(typeof items)[number]>();
  pick.items = items;
  const title = `${titled(texts.a)} and ${titled(texts.b)}: ${features.length} of ${total.toLocaleString("en-US")} features, by the difference of their means`;
  pick.title = title;
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
  return { title, features: features.map(({ row, a, b }) => ({ feature: row.feature, a, b })) };
}

interface NamedText {
  readonly name: string;
  readonly read: { readonly text: string; readonly kind: DocumentKind };
  /** Whether there is more of it than is read. */
  readonly cut: boolean;
}

interface TwoTexts {
  readonly a: NamedText;
  readonly b: NamedText;
  readonly documents: readonly vscode.TextDocument[];
}

function titled({ name, cut }: NamedText): string {
  return cut ? `${name} (its first ${mostCharacters.toLocaleString("en-US")} characters)` : name;
}

function twoTexts(): TwoTexts {
  const { activeTextEditor: active, visibleTextEditors: visible } = vscode.window;
  const selections = active?.selections.filter((selection) => !selection.isEmpty) ?? [];
  if (active && selections.length === 2) {
    const [a, b] = selections
      .toSorted((x, y) => x.start.compareTo(y.start))
      .map((range, i) => named(`selection ${i + 1}`, active.document, range, "text"));
    return { a: a!, b: b!, documents: [active.document] };
  }
  const documents = [...new Set(visible.map(({ document }) => document))].filter(
    ({ uri }) => !notTexts.has(uri.scheme),
  );
  const [first, second, ...others] = documents;
  if (first && second && others.length === 0) return wholeTexts(first, second);
  throw new Hint(
    "Select two pieces of a text (hold Alt for the second), put two editors side by side, or choose two files in the Explorer, then compare.",
  );
}

/** Opened side by side, so that a feature can tint both. */
async function twoFiles(files: readonly vscode.Uri[]): Promise<TwoTexts> {
  const a = await showFile(files[0]!);
  const b = await showFile(files[1]!, vscode.ViewColumn.Beside);
  return wholeTexts(a, b);
}

function wholeTexts(first: vscode.TextDocument, second: vscode.TextDocument): TwoTexts {
  const [a, b] = [first, second].map((document) => {
    const everything = document.validateRange(new vscode.Range(0, 0, document.lineCount, 0));
    return named(vscode.workspace.asRelativePath(document.uri, false), document, everything, kindOf(document));
  });
  return { a: a!, b: b!, documents: [first, second] };
}

/** Of a table or jsonl the cells are compared, of a selection all that is selected. */
function named(
  name: string,
  document: vscode.TextDocument,
  { start, end }: vscode.Range,
  kind: DocumentKind,
): NamedText {
  const last = document.positionAt(document.offsetAt(start) + mostCharacters);
  const cut = last.isBefore(end);
  // Never half of a character.
  const text = document.getText(new vscode.Range(start, cut ? last : end)).replace(/[\uD800-\uDBFF]$/, "");
  return { name, read: { text, kind }, cut };
}

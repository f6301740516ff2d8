// Inspection as extensions see it, inside VS Code's extension host: hovers and marks on every kind of editor, the chat tool, and how long the host was blocked. inspection.test.ts reports it.
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import * as vscode from "vscode";
import { check, note, runChecks, until } from "./checks.ts";

const workspace = () => vscode.workspace.workspaceFolders![0]!.uri.fsPath;
const inspect = (...args: unknown[]) => vscode.commands.executeCommand("saeEnsembles.inspectText", ...args);
const never = new vscode.CancellationTokenSource().token;

async function show(name: string, content: string): Promise<vscode.TextDocument> {
  writeFileSync(join(workspace(), name), content);
  const document = await vscode.workspace.openTextDocument(join(workspace(), name));
  await vscode.window.showTextDocument(document, { preview: false });
  return document;
}

interface Card {
  readonly text: string;
  readonly range: vscode.Range;
}

/** Our hover at a place, if there is one. */
async function hover({ uri }: vscode.TextDocument, position: vscode.Position): Promise<Card | undefined> {
  const hovers = await vscode.commands.executeCommand<vscode.Hover[]>("vscode.executeHoverProvider", uri, position);
  for (const { contents, range } of hovers) {
    const text = contents.map((content) => (typeof content === "string" ? content : content.value)).join("\n");
    if (range && / id \d+ · /.test(text)) return { text, range };
  }
  return undefined;
}

/** The hover on a word, complete: features are there before probabilities. */
const hoverOn = (document: vscode.TextDocument, word: string) =>
  until(`a hover is on “${word}”`, async () => {
    const card = await hover(document, document.positionAt(document.getText().indexOf(word)));
    return card && !card.text.includes("is being read") && card;
  });

check("a text that is inspected has hovers: features with what to do, token, probability and rank", async () => {
  const document = await show("story.txt", "She was a nurse, and he was a doctor.\n");
  assert.equal(await hover(document, new vscode.Position(0, 10)), undefined);
  await inspect();
  const { text, range } = await hoverOn(document, "nurse");
  assert.match(text, /\*\*[01]\/\d+\*\*/);
  for (const link of ["flag", "label", "tint", "pin", "ablate", "steer"])
    assert.ok(text.includes(`[${link}](command:`));
  assert.match(text, /id \d+ · p .* \(log p −\d.*\), rank [\d,]+/);
  // The demo's model has this word in pieces.
  assert.ok("nurse".startsWith(document.getText(range).trim()), document.getText(range));
});

check("an edit is read again, and undoing it as well", async () => {
  const document = vscode.window.activeTextEditor!.document;
  const end = document.positionAt(document.getText().length);
  await vscode.window.activeTextEditor!.edit((edit) => edit.insert(end, "Her mother was a soldier.\n"));
  await hoverOn(document, "soldier");
  await vscode.commands.executeCommand("undo");
  const { text } = await hoverOn(document, "doctor");
  assert.match(text, /rank/);
  assert.equal(document.getText().includes("soldier"), false);
});

check("hovers stand on whole characters: emoji, joiners, combining marks, right to left, CRLF", async () => {
  const content = "Élan 👩‍⚕️ e\u0301lan\r\nשלום 日本 🇫🇷 na\u0308h\r\n";
  const document = await show("letters.txt", content);
  await inspect();
  await hoverOn(document, "lan");
  let cards = 0;
  for (let at = 0; at < content.length; at++) {
    if (/[\uDC00-\uDFFF\r\n]/.test(content[at]!)) continue;
    const position = document.positionAt(at);
    const card = await hover(document, position);
    // Spaces may belong to no token.
    if (!card) continue;
    cards++;
    assert.ok(card.range.contains(position), `the hover at ${at} is where one points`);
    const covered = document.getText(card.range);
    assert.doesNotMatch(covered, /^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/, "no half of a character");
  }
  assert.ok(cards > 20);
});

check("strengths as figures behind the tokens, once they are asked for", async () => {
  const document = await show("marks.txt", "She was a nurse, and he was a doctor.\n");
  await inspect();
  await hoverOn(document, "nurse");
  const whole = new vscode.Range(0, 0, 1, 0);
  const marks = () =>
    vscode.commands.executeCommand<vscode.InlayHint[]>("vscode.executeInlayHintProvider", document.uri, whole);
  assert.deepEqual(await marks(), []);
  const settings = vscode.workspace.getConfiguration("saeEnsembles");
  await settings.update("inspection.strengthMarks", true, vscode.ConfigurationTarget.Global);
  const shown = await until("marks are there", async () => {
    const found = await marks();
    return found.length > 0 && found;
  });
  for (const { label } of shown) assert.match(label as string, /^[▁▂▃▄▅▆▇█]$/);
  await settings.update("inspection.strengthMarks", undefined, vscode.ConfigurationTarget.Global);
});

check("of jsonl and csv the cells are read: no hover on keys and numbers", async () => {
  const rows = await show("rows.jsonl", '{"id": 7, "text": "She was a nurse."}\n');
  await inspect();
  await hoverOn(rows, "nurse");
  assert.equal(await hover(rows, rows.positionAt(3)), undefined);
  const table = await show("table.csv", 'id,text\n7,"He said ""a doctor""."\n');
  await inspect();
  await hoverOn(table, "doctor");
  assert.equal(await hover(table, new vscode.Position(1, 0)), undefined);
});

check("a very long text is read where one looks, and again where one scrolls to", async () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `Line ${i}: she was a nurse.`);
  const document = await show("long.txt", `${lines.join("\n")}\n`);
  await inspect();
  await until("the beginning is read", () => hover(document, new vscode.Position(2, 20)));
  assert.equal(await hover(document, new vscode.Position(15_000, 20)), undefined);
  vscode.window.activeTextEditor!.revealRange(
    new vscode.Range(15_000, 0, 15_000, 0),
    vscode.TextEditorRevealType.AtTop,
  );
  await until("the new place is read", () => hover(document, new vscode.Position(15_002, 20)));
});

check("a notebook's cell: the button on it turns inspection on and off", async () => {
  const cell = new vscode.NotebookCellData(vscode.NotebookCellKind.Code, "# She was a nurse.\n", "python");
  const notebook = await vscode.workspace.openNotebookDocument("jupyter-notebook", new vscode.NotebookData([cell]));
  await vscode.window.showNotebookDocument(notebook);
  const { document } = notebook.cellAt(0);
  await inspect(notebook.cellAt(0));
  await hoverOn(document, "nurse");
  await inspect(notebook.cellAt(0));
  assert.equal(await hover(document, document.positionAt(document.getText().indexOf("nurse"))), undefined);
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

check("a diff editor: both sides are inspected, and both are left together", async () => {
  const [left, right] = [await show("left.txt", "She was a nurse.\n"), await show("right.txt", "He was a nurse.\n")];
  await vscode.commands.executeCommand("vscode.diff", left.uri, right.uri);
  await until("the diff is in front", () => {
    const { activeTab } = vscode.window.tabGroups.activeTabGroup;
    return activeTab?.input instanceof vscode.TabInputTextDiff && vscode.window.activeTextEditor;
  });
  await inspect();
  await hoverOn(left, "nurse");
  await hoverOn(right, "nurse");
  await vscode.commands.executeCommand("saeEnsembles.stopInspecting");
  for (const side of [left, right]) assert.equal(await hover(side, new vscode.Position(0, 12)), undefined);
});

check("the chat tool is there, and describes from the index which features fire on a text", async () => {
  const tool = vscode.lm.tools.find(({ name }) => name === "saeEnsembles_features");
  assert.ok(tool, "vscode.lm.tools lists it");
  const ask = async (input: object) => {
    const { content } = await vscode.lm.invokeTool(tool.name, { input, toolInvocationToken: undefined }, never);
    return content.map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : "")).join("");
  };
  const said = await ask({ text: "She was a nurse." });
  assert.match(said, /^\d+ tokens read by .* through 2 sparse autoencoders \(bagging\)/);
  assert.match(
    said,
    /\n- [01]\/\d+ \(".*"\): on \d+ of \d+ tokens here \(".*"\), at most .*; fires on .*% of the corpus' tokens/,
  );
  assert.match(await ask({ text: " " }), /no text to read/);
});

check("typing into an inspected text: what a hover and the host's longest pause take", async () => {
  const document = await show("typed.txt", `${"She was a nurse, and he said that she was happy. ".repeat(118)}\n`);
  await inspect();
  await hoverOn(document, "happy");
  const editor = vscode.window.activeTextEditor!;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let typed = 0; typed < 40; typed++) {
    const end = document.positionAt(document.getText().length - 1);
    await editor.edit((edit) => edit.insert(end, typed % 5 === 4 ? " " : "a"));
    // As fast as people type, and slower: some edits are read in between, some are not.
    await new Promise((resolve) => setTimeout(resolve, typed % 10 === 9 ? 400 : 60));
  }
  await until("the last edit is read", () => hover(document, document.positionAt(document.getText().length - 2)));
  delay.disable();
  note(
    `event loop of the extension host over 40 edits of ${document.getText().length} characters: longest delay ${(delay.max / 1e6).toFixed(1)} ms, 99% below ${(delay.percentile(99) / 1e6).toFixed(1)} ms`,
  );
  const times: number[] = [];
  for (let at = 0; at < 400; at += 8) {
    const start = performance.now();
    await hover(document, new vscode.Position(0, at));
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  note(
    `hover, through the workbench and back, ${times.length} places: median ${times[times.length >> 1]!.toFixed(1)} ms, most ${times.at(-1)!.toFixed(1)} ms`,
  );
});

check("an ensemble that is gone: no hover, no numbers of before; back again, it is read anew", async () => {
  const document = await show("gone.txt", "She was a nurse.\n");
  await inspect();
  await hoverOn(document, "nurse");
  const folder = join(workspace(), "runs", "tiny", "ensembles", "bagging");
  renameSync(folder, `${folder}-elsewhere`);
  const edit = (text: string) =>
    vscode.window.activeTextEditor!.edit((edit) => edit.insert(new vscode.Position(0, 0), text));
  await edit("And ");
  await until("the failure is seen", async () => !(await hover(document, new vscode.Position(0, 16))));
  renameSync(`${folder}-elsewhere`, folder);
  await edit("And ");
  await hoverOn(document, "nurse");
});

/** Called by VS Code. */
export const run = runChecks;

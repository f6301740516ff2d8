// Inspection as extensions see it, inside VS Code's extension host: hovers and marks on every kind of editor, interventions from hovers, the chat tool. inspection.test.ts reports it.
import assert from "node:assert/strict";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
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

/** What a card's links of a title do. */
function linksOf(card: string, title: string): (() => Thenable<unknown>)[] {
  return [...card.matchAll(/\[(\w+)\]\(command:([\w.]+)\?([^)]*)\)/g)]
    .filter(([, of]) => of === title)
    .map(
      ([, , command, args]) =>
        () =>
          vscode.commands.executeCommand(command!, ...(JSON.parse(decodeURIComponent(args!)) as unknown[])),
    );
}

interface Asked {
  readonly id: number;
  readonly text: string;
  readonly likelihoods: boolean;
}

interface Message {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** All that the service was told, in order. */
function messages(): Message[] {
  const bodies = readFileSync(process.env["SAE_HOST_ASKED"]!, "utf8").split(/Content-Length: \d+\r\n\r\n/);
  return bodies.flatMap((body) => {
    try {
      return [JSON.parse(body) as Message];
    } catch {
      return []; // before the first, and the last one while it is being written
    }
  });
}

/** What the service was asked of a document, in order; and the questions that were taken back. */
function askedOf({ uri }: vscode.TextDocument): { questions: Asked[]; cancelled: Set<number> } {
  const all = messages();
  const questions = all
    .filter(({ method, params }) => method === "inspect" && params["document"] === uri.toString())
    .map(({ id, params }) => ({ id, ...(params as { text: string; likelihoods: boolean }) }));
  const cancelled = all.filter(({ method }) => method === "$/cancelRequest").map(({ params }) => Number(params["id"]));
  return { questions, cancelled: new Set(cancelled) };
}

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

check("what is pinned is marked with its colour and can be unpinned", async () => {
  const document = vscode.window.activeTextEditor!.document;
  const { text } = await hoverOn(document, "nurse");
  for (const link of linksOf(text, "pin").slice(0, 2)) await link();
  const pinned = await until("both are marked", async () => {
    const card = await hoverOn(document, "nurse");
    return card.text.includes("2 pinned features fire here") && card.text;
  });
  assert.match(pinned, /saeEnsembles-pin1.*\[unpin\].*\n.*saeEnsembles-pin2.*\[unpin\]/);
  assert.equal(linksOf(pinned, "unpin").length, 2);
  await linksOf(pinned, "unpin")[0]!();
  await until("one is left", async () => {
    const card = await hoverOn(document, "nurse");
    return linksOf(card.text, "unpin").length === 1;
  });
  await vscode.commands.executeCommand("saeEnsembles.tintByStrongest");
  await until("no mark is left", async () => {
    const card = await hoverOn(document, "nurse");
    return linksOf(card.text, "unpin").length === 0;
  });
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

check(
  "a burst of edits is one question, about the last text; what is being read when an edit comes is taken back",
  async () => {
    const document = await show("burst.txt", "The soldier read a book.\n");
    await inspect();
    await hoverOn(document, "soldier");
    const before = askedOf(document).questions.length;
    const editor = vscode.window.activeTextEditor!;
    const end = () => document.positionAt(document.getText().length);
    const edits = 40;
    // A machine that is busy pauses by itself; after 150 ms without an edit the text is asked about.
    const times: number[] = [];
    const listening = vscode.workspace.onDidChangeTextDocument(() => times.push(performance.now()));
    for (let typed = 0; typed < edits; typed++) await editor.edit((edit) => edit.insert(end(), typed % 5 ? "e" : " h"));
    await editor.edit((edit) => edit.insert(end(), " doctor"));
    listening.dispose();
    const pauses = times.filter((time, i) => i > 0 && time - times[i - 1]! > 140).length;
    await hoverOn(document, "doctor");
    const { questions } = askedOf(document);
    const texts = new Set(questions.slice(before).map(({ text }) => text));
    assert.equal([...texts].at(-1), document.getText());
    assert.ok(texts.size <= 1 + pauses, `${texts.size} texts were asked about for ${edits} edits, ${pauses} pauses`);
    note(`${edits} edits in a burst: ${texts.size} asked about, after ${pauses} pauses and at the end`);

    const words = Array.from({ length: 900 }, (_, i) => `w${(i * i * 7919) % 997}`).join(" ");
    const long = await show("long-burst.txt", `${words} river\n`);
    await inspect();
    await vscode.window.activeTextEditor!.edit((edit) => edit.insert(new vscode.Position(0, 0), "Now "));
    await hoverOn(long, "Now");
    const asked = askedOf(long);
    assert.ok(asked.cancelled.has(asked.questions[0]!.id), "the text before the edit");
    assert.equal(asked.cancelled.has(asked.questions.at(-1)!.id), false);
  },
);

check("white space is a sign in hovers", async () => {
  const document = await show("spaces.txt", "She was\n\n\n    a nurse.\n");
  await inspect();
  await hoverOn(document, "nurse");
  const signs: string[] = [];
  for (let at = 6; at < 18; at++) {
    const card = await hover(document, document.positionAt(at));
    signs.push(...(/`(.*)` id/.exec(card?.text ?? "")?.slice(1) ?? []));
  }
  assert.ok(
    signs.some((text) => /[␣↵]/.test(text)),
    signs.join(),
  );
  assert.ok(signs.every((text) => !/\s/.test(text)));
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

check("what is seen is read: below folded lines, and in the active one of two editors of a text", async () => {
  const inner = Array.from({ length: 300 }, (_, i) => `  Line ${i}: she was a nurse.`);
  const folded = await show("folded.txt", `Lines\n${inner.join("\n")}\nHe was a soldier.\n`);
  await inspect();
  await until("the beginning is read", () => hover(folded, new vscode.Position(2, 20)));
  assert.equal(await hover(folded, new vscode.Position(301, 12)), undefined);
  await vscode.commands.executeCommand("editor.fold", { selectionLines: [0] });
  await hoverOn(folded, "soldier");

  const lines = Array.from({ length: 20_000 }, (_, i) => `Line ${i}: she was a nurse.`);
  const split = await show("split.txt", `${lines.join("\n")}\n`);
  await inspect();
  await until("the beginning is read", () => hover(split, new vscode.Position(2, 20)));
  const place = { viewColumn: vscode.ViewColumn.Beside, preview: false };
  const beside = await vscode.window.showTextDocument(split, place);
  beside.revealRange(new vscode.Range(15_000, 0, 15_000, 0), vscode.TextEditorRevealType.AtTop);
  await until("the place in the active editor is read", () => hover(split, new vscode.Position(15_002, 20)));
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
});

check(
  "a file that VS Code keeps from extensions for its size: the first part of it, by cell, then another one",
  async () => {
    const line = (i: number) =>
      JSON.stringify({ id: i, text: `Row ${i}: she was a nurse. ${"And he was a doctor. ".repeat(20)}` });
    const path = join(workspace(), "huge.jsonl");
    writeFileSync(path, `${Array.from({ length: 125_000 }, (_, i) => line(i)).join("\n")}\n`);
    const uri = vscode.Uri.file(path);
    await assert.rejects(async () => vscode.workspace.openTextDocument(uri), /50MB/);
    await inspect(uri, [uri]);
    const first = vscode.window.activeTextEditor!.document;
    assert.match(first.uri.path, /\/huge \(part 1 of \d+\)\.jsonl$/);
    assert.equal(first.lineAt(0).text, line(0));
    await hoverOn(first, "nurse");
    assert.equal(await hover(first, first.positionAt(3)), undefined, "a key");
    await vscode.commands.executeCommand("saeEnsembles.showFilePart", 2);
    const second = vscode.window.activeTextEditor!.document;
    assert.match(second.uri.path, /part 2 of/);
    const row = JSON.parse(second.lineAt(0).text) as { id: number };
    assert.equal(second.lineAt(0).text, line(row.id));
    assert.equal(first.lineAt(first.lineCount - 2).text, line(row.id - 1), "parts follow one another");
    await hoverOn(second, "nurse");
    rmSync(path);

    const small = join(workspace(), "small.txt");
    writeFileSync(small, "She was a nurse.\n");
    await inspect(vscode.Uri.file(small), [vscode.Uri.file(small)]);
    const { document } = vscode.window.activeTextEditor!;
    assert.equal(document.uri.fsPath, small);
    await hoverOn(document, "nurse");
  },
);

interface Comparison {
  readonly title: string;
  readonly features: readonly { feature: number; a: number; b: number }[];
}

check("two selections, or two editors side by side, are compared; a choice tints; what is cut is said", async () => {
  const compare = () => vscode.commands.executeCommand<Comparison>("saeEnsembles.compareTexts");
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
  const pair = await show("pair.txt", "She was a nurse.\nHe was a soldier.\nHe was a soldier.\n");
  const editor = vscode.window.activeTextEditor!;
  const whole = (line: number) => new vscode.Selection(line, 0, line, pair.lineAt(line).text.length);
  editor.selections = [whole(1), whole(0)];
  const { title, features } = await compare();
  assert.match(title, /^selection 1 and selection 2: \d+ of \d+ features, by the difference of their means$/);
  const sizes = features.map(({ a, b }) => Math.abs(a - b));
  assert.ok(sizes[0]! > 0);
  assert.deepEqual(
    sizes,
    sizes.toSorted((x, y) => y - x),
  );
  assert.equal(await hover(pair, new vscode.Position(0, 11)), undefined);
  await until("the choice tints the text", async () => {
    await vscode.commands.executeCommand("workbench.action.acceptSelectedQuickOpenItem");
    return hover(pair, new vscode.Position(0, 11));
  });
  editor.selections = [whole(1), whole(2)];
  assert.ok(
    (await compare()).features.every(({ a, b }) => a === b),
    "the same words",
  );
  await vscode.commands.executeCommand("workbench.action.closeQuickOpen");

  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
  await show("left.txt", "She was a nurse.\n");
  const right = join(workspace(), "right.txt");
  writeFileSync(right, "He was a soldier.\n".repeat(1500));
  await vscode.window.showTextDocument(vscode.Uri.file(right), { viewColumn: vscode.ViewColumn.Beside });
  await until("both are seen", () => vscode.window.visibleTextEditors.length === 2);
  const beside = await compare();
  assert.match(beside.title, /left\.txt/);
  assert.match(beside.title, /right\.txt \(its first 20,000 characters\)/);
  assert.doesNotMatch(beside.title, /left\.txt \(/);
  assert.ok(beside.features.some(({ a, b }) => a !== b));
  await vscode.commands.executeCommand("workbench.action.closeQuickOpen");
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
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
  const long = await ask({ text: "She was a nurse. ".repeat(1500) });
  assert.match(long, /^Only the first 20,000 of the text's 25,500 characters were read\.\n\d+ tokens read by/);
});

check(
  "an intervention from a hover reaches the next-token panel: while its page loads, while it is hidden",
  async () => {
    const document = await show("ablated.txt", "She was a nurse.\n");
    await inspect();
    await hoverOn(document, "nurse");
    const ensemble = join(workspace(), "runs", "tiny", "ensembles", "bagging");
    const asked = (...list: { features: number[]; kind: string; value: number }[]) =>
      until(`the model is asked under ${JSON.stringify(list)}`, () => {
        const last = messages().findLast(({ method }) => method === "nextToken");
        const interventions = (last?.params["interventions"] ?? []) as typeof list;
        return isDeepStrictEqual(
          interventions.map(({ features, kind, value }) => ({ features, kind, value })),
          list,
        );
      });
    const ablate = (feature: number) => ({ features: [feature], kind: "ablate", value: 0 });
    for (const feature of [1, 2]) await vscode.commands.executeCommand("saeEnsembles.ablateFeature", ensemble, feature);
    await asked(ablate(1), ablate(2));
    await vscode.commands.executeCommand("saeEnsembles.ablateFeature", ensemble, 3);
    await asked(ablate(1), ablate(2), ablate(3));
    const { viewColumn } = vscode.window.tabGroups.all.find(({ activeTab }) => activeTab?.label === "Next Token")!;
    await vscode.window.showTextDocument(document, { viewColumn, preview: false });
    await until("the panel is hidden", () =>
      vscode.window.tabGroups.all.every(({ activeTab }) => activeTab?.label !== "Next Token"),
    );
    // A feature that never fired in the corpus has no maximum to steer by.
    await vscode.commands.executeCommand("saeEnsembles.steerFeature", ensemble, 4, 0);
    await asked(ablate(1), ablate(2), ablate(3), { features: [4], kind: "add", value: 1 });
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
  },
);

check("a link of a hover is about the token pointed at, until the cursor moves", async () => {
  const document = await show("pointed.txt", "She was a nurse, and he was a doctor.\n");
  await inspect();
  const { text, range } = await hoverOn(document, "doctor");
  const asked = (words: string) =>
    until(`the model is asked what follows “${words}”`, () => {
      const last = messages().findLast(({ method }) => method === "nextToken");
      return last?.params["text"] === words;
    });
  await linksOf(text, "ablate")[0]!();
  await asked(document.getText(new vscode.Range(new vscode.Position(0, 0), range.end)));
  const editor = await vscode.window.showTextDocument(document);
  editor.selection = new vscode.Selection(0, 7, 0, 7);
  await asked("She was");
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
});

check("the next-token panel goes to inspected texts, and to another one only where it is asked for", async () => {
  const inspected = await show("followed.txt", "She was a nurse.\n");
  await inspect();
  await hoverOn(inspected, "nurse");
  const asked = (words: string) =>
    until(`the model is asked what follows “${words}”`, () => {
      const last = messages().findLast(({ method }) => method === "nextToken");
      return last?.params["text"] === words;
    });
  const put = async (document: vscode.TextDocument, at: number) => {
    const { activeTextEditor: active } = vscode.window;
    const editor = active?.document === document ? active : await vscode.window.showTextDocument(document, 1);
    editor.selection = new vscode.Selection(0, at, 0, at);
  };
  await put(inspected, 3);
  await vscode.commands.executeCommand("saeEnsembles.nextToken");
  await asked("She");
  const other = await show("other.txt", "Those are sheep.\n");
  await put(other, 5);
  // An intervention is asked about at once, of the text that the panel speaks of.
  const ensemble = join(workspace(), "runs", "tiny", "ensembles", "bagging");
  await vscode.commands.executeCommand("saeEnsembles.ablateFeature", ensemble, 7);
  const question = await until("the model is asked under the intervention", () => {
    const last = messages().findLast(({ method }) => method === "nextToken");
    const interventions = (last?.params["interventions"] ?? []) as readonly { readonly features: number[] }[];
    return interventions.at(-1)?.features[0] === 7 && last;
  });
  assert.equal(question.params["text"], "She");
  await put(other, 9);
  await vscode.commands.executeCommand("saeEnsembles.nextToken");
  await asked("Those are");
  await put(inspected, 9);
  await asked("She was a");
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
});

check("Features Here has a text read again that the service has read too many others since", async () => {
  await vscode.commands.executeCommand("saeEnsembles.here.focus");
  const documents: vscode.TextDocument[] = [];
  for (let i = 0; i < 9; i++) {
    documents.push(await show(`kept-${i}.txt`, `She was a nurse, and he was doctor ${i}.\n`));
    await inspect();
    await hoverOn(documents[i]!, "nurse");
  }
  const before = askedOf(documents[0]!).questions.length;
  const editor = await vscode.window.showTextDocument(documents[0]!, { preview: false });
  editor.selection = new vscode.Selection(0, 0, 0, 3);
  await until("it is read again", () => askedOf(documents[0]!).questions.length > before);
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
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

check(
  "a run that is taken away under an inspected text: its hovers go by themselves, and come back with it",
  async () => {
    // Read to its end: nothing of it is asked meanwhile.
    const document = await show("taken.txt", "She was a nurse.\n");
    await inspect();
    await hoverOn(document, "nurse");
    const folder = join(workspace(), "runs", "tiny");
    const elsewhere = join(workspace(), "..", "tiny-elsewhere");
    renameSync(folder, elsewhere);
    await until("nothing is said of the text", async () => !(await hover(document, new vscode.Position(0, 12))));
    renameSync(elsewhere, folder);
    await hoverOn(document, "nurse");
  },
);

/** Called by VS Code. */
export const run = runChecks;

// Loaded by VS Code into its extension host: types into an inspected text, then asks for hovers all over it; notes how long the host was blocked and how long hovers took.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import * as vscode from "vscode";
import { check, note, runChecks, until } from "../../test/host/checks.ts";

/** Times in milliseconds. */
export interface Typing {
  /** Every hover, through the workbench and back. */
  readonly hovers: readonly number[];
  /** Delays of the extension host's event loop while somebody types. */
  readonly longestPause: number;
  readonly pause99: number;
  readonly edits: number;
  readonly characters: number;
}

const EDITS = 40;
const SENTENCE = "She was a nurse, and he said that she was happy. ";

check("typing and hovering", async () => {
  const document = await vscode.workspace.openTextDocument({ content: `${SENTENCE.repeat(118)}\n` });
  const editor = await vscode.window.showTextDocument(document);
  await vscode.commands.executeCommand("saeEnsembles.inspectText");
  const hover = (place: vscode.Position) =>
    vscode.commands.executeCommand<vscode.Hover[]>("vscode.executeHoverProvider", document.uri, place);
  const end = () => document.positionAt(document.getText().length - 1);
  const read = (place: () => vscode.Position) =>
    until("the text is read, with probabilities", async () =>
      (await hover(place())).some(({ contents }) =>
        contents.some((content) => / rank [\d,]+/.test(typeof content === "string" ? content : content.value)),
      ),
    );
  await read(() => new vscode.Position(0, 10));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let typed = 0; typed < EDITS; typed++) {
    await editor.edit((edit) => edit.insert(end(), typed % 5 === 4 ? " " : "a"));
    // As fast as people type, and slower: some edits are read in between, some are not.
    await setTimeout(typed % 10 === 9 ? 400 : 60);
  }
  await read(() => end().translate(0, -1));
  delay.disable();
  const hovers: number[] = [];
  for (let at = 0; at < 400; at += 8) {
    const start = performance.now();
    await hover(new vscode.Position(0, at));
    hovers.push(performance.now() - start);
  }
  const [longestPause, pause99] = [delay.max / 1e6, delay.percentile(99) / 1e6];
  const result: Typing = { hovers, longestPause, pause99, edits: EDITS, characters: document.getText().length };
  note(JSON.stringify(result));
});

/** Called by VS Code. */
export const run = runChecks;

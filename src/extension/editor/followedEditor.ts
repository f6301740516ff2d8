// The editor that the next-token panel speaks of: an inspected one as soon as the cursor goes there. Another one never takes its place by itself, only where a person asks in it, or where nothing is spoken of yet.
import * as vscode from "vscode";
import type { TextInspector } from "./textInspector.ts";

/** A place of a document that somebody points at, as the link of a hover names it. */
export interface Place {
  readonly document: string;
  readonly line: number;
  readonly character: number;
}

export class FollowedEditor implements vscode.Disposable {
  readonly #inspector: TextInspector;
  readonly #moved = new vscode.EventEmitter<void>();
  /** Another editor, another place of the cursor, another text. */
  readonly onMoved = this.#moved.event;
  readonly #subscriptions: vscode.Disposable[];
  #editor: vscode.TextEditor | undefined;
  /** Where it was pointed at in the editor; holds until the cursor moves. */
  #pointed: vscode.Position | undefined;

  constructor(inspector: TextInspector) {
    this.#inspector = inspector;
    this.take();
    this.#subscriptions = [
      vscode.window.onDidChangeActiveTextEditor((editor) => this.#entered(editor)),
      // What is active may be inspected from now on.
      inspector.onChanged(() => this.#entered(vscode.window.activeTextEditor)),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === this.#editor) this.#follow(textEditor);
        else this.#entered(textEditor);
      }),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        // Saving is told as a change as well.
        if (document === this.document && contentChanges.length > 0) this.#follow(this.#editor);
      }),
      vscode.workspace.onDidCloseTextDocument((document) => {
        // One whose language changes is told to be closed, and is still to be seen.
        if (document !== this.document || vscode.window.visibleTextEditors.some((shown) => shown.document === document))
          return;
        this.#follow(undefined);
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(this.#moved, ...this.#subscriptions).dispose();
  }

  get document(): vscode.TextDocument | undefined {
    return this.#editor?.document;
  }

  /** The place pointed at, or the cursor's. */
  get position(): vscode.Position | undefined {
    return this.#pointed ?? this.#editor?.selection.active;
  }

  /** Speaks of the active editor, inspected or not: a person asks in it. */
  take(): void {
    const { activeTextEditor: active } = vscode.window;
    if (active && active !== this.#editor && isText(active)) this.#follow(active);
  }

  /** Speaks of a place, in whichever editor shows its document. */
  pointAt({ document, line, character }: Place): void {
    const shows = (editor: vscode.TextEditor | undefined) => editor?.document.uri.toString() === document;
    const editor = shows(this.#editor) ? this.#editor : vscode.window.visibleTextEditors.find(shows);
    if (editor) this.#follow(editor, new vscode.Position(line, character));
  }

  #entered(editor: vscode.TextEditor | undefined): void {
    if (!editor || editor === this.#editor || !isText(editor)) return;
    const { document } = editor;
    if (!this.document || document === this.document || this.#inspector.isOn(document)) this.#follow(editor);
  }

  #follow(editor: vscode.TextEditor | undefined, pointed?: vscode.Position): void {
    this.#editor = editor;
    this.#pointed = pointed;
    this.#moved.fire();
  }
}

/** Editors of texts, not of output channels and the like. */
function isText({ document }: vscode.TextEditor): boolean {
  return document.uri.scheme !== "output";
}

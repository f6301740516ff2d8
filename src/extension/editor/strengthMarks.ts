// Strengths as small figures behind the tokens (inlay hints): what the tints say, for print and for eyes that do not tell colours apart.
import * as vscode from "vscode";
import { settings } from "../ids.ts";
import { strengths } from "./inspected.ts";
import type { TextInspector } from "./textInspector.ts";

const figures = "▁▂▃▄▅▆▇█";
/** Weaker tokens get no figure. */
const least = 0.25;

export class StrengthMarks implements vscode.InlayHintsProvider, vscode.Disposable {
  readonly #inspector: TextInspector;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeInlayHints = this.#changed.event;
  readonly #subscriptions: vscode.Disposable[];

  constructor(inspector: TextInspector) {
    this.#inspector = inspector;
    this.#subscriptions = [
      inspector.onChanged(() => this.#changed.fire()),
      vscode.workspace.onDidChangeConfiguration(() => this.#changed.fire()),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(this.#changed, ...this.#subscriptions).dispose();
  }

  provideInlayHints(document: vscode.TextDocument, range: vscode.Range): vscode.InlayHint[] {
    const inspected = this.#inspector.of(document);
    const wanted = vscode.workspace.getConfiguration(settings.section).get<boolean>(settings.marks);
    if (!wanted || !inspected || inspected.version !== document.version) return [];
    const hints: vscode.InlayHint[] = [];
    for (const [t, { strength }] of strengths(inspected).entries()) {
      if (strength < least) continue;
      const position = document.positionAt(inspected.base + inspected.result.tokens[t]!.end);
      if (!range.contains(position)) continue;
      hints.push(new vscode.InlayHint(position, figures[Math.min(7, Math.floor(strength * 8))]!));
    }
    return hints;
  }
}

// Tints behind the tokens: five steps of one hue a feature, lines that widen in high contrast; only what is seen with some lines around it, never more than a thousand, and set anew only where they differ.
import * as vscode from "vscode";
import { strengths } from "./inspected.ts";
import { type Color, css, hues, lineWidth, opacity, steps } from "./palette.ts";
import type { Inspected, TextInspector } from "./textInspector.ts";

/** Lines beyond what is seen that are tinted as well, so that scrolling shows no gap; the next ones are tinted when half of them are used up. */
const margin = 40;
const mostRanges = 1000;
/** Milliseconds in which scrolling is painted once. */
const pause = 40;

/** What an editor was given. */
interface Painted {
  readonly inspected: Inspected;
  /** Lines that have their tints. */
  readonly first: number;
  readonly last: number;
  /** By type: where its tints are. */
  readonly places: ReadonlyMap<vscode.TextEditorDecorationType, string>;
}

export class Tints implements vscode.Disposable {
  readonly #inspector: TextInspector;
  readonly #subscriptions: vscode.Disposable[];
  /** [hue][step] */
  #types: vscode.TextEditorDecorationType[][] = [];
  #painted = new WeakMap<vscode.TextEditor, Painted>();
  #scrolled = new Set<vscode.TextEditor>();
  #timer: NodeJS.Timeout | undefined;

  constructor(inspector: TextInspector) {
    this.#inspector = inspector;
    this.#makeTypes();
    this.#subscriptions = [
      inspector.onChanged(() => this.#paintAll()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#paintAll()),
      vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => this.#soon(textEditor)),
      vscode.window.onDidChangeActiveColorTheme(() => {
        this.#makeTypes();
        this.#paintAll();
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const type of this.#types.flat()) type.dispose();
    vscode.Disposable.from(...this.#subscriptions).dispose();
  }

  #makeTypes(): void {
    // With the types go their tints.
    for (const type of this.#types.flat()) type.dispose();
    this.#painted = new WeakMap();
    const { kind } = vscode.window.activeColorTheme;
    const highContrast =
      kind === vscode.ColorThemeKind.HighContrast || kind === vscode.ColorThemeKind.HighContrastLight;
    this.#types = hues.map(({ dark, light, darkLine, lightLine }) =>
      Array.from({ length: steps }, (_, step) => {
        const line = (color: Color) => ({
          borderStyle: "solid",
          borderColor: css(color),
          borderWidth: `0 0 ${lineWidth(step)}px 0`,
        });
        return vscode.window.createTextEditorDecorationType({
          ...(highContrast
            ? { dark: line(darkLine), light: line(lightLine) }
            : {
                dark: { backgroundColor: css(dark, opacity("dark", step)) },
                light: { backgroundColor: css(light, opacity("light", step)) },
                borderRadius: "2px",
              }),
          rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
        });
      }),
    );
  }

  #paintAll(): void {
    for (const editor of vscode.window.visibleTextEditors) this.#paint(editor);
  }

  #soon(editor: vscode.TextEditor): void {
    this.#scrolled.add(editor);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const editors = this.#scrolled;
      this.#scrolled = new Set();
      for (const editor of editors) this.#paint(editor);
    }, pause);
  }

  #paint(editor: vscode.TextEditor): void {
    const { document } = editor;
    const inspected = this.#inspector.of(document);
    const before = this.#painted.get(editor);
    // Between an edit and its answer VS Code moves the old tints along with the text.
    if (inspected && inspected.version !== document.version) return;
    if (before && before.inspected === inspected && covers(before, editor)) return;
    const { first, last } = lines(editor, margin);
    const ranges = inspected && bucketed(document, inspected, first, last);
    const places = new Map<vscode.TextEditorDecorationType, string>();
    // Tints that an edit moved along aren't where they were set.
    const unmoved = before?.inspected.version === inspected?.version;
    for (const [hue, types] of this.#types.entries())
      for (const [step, type] of types.entries()) {
        const own = ranges?.[hue]?.[step] ?? [];
        const written = own
          .map(({ start, end }) => `${start.line}:${start.character}-${end.line}:${end.character}`)
          .join();
        if (own.length > 0) places.set(type, written);
        const had = before?.places.get(type) ?? "";
        if (had === "" ? written !== "" : !(unmoved && written === had)) editor.setDecorations(type, own);
      }
    if (inspected) this.#painted.set(editor, { inspected, first, last, places });
    else this.#painted.delete(editor);
  }
}

/** Lines that are seen, and so many around them. */
function lines({ visibleRanges }: vscode.TextEditor, around: number): { first: number; last: number } {
  return {
    first: (visibleRanges[0]?.start.line ?? 0) - around,
    last: (visibleRanges.at(-1)?.end.line ?? 0) + around,
  };
}

function covers(painted: Painted, editor: vscode.TextEditor): boolean {
  const { first, last } = lines(editor, margin / 2);
  return painted.first <= Math.max(0, first) && painted.last >= Math.min(editor.document.lineCount - 1, last);
}

/** [hue][step]: tokens of some lines. */
function bucketed(
  document: vscode.TextDocument,
  inspected: Inspected,
  first: number,
  last: number,
): vscode.Range[][][] {
  const shown: { range: vscode.Range; strength: number; hue: number }[] = [];
  const places = new Map<string, number>();
  for (const [t, { strength, hue }] of strengths(inspected).entries()) {
    if (strength <= 0) continue;
    const { start, end } = inspected.result.tokens[t]!;
    if (end <= start) continue;
    const range = new vscode.Range(
      document.positionAt(inspected.base + start),
      document.positionAt(inspected.base + end),
    );
    if (range.end.line < first || range.start.line > last) continue;
    // Tokens that share a character are one tint, the stronger one's.
    const key = `${start} ${end}`;
    const same = places.get(key);
    if (same !== undefined && shown[same]!.strength >= strength) continue;
    places.set(key, same ?? shown.length);
    shown[same ?? shown.length] = { range, strength, hue };
  }
  // Every token has a strongest feature; what stands out is the one that is near its own maximum.
  const ramp = inspected.pinned.length === 0 ? 2.2 : 0.8;
  shown.sort((a, b) => b.strength - a.strength);
  const buckets = hues.map(() => Array.from({ length: steps }, () => [] as vscode.Range[]));
  for (const { range, strength, hue } of shown.slice(0, mostRanges))
    buckets[hue]![Math.min(steps - 1, Math.floor(strength ** ramp * steps))]!.push(range);
  return buckets;
}

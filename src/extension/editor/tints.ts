// Tints behind the tokens: eight steps of one hue a feature, borders that widen in high contrast; only what is seen, and never more than a thousand.
import * as vscode from "vscode";
import type { Inspected, TextInspector } from "./textInspector.ts";
import { mostPinned } from "./textInspector.ts";

const steps = 8;
/** Lines beyond what is seen that are tinted as well, so that scrolling shows no gap. */
const margin = 40;
const mostRanges = 1000;
/** Red, green, blue of a hue in dark and in light themes: the first tints by the strongest feature, the others pinned ones. */
const hues: readonly { dark: string; light: string }[] = [
  { dark: "55, 148, 255", light: "0, 102, 210" },
  { dark: "137, 209, 133", light: "56, 138, 52" },
  { dark: "210, 130, 240", light: "130, 60, 180" },
  { dark: "240, 170, 60", light: "190, 100, 0" },
];

export class Tints implements vscode.Disposable {
  readonly #inspector: TextInspector;
  readonly #subscriptions: vscode.Disposable[];
  /** [hue][step] */
  #types: vscode.TextEditorDecorationType[][] = [];
  /** Editors that have tints: others need none taken away. */
  readonly #painted = new WeakSet<vscode.TextEditor>();

  constructor(inspector: TextInspector) {
    this.#inspector = inspector;
    this.#makeTypes();
    this.#subscriptions = [
      inspector.onChanged(() => this.#paintAll()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#paintAll()),
      vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => this.#paint(textEditor)),
      vscode.window.onDidChangeActiveColorTheme(() => {
        this.#makeTypes();
        this.#paintAll();
      }),
    ];
  }

  dispose(): void {
    for (const type of this.#types.flat()) type.dispose();
    vscode.Disposable.from(...this.#subscriptions).dispose();
  }

  #makeTypes(): void {
    for (const type of this.#types.flat()) type.dispose();
    const { kind } = vscode.window.activeColorTheme;
    const highContrast =
      kind === vscode.ColorThemeKind.HighContrast || kind === vscode.ColorThemeKind.HighContrastLight;
    this.#types = hues.slice(0, mostPinned).map(({ dark, light }) =>
      Array.from({ length: steps }, (_, step) => {
        const tint = (color: string): vscode.ThemableDecorationRenderOptions =>
          highContrast
            ? { borderStyle: "solid", borderColor: `rgb(${color})`, borderWidth: `0 0 ${1 + step / 2}px 0` }
            : { backgroundColor: `rgba(${color}, ${0.07 + 0.055 * step})` };
        return vscode.window.createTextEditorDecorationType({
          dark: tint(dark),
          light: tint(light),
          borderRadius: highContrast ? "0" : "2px",
          rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
        });
      }),
    );
  }

  #paintAll(): void {
    for (const editor of vscode.window.visibleTextEditors) this.#paint(editor);
  }

  #paint(editor: vscode.TextEditor): void {
    const inspected = this.#inspector.of(editor.document);
    // Between an edit and its answer VS Code moves the old tints along with the text.
    if (inspected && inspected.version !== editor.document.version) return;
    if (!inspected && !this.#painted.has(editor)) return;
    if (inspected) this.#painted.add(editor);
    else this.#painted.delete(editor);
    const ranges = inspected ? bucketed(editor, inspected, this.#inspector.pinned) : undefined;
    for (const [hue, types] of this.#types.entries())
      for (const [step, type] of types.entries()) editor.setDecorations(type, ranges?.[hue]?.[step] ?? []);
  }
}

/** The theme's own colour that is nearest to a pinned feature's tint, for icons. */
export const pinColors = ["charts.blue", "charts.green", "charts.purple", "charts.orange"] as const;

/** A token's strength, 0…1, and the pinned feature that it is of. */
export function strengths(inspected: Inspected, pinned: readonly number[]): { strength: number; hue: number }[] {
  const { tokens, pinned: values } = inspected.result;
  const most = (feature: number) => inspected.rows.get(feature)?.max || Number.POSITIVE_INFINITY;
  return tokens.map(({ features }, t) => {
    let best = { strength: 0, hue: 0 };
    const consider = (feature: number, value: number, hue: number) => {
      const strength = Math.min(1, value / most(feature));
      if (strength > best.strength) best = { strength, hue };
    };
    if (pinned.length === 0) for (const { feature, value } of features) consider(feature, value, 0);
    for (const [i, feature] of pinned.entries()) consider(feature, values[i]?.[t] ?? 0, i);
    return best;
  });
}

function bucketed(editor: vscode.TextEditor, inspected: Inspected, pinned: readonly number[]): vscode.Range[][][] {
  const { document, visibleRanges } = editor;
  const first = (visibleRanges[0]?.start.line ?? 0) - margin;
  const last = (visibleRanges.at(-1)?.end.line ?? 0) + margin;
  const shown: { range: vscode.Range; strength: number; hue: number }[] = [];
  const places = new Map<string, number>();
  for (const [t, { strength, hue }] of strengths(inspected, pinned).entries()) {
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
  const ramp = pinned.length === 0 ? 1.6 : 0.8;
  shown.sort((a, b) => b.strength - a.strength);
  const buckets = hues.map(() => Array.from({ length: steps }, () => [] as vscode.Range[]));
  for (const { range, strength, hue } of shown.slice(0, mostRanges))
    buckets[hue]![Math.min(steps - 1, Math.floor(strength ** ramp * steps))]!.push(range);
  return buckets;
}

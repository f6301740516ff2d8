// The view "Features Here": features that fire in what is selected in the active editor, or in all that was read of it; a click tints by one. Where nothing could be read: why, and ways on.
import * as vscode from "vscode";
import type { FeatureHere, Ranking } from "../../protocol/inspection.ts";
import { selectedSpan } from "../editor/inspected.ts";
import type { TextInspector } from "../editor/textInspector.ts";
import { commands, pinColors, views } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { featureWords } from "../words.ts";

const shown = 100;
/** Milliseconds of quiet before a moved selection is asked about. */
const quiet = 150;

export const rankings: Readonly<Record<Ranking, string>> = {
  specificity: "rare in the corpus and strong here",
  sum: "sum of activations",
  max: "largest activation",
};

/** Instead of features, where reading failed. */
interface WayOn {
  readonly label: string;
  readonly icon: string;
  readonly command: string;
}
type Node = FeatureHere | WayOn;

const again: WayOn = { label: "Try Again", icon: "refresh", command: commands.inspectText };
const another: WayOn = { label: "Choose Another Ensemble…", icon: "layers", command: commands.chooseEnsemble };

export class FeaturesHereTree implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  readonly #inspector: TextInspector;
  readonly #service: ServiceClient;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<Node>;
  readonly #subscriptions: vscode.Disposable[];
  #ranking: Ranking = "specificity";
  #timer: NodeJS.Timeout | undefined;

  constructor(inspector: TextInspector, service: ServiceClient) {
    this.#inspector = inspector;
    this.#service = service;
    this.#view = vscode.window.createTreeView(views.here, { treeDataProvider: this });
    this.#subscriptions = [
      this.#view,
      inspector.onChanged(() => this.#soon()),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (inspector.isOn(textEditor.document)) this.#soon();
      }),
    ];
  }

  get ranking(): Ranking {
    return this.#ranking;
  }

  rankBy(ranking: Ranking): void {
    this.#ranking = ranking;
    this.#changed.fire();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    vscode.Disposable.from(this.#changed, ...this.#subscriptions).dispose();
  }

  async getChildren(node?: Node): Promise<Node[]> {
    const { editor } = this.#inspector;
    if (!node && !editor) this.#view.message = "";
    if (node || !editor) return [];
    const phase = this.#inspector.phase(editor.document);
    if (phase?.state === "gone") {
      this.#view.message = phase.reason;
      return [another];
    }
    if (phase?.state === "failed") return this.#failed(phase.reason);
    return this.#features(editor).catch((error: Error) => this.#failed(error.message));
  }

  #failed(reason: string): Node[] {
    this.#view.message = `This text could not be read: ${reason}`;
    return [again, another];
  }

  async #features({ document, selections }: vscode.TextEditor): Promise<Node[]> {
    const inspected = this.#inspector.of(document);
    const { ensemble } = this.#inspector;
    if (!inspected || !ensemble) {
      this.#view.message = "";
      return [];
    }
    const selected = selections.filter((selection) => !selection.isEmpty);
    const spans = selected
      .map(({ start, end }) => ({ start: document.offsetAt(start), end: document.offsetAt(end) }))
      .map((selection) => selectedSpan(selection, inspected))
      .filter((span) => span !== null);
    if (spans.length < selected.length) {
      const what = selected.length === 1 ? "The selection is not" : "Not all that is selected is";
      this.#view.message = `${what} in what was read of this text. Scroll to it to read it.`;
      return [];
    }
    const question = {
      ensemble,
      document: document.uri.toString(),
      spans: spans.length > 0 ? spans : null,
      ranking: this.#ranking,
      limit: shown,
    };
    const answer = await this.#service.request("featuresHere", question);
    if (!answer) {
      // The service started anew, or has read many other texts since. What is being read is asked about again once it has been.
      this.#view.message = "Reading this text again…";
      if (this.#inspector.phase(document)?.state === "done") this.#inspector.turnOn(document);
      return [];
    }
    const { features, total, tokens } = answer;
    const where =
      spans.length === 0 ? "what was read" : spans.length === 1 ? "the selection" : `${spans.length} selections`;
    this.#view.message = `${features.length} of ${total.toLocaleString("en-US")} features in ${where} (${tokens.toLocaleString("en-US")} tokens), by ${this.#ranking}`;
    return features;
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if ("label" in node) {
      const item = new vscode.TreeItem(node.label);
      item.iconPath = new vscode.ThemeIcon(node.icon);
      item.command = { command: node.command, title: node.label };
      return item;
    }
    const { row, count, sum, max, specificity } = node;
    const item = new vscode.TreeItem(`${row.member}/${row.index}`);
    const number = { sum, max, specificity }[this.#ranking];
    const place = this.#inspector.pinned.indexOf(row.feature);
    const pinned = place >= 0;
    item.description = `${row.flagged && pinned ? "⚑ " : ""}${featureWords(row)} · ${number.toPrecision(3)}`;
    const density = row.density === null ? "" : ` It fires on ${(100 * row.density).toPrecision(2)}% of the corpus.`;
    item.tooltip = `On ${count} ${count === 1 ? "token" : "tokens"} here, at most ${max.toPrecision(3)}, in sum ${sum.toPrecision(3)}; ${specificity.toPrecision(3)} nats specific.${density}`;
    if (pinned) item.iconPath = new vscode.ThemeIcon("circle-filled", new vscode.ThemeColor(pinColors[place]!));
    else if (row.flagged)
      item.iconPath = new vscode.ThemeIcon("flag", new vscode.ThemeColor("editorWarning.foreground"));
    item.contextValue = `here${row.flagged ? ":flagged" : ""}${pinned ? ":pinned" : ""}`;
    item.command = { command: commands.tintByFeature, title: "Tint by This Feature", arguments: [row.feature] };
    return item;
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#changed.fire(), quiet);
  }
}

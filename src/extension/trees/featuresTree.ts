// The Features view: features of the current ensemble, flagged ones first, the others under their strongest token.
import { sep } from "node:path";
import * as vscode from "vscode";
import type { FeatureRow } from "../../protocol/featureBrowser.ts";
import { withSigns } from "../../protocol/whiteSpace.ts";
import { commands } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { featureWords, foundInDots, foundInLegend } from "../words.ts";
import type { CurrentEnsemble } from "./currentEnsemble.ts";

/** A row of the view; a feature names its ensemble for the commands on it. */
export type FeatureNode =
  | { readonly kind: "group"; readonly title: string; readonly rows: readonly FeatureRow[] }
  | { readonly kind: "feature"; readonly ensemble: string; readonly row: FeatureRow };

const shown = 300;

export class FeaturesTree implements vscode.TreeDataProvider<FeatureNode> {
  readonly #service: ServiceClient;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #said = new vscode.EventEmitter<string>();
  /** What is to be said above the rows; empty for nothing. */
  readonly onSaid = this.#said.event;
  #ensemble: string | undefined;
  #indexTime: number | null = null;
  #filter = "";

  constructor(service: ServiceClient) {
    this.#service = service;
    service.on("annotationsChanged", ({ ensemble }) => {
      if (ensemble === this.#ensemble) this.#changed.fire();
    });
  }

  get ensemble(): string | undefined {
    return this.#ensemble;
  }

  /** What the rows are searched by, as in the browser; empty for everything. */
  get filter(): string {
    return this.#filter;
  }

  set filter(filter: string) {
    this.#filter = filter;
    this.#changed.fire();
  }

  /** Shows an ensemble's features; anew where its index is another one than before. Without an ensemble there is nothing to search. */
  show({ folder, indexTime }: CurrentEnsemble): void {
    if (folder === this.#ensemble && indexTime === this.#indexTime) return;
    this.#ensemble = folder;
    this.#indexTime = indexTime;
    if (!folder) this.#filter = "";
    this.#changed.fire();
  }

  async getChildren(node?: FeatureNode): Promise<FeatureNode[]> {
    const ensemble = this.#ensemble;
    if (!ensemble) {
      this.#said.fire("");
      return [];
    }
    if (node) return node.kind === "group" ? node.rows.map((row) => ({ kind: "feature", ensemble, row })) : [];
    const filter = this.#filter;
    try {
      const { rows, total } = await this.#service.request("outline", { ensemble, filter, limit: shown });
      const count = (value: number) => value.toLocaleString("en-US");
      const more = total > rows.length ? ` The first ${count(rows.length)} of ${count(total)} are shown.` : "";
      this.#said.fire(filter ? (total === 0 ? "Nothing matches." : more.trim()) : "");
      return this.#grouped(rows);
    } catch (error) {
      // A path as long as this view is wide would hide what is wrong.
      this.#said.fire((error instanceof Error ? error.message : String(error)).replaceAll(ensemble + sep, ""));
      return [];
    }
  }

  #grouped(rows: readonly FeatureRow[]): FeatureNode[] {
    const flagged = rows.filter((row) => row.flagged);
    const groups = Map.groupBy(
      rows.filter((row) => !row.flagged),
      (row) => withSigns(row.tokens[0]?.text ?? "—"),
    );
    const nodes: FeatureNode[] = flagged.length > 0 ? [{ kind: "group", title: "flagged", rows: flagged }] : [];
    for (const [title, members] of groups) nodes.push({ kind: "group", title, rows: members });
    return nodes;
  }

  getTreeItem(node: FeatureNode): vscode.TreeItem {
    if (node.kind === "group") {
      const flagged = node.title === "flagged" && node.rows[0]?.flagged;
      const item = new vscode.TreeItem(
        node.title,
        flagged ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed,
      );
      item.description = String(node.rows.length);
      item.tooltip = flagged
        ? "Flagged for removal"
        : `Features that ${node.title} fires most, among those that are shown`;
      if (flagged) item.iconPath = new vscode.ThemeIcon("flag", new vscode.ThemeColor("editorWarning.foreground"));
      return item;
    }
    const { row } = node;
    const item = new vscode.TreeItem(`${row.member}/${row.index}`);
    item.description = `${featureWords(row)} ${foundInDots(row.foundIn)}`.trim();
    if (row.flagged) item.iconPath = new vscode.ThemeIcon("flag", new vscode.ThemeColor("editorWarning.foreground"));
    const members = row.foundIn.length;
    const found = members > 1 ? `found in ${row.foundIn.filter(Boolean).length} of ${members} members` : "";
    const rate = row.density === null ? "" : `fires on ${(100 * row.density).toPrecision(2)}% of tokens`;
    const details = [rate, members > 1 ? foundInLegend(row.foundIn) : "", row.note].filter(Boolean);
    item.tooltip = [`${item.label} · ${featureWords(row)}`, ...details].join("\n");
    const flag = row.flagged ? "flagged" : "";
    item.accessibilityInformation = { label: [item.label, featureWords(row), flag, found].filter(Boolean).join(", ") };
    item.contextValue = row.flagged ? "feature:flagged" : "feature";
    item.command = { command: commands.showFeature, title: "Show Feature", arguments: [this.#ensemble, row.feature] };
    return item;
  }
}

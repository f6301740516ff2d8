// The Features view: features of the current ensemble, flagged ones first, the others under their strongest token.
import * as vscode from "vscode";
import type { FeatureRow } from "../../protocol/featureBrowser.ts";
import { commands } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { featureWords } from "../words.ts";

type Node =
  | { readonly kind: "group"; readonly title: string; readonly rows: readonly FeatureRow[] }
  | { readonly kind: "feature"; readonly row: FeatureRow };

const shown = 300;

export class FeaturesTree implements vscode.TreeDataProvider<Node> {
  readonly #service: ServiceClient;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changed.event;
  #ensemble: string | undefined;

  constructor(service: ServiceClient) {
    this.#service = service;
    service.on("annotationsChanged", ({ ensemble }) => {
      if (ensemble === this.#ensemble) this.#changed.fire();
    });
  }

  get ensemble(): string | undefined {
    return this.#ensemble;
  }

  /** Shows another ensemble's features. */
  show(ensemble: string | undefined): void {
    if (ensemble === this.#ensemble) return;
    this.#ensemble = ensemble;
    this.#changed.fire();
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node) return node.kind === "group" ? node.rows.map((row) => ({ kind: "feature", row })) : [];
    if (!this.#ensemble) return [];
    const { rows } = await this.#service.request("outline", { ensemble: this.#ensemble, filter: "", limit: shown });
    const flagged = rows.filter((row) => row.flagged);
    const groups = Map.groupBy(
      rows.filter((row) => !row.flagged),
      (row) => row.tokens[0]?.text.trim() || row.tokens[0]?.text || "—",
    );
    const nodes: Node[] = flagged.length > 0 ? [{ kind: "group", title: "flagged", rows: flagged }] : [];
    for (const [title, members] of groups) nodes.push({ kind: "group", title, rows: members });
    return nodes;
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if (node.kind === "group") {
      const flagged = node.title === "flagged" && node.rows[0]?.flagged;
      const item = new vscode.TreeItem(
        JSON.stringify(node.title).slice(1, -1),
        flagged ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed,
      );
      item.description = String(node.rows.length);
      if (flagged) item.iconPath = new vscode.ThemeIcon("flag", new vscode.ThemeColor("editorWarning.foreground"));
      return item;
    }
    const { row } = node;
    const item = new vscode.TreeItem(`${row.member}/${row.index}`);
    const dots = row.foundIn.length > 1 ? ` ${row.foundIn.map((there) => (there ? "●" : "○")).join("")}` : "";
    item.description = `${featureWords(row)}${dots}`;
    if (row.flagged) item.iconPath = new vscode.ThemeIcon("flag", new vscode.ThemeColor("editorWarning.foreground"));
    item.contextValue = row.flagged ? "feature:flagged" : "feature";
    item.command = { command: commands.showFeature, title: "Show Feature", arguments: [this.#ensemble, row.feature] };
    return item;
  }
}

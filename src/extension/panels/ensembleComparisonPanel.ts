// The comparison's host: one panel for a set of ensembles, computed by the service each time it is opened.
import * as vscode from "vscode";
import { comparisonHost } from "../../protocol/ensembleComparison.ts";
import { answer } from "../../protocol/rpc.ts";
import { commands } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { fillPanel } from "./webviewPanel.ts";

/** `ensembles`: folders, two or more. */
export function showComparison(extension: vscode.Uri, service: ServiceClient, ensembles: readonly string[]): void {
  const title = "Compare Ensembles";
  const panel = vscode.window.createWebviewPanel("saeEnsembles.comparison", title, vscode.ViewColumn.Active, {
    enableScripts: true,
  });
  panel.iconPath = vscode.Uri.joinPath(extension, "media", "activity.svg");
  const connection = fillPanel(panel, extension, {
    bundle: "ensemble-comparison",
    element: "sae-ensemble-comparison",
    title,
  });
  answer(connection, comparisonHost, {
    ready: (_, signal) =>
      service.request("compareEnsembles", { ensembles: [...ensembles] }, { timeout: 300_000, signal }),
    browse: async ({ ensemble }) => {
      await vscode.commands.executeCommand(commands.browseFeatures, ensemble);
      return {};
    },
  });
}

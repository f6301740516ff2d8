// The comparison's host: one panel for a set of ensembles, computed by the service each time it is opened.
import * as vscode from "vscode";
import { commands } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { fillPanel, tabIcon } from "./webviewPanel.ts";

/** `ensembles`: folders, two or more. */
export function showComparison(extension: vscode.Uri, service: ServiceClient, ensembles: readonly string[]): void {
  const title = "Compare Ensembles";
  const panel = vscode.window.createWebviewPanel("saeEnsembles.comparison", title, vscode.ViewColumn.Active, {
    enableScripts: true,
  });
  panel.iconPath = tabIcon(extension);
  const page = { bundle: "ensemble-comparison" as const, element: "sae-ensemble-comparison", title };
  fillPanel(panel, extension, page, {
    ready: (_, signal) =>
      service.request("compareEnsembles", { ensembles: [...ensembles] }, { timeout: 300_000, signal }),
    browse: async ({ ensemble }) => {
      await vscode.commands.executeCommand(commands.browseFeatures, ensemble);
      return {};
    },
  });
}

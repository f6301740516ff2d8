// The sidebar's views as VS Code shows them: selection, badge, what stands above the rows. Their rows are the tree providers'.
import * as vscode from "vscode";
import { contexts, views } from "../ids.ts";
import type { FeatureBrowsers } from "../panels/featureBrowserPanel.ts";
import type { RunStore } from "../runStore.ts";
import { ensembleDrop } from "./ensembleDrop.ts";
import { EnsemblesTree, IMPORT_ROW } from "./ensemblesTree.ts";
import type { FeaturesTree } from "./featuresTree.ts";
import { badgeOf, RunsTree } from "./runsTree.ts";

export function createViews(store: RunStore, features: FeaturesTree, browsers: FeatureBrowsers): vscode.Disposable[] {
  const runs = vscode.window.createTreeView(views.runs, { treeDataProvider: new RunsTree(store) });
  const ensembles = vscode.window.createTreeView(views.ensembles, {
    treeDataProvider: new EnsemblesTree(store),
    canSelectMany: true,
    dragAndDropController: ensembleDrop,
  });
  const shown = vscode.window.createTreeView(views.features, { treeDataProvider: features, canSelectMany: true });
  return [
    runs,
    ensembles,
    ensembles.onDidChangeSelection(({ selection }) => {
      store.selectedEnsembles = selection.filter((row) => row !== IMPORT_ROW);
    }),
    shown,
    store.onChanged(() => {
      runs.badge = badgeOf(store);
      const none = "No ensemble yet. A finished run puts its ensembles here.";
      ensembles.message = store.ensembles.length === 0 ? none : "";
      features.show(features.ensemble ?? store.ensembles.find(({ ensemble }) => ensemble.indexed)?.ensemble.folder);
    }),
    browsers.onShown((ensemble) => features.show(ensemble)),
    features.onDidChangeTreeData(() => {
      shown.description = features.filter;
      void vscode.commands.executeCommand("setContext", contexts.featuresFiltered, features.filter !== "");
    }),
    features.onSaid((message) => {
      shown.message = message;
    }),
  ];
}

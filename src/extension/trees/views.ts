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
      const indexed = store.ensembles.filter(({ ensemble }) => ensemble.indexed);
      features.show(features.ensemble ?? indexed[0]?.ensemble.folder);
      const annotated = indexed.some(({ ensemble }) => ensemble.annotated);
      void vscode.commands.executeCommand("setContext", contexts.hasFeatures, indexed.length > 0);
      void vscode.commands.executeCommand("setContext", contexts.hasAnnotations, annotated);
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

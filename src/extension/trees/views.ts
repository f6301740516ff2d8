// The sidebar's views as VS Code shows them: selection, badge, what stands above the rows. Their rows are the tree providers'.
import * as vscode from "vscode";
import { contexts, views } from "../ids.ts";
import type { FeatureBrowsers } from "../panels/featureBrowserPanel.ts";
import type { RunStore } from "../runStore.ts";
import { shownFeatures } from "../words.ts";
import { currentEnsemble } from "./currentEnsemble.ts";
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
  const all = () => store.ensembles.map(({ ensemble }) => ensemble);
  return [
    runs,
    ensembles,
    ensembles.onDidChangeSelection(({ selection }) => {
      store.selectedEnsembles = selection.filter((row) => row !== IMPORT_ROW && "ensemble" in row);
    }),
    shown,
    store.onChanged(() => {
      runs.badge = badgeOf(store);
      runs.message = store.trouble;
      if (!store.loaded) return;
      const none = "No ensemble yet. A finished run puts its ensembles here.";
      ensembles.message = store.ensembles.length + store.imports.length === 0 ? none : "";
      const indexed = all().filter((ensemble) => ensemble.indexed);
      features.show(currentEnsemble(all(), features.ensemble));
      const annotated = indexed.some((ensemble) => ensemble.annotated);
      void vscode.commands.executeCommand("setContext", contexts.runsListed, true);
      void vscode.commands.executeCommand("setContext", contexts.hasFeatures, indexed.length > 0);
      void vscode.commands.executeCommand("setContext", contexts.hasAnnotations, annotated);
    }),
    browsers.onShown((folder) => {
      // A browser may be open on what was deleted; before anything is listed, what it shows is taken for there.
      features.show(store.loaded ? currentEnsemble(all(), folder) : { folder, indexTime: null });
    }),
    features.onDidChangeTreeData(() => {
      shown.description = shownFeatures(features.ensemble, features.filter);
      void vscode.commands.executeCommand("setContext", contexts.featuresFiltered, features.filter !== "");
    }),
    features.onSaid((message) => {
      shown.message = message;
    }),
  ];
}

// The extension's root: constructs the parts and registers them. Nothing heavy happens here; the service starts when a view first asks.
import * as vscode from "vscode";
import { keepHubToken } from "./commands/hubToken.ts";
import { registerCommands } from "./commands/register.ts";
import { ExperimentChecks, ExperimentLenses, experimentFiles } from "./editor/experimentLenses.ts";
import { taskType } from "./ids.ts";
import { FeatureBrowsers } from "./panels/featureBrowserPanel.ts";
import { conceptsPanels, debiasPanels } from "./panels/probingPanels.ts";
import { RunDashboards } from "./panels/runDashboardPanel.ts";
import { RunStore } from "./runStore.ts";
import { ServiceClient } from "./serviceClient.ts";
import { RunStatusBar } from "./statusBar.ts";
import { RunNotifications } from "./tasks/runNotifications.ts";
import { RunTasks } from "./tasks/runTasks.ts";
import { FeaturesTree } from "./trees/featuresTree.ts";
import { createViews } from "./trees/views.ts";

export function activate(context: vscode.ExtensionContext): void {
  const output = vscode.window.createOutputChannel("SAE Ensembles", { log: true });
  const service = new ServiceClient(context.extensionUri, output);
  const store = new RunStore(service);
  const tasks = new RunTasks(service);
  const browsers = new FeatureBrowsers(context, service);
  const dashboards = new RunDashboards(context, service, store);
  const debiasings = debiasPanels(context, service);
  const concepts = conceptsPanels(context, service);
  const features = new FeaturesTree(service);
  const notifications = new RunNotifications(store, service);

  context.subscriptions.push(
    output,
    service,
    keepHubToken(context, service),
    store,
    new RunStatusBar(store),
    new ExperimentChecks(service),
    vscode.tasks.registerTaskProvider(taskType, tasks),
    vscode.languages.registerCodeLensProvider(experimentFiles, new ExperimentLenses(store)),
    tasks,
    notifications,
    tasks.onStarted((folder) => notifications.follow(folder)),
    ...createViews(store, features, browsers),
    ...registerCommands({
      context,
      output,
      service,
      store,
      tasks,
      browsers,
      dashboards,
      features,
      debiasings,
      concepts,
    }),
  );
  void store.watch();
}

export function deactivate(): void {}

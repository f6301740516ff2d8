// The extension's root: constructs the parts and registers them. Nothing heavy happens here; the service starts when a view first asks.
import * as vscode from "vscode";
import { DoctorReport } from "./commands/doctor.ts";
import { keepHubToken } from "./commands/hubToken.ts";
import { registerCommands } from "./commands/register.ts";
import { ExperimentChecks, ExperimentLenses } from "./editor/experimentLenses.ts";
import { FeatureHovers } from "./editor/featureHover.ts";
import { FileParts } from "./editor/fileParts.ts";
import { InspectionStatus } from "./editor/inspectionStatus.ts";
import { StrengthMarks } from "./editor/strengthMarks.ts";
import { TextInspector } from "./editor/textInspector.ts";
import { Tints } from "./editor/tints.ts";
import { registerFeaturesTool } from "./featuresTool.ts";
import { experimentFiles, taskType } from "./ids.ts";
import { FeatureBrowsers } from "./panels/featureBrowserPanel.ts";
import { NextTokenPanel } from "./panels/nextTokenPanel.ts";
import { conceptsPanels, debiasPanels } from "./panels/probingPanels.ts";
import { RunDashboards } from "./panels/runDashboardPanel.ts";
import { registerTensorFileEditor } from "./panels/tensorFileEditor.ts";
import { RunStore } from "./runStore.ts";
import { ServiceClient } from "./serviceClient.ts";
import { RunStatusBar } from "./statusBar.ts";
import { RunNotifications } from "./tasks/runNotifications.ts";
import { RunTasks } from "./tasks/runTasks.ts";
import { FeaturesHereTree } from "./trees/featuresHereTree.ts";
import { FeaturesTree } from "./trees/featuresTree.ts";
import { createViews } from "./trees/views.ts";

export function activate(context: vscode.ExtensionContext): void {
  const output = vscode.window.createOutputChannel("SAE Ensembles", { log: true });
  const service = new ServiceClient(context.extensionUri, output);
  const store = new RunStore(service, context.workspaceState);
  const tasks = new RunTasks(service);
  const browsers = new FeatureBrowsers(context, service, store);
  const dashboards = new RunDashboards(context, service, store);
  const debiasings = debiasPanels(context, service);
  const concepts = conceptsPanels(context, service);
  const features = new FeaturesTree(service);
  const inspector = new TextInspector(service, store, context.workspaceState);
  const here = new FeaturesHereTree(inspector, service);
  const nextToken = new NextTokenPanel(context, service, inspector);
  const marks = new StrengthMarks(inspector);
  const doctor = new DoctorReport(service);
  const notifications = new RunNotifications(store, service);

  context.subscriptions.push(
    output,
    service,
    keepHubToken(context, service),
    store,
    new RunStatusBar(store, notifications),
    new ExperimentChecks(service),
    vscode.tasks.registerTaskProvider(taskType, tasks),
    vscode.languages.registerCodeLensProvider(experimentFiles, new ExperimentLenses(store)),
    tasks,
    notifications,
    tasks.onStarted(async (folder) => {
      await store.remember(folder);
      notifications.follow(folder);
    }),
    registerTensorFileEditor(context.extensionUri, service),
    ...createViews(store, features, browsers),
    new FileParts(),
    doctor,
    inspector,
    new Tints(inspector),
    new InspectionStatus(inspector),
    marks,
    vscode.languages.registerHoverProvider({ pattern: "**" }, new FeatureHovers(inspector)),
    vscode.languages.registerInlayHintsProvider({ pattern: "**" }, marks),
    here,
    nextToken,
    registerFeaturesTool(service, store, inspector),
    ...registerCommands({
      context,
      output,
      service,
      store,
      tasks,
      browsers,
      dashboards,
      inspector,
      here,
      nextToken,
      features,
      debiasings,
      concepts,
      doctor,
    }),
  );
  // Starting a process holds the host up; whoever waits for activation need not wait for that.
  setImmediate(() => void store.watch());
}

export function deactivate(): void {}

// The table of commands: every command of package.json and what it calls.
import * as vscode from "vscode";
import type { TextInspector } from "../editor/textInspector.ts";
import { Distrust, Hint, wasCancelled } from "../hint.ts";
import { commands, manageTrust } from "../ids.ts";
import type { EnsemblePanels } from "../panels/ensemblePanels.ts";
import type { FeatureBrowsers } from "../panels/featureBrowserPanel.ts";
import type { NextTokenPanel } from "../panels/nextTokenPanel.ts";
import type { RunDashboards } from "../panels/runDashboardPanel.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import type { RunTasks } from "../tasks/runTasks.ts";
import type { FeaturesHereTree } from "../trees/featuresHereTree.ts";
import type { FeaturesTree } from "../trees/featuresTree.ts";
import { foundFirst } from "../words.ts";
import { compareTexts } from "./comparingTexts.ts";
import type { DoctorReport } from "./doctor.ts";
import { compareEnsembles, deleteEnsemble, revealEnsemble } from "./ensembles.ts";
import { openGuide } from "./guides.ts";
import { setHubToken } from "./hubToken.ts";
import { importSaes } from "./importSaes.ts";
import {
  ablateFeature,
  chooseEnsemble,
  flagFeature,
  inspectionMenu,
  inspectText,
  labelFeature,
  nextToken,
  pinFeature,
  rankFeaturesHere,
  showFilePart,
  steerFeature,
  stopInspecting,
  tintByFeature,
  tintByStrongest,
} from "./inspecting.ts";
import { labelWithModel } from "./labelFeatures.ts";
import { browseFeatures, clearFeatureFilter, debias, filterFeatures, openConcepts, openReport } from "./looking.ts";
import { newExperiment } from "./newExperiment.ts";
import {
  buildIndex,
  deleteRun,
  evaluate,
  openDashboard,
  resumeRun,
  revealRun,
  runDemo,
  runExperiment,
  showLog,
  stopRun,
} from "./runs.ts";

/** What commands work with. */
export interface Parts {
  readonly context: vscode.ExtensionContext;
  readonly output: vscode.LogOutputChannel;
  readonly service: ServiceClient;
  readonly store: RunStore;
  readonly tasks: RunTasks;
  readonly browsers: FeatureBrowsers;
  readonly features: FeaturesTree;
  readonly dashboards: RunDashboards;
  readonly inspector: TextInspector;
  readonly here: FeaturesHereTree;
  readonly nextToken: NextTokenPanel;
  readonly debiasings: EnsemblePanels<"debias">;
  readonly concepts: EnsemblePanels<"concepts">;
  readonly doctor: DoctorReport;
}

type Command = (parts: Parts, ...args: never[]) => unknown;

const table: Record<(typeof commands)[keyof typeof commands], Command> = {
  [commands.runDemo]: runDemo,
  [commands.newExperiment]: newExperiment,
  [commands.importSaes]: importSaes,
  [commands.runExperiment]: runExperiment,
  [commands.evaluate]: evaluate,
  [commands.buildIndex]: buildIndex,
  [commands.stopRun]: stopRun,
  [commands.resumeRun]: resumeRun,
  [commands.deleteRun]: deleteRun,
  [commands.revealRun]: revealRun,
  [commands.openDashboard]: openDashboard,
  [commands.showLog]: showLog,
  [commands.openReport]: openReport,
  [commands.compareEnsembles]: compareEnsembles,
  [commands.revealEnsemble]: revealEnsemble,
  [commands.deleteEnsemble]: deleteEnsemble,
  [commands.browseFeatures]: browseFeatures,
  [commands.filterFeatures]: filterFeatures,
  [commands.clearFeatureFilter]: clearFeatureFilter,
  [commands.labelWithModel]: labelWithModel,
  [commands.showFeature]: ({ browsers }, ensemble: string, feature: number) => browsers.show(ensemble, feature),
  [commands.debias]: debias,
  [commands.concepts]: openConcepts,
  [commands.refresh]: ({ store }) => store.watch(),
  [commands.doctor]: ({ doctor }) => doctor.show(),
  [commands.openGuide]: openGuide,
  [commands.setHubToken]: setHubToken,
  [commands.inspectText]: inspectText,
  [commands.stopInspecting]: stopInspecting,
  [commands.showFilePart]: showFilePart,
  [commands.chooseEnsemble]: chooseEnsemble,
  [commands.inspectionMenu]: inspectionMenu,
  [commands.rankFeaturesHere]: rankFeaturesHere,
  [commands.tintByFeature]: tintByFeature,
  [commands.tintByStrongest]: tintByStrongest,
  [commands.pinFeature]: pinFeature,
  [commands.flagFeature]: flagFeature,
  [commands.labelFeature]: labelFeature,
  [commands.nextToken]: nextToken,
  [commands.ablateFeature]: ablateFeature,
  [commands.steerFeature]: steerFeature,
  [commands.compareTexts]: compareTexts,
};

export function registerCommands(parts: Parts): vscode.Disposable[] {
  return Object.entries(table).map(([id, command]) =>
    vscode.commands.registerCommand(id, async (...args: unknown[]) => {
      try {
        return await (command as (parts: Parts, ...args: unknown[]) => unknown)(parts, ...args);
      } catch (error) {
        if (wasCancelled(error)) return undefined;
        if (error instanceof Hint) {
          void vscode.window.showInformationMessage(error.message);
          return undefined;
        }
        if (error instanceof Distrust) {
          const manage = "Manage Workspace Trust";
          const answer = await vscode.window.showErrorMessage(error.message, manage);
          if (answer === manage) await vscode.commands.executeCommand(manageTrust);
          return undefined;
        }
        parts.output.error(error instanceof Error ? error : String(error));
        void vscode.window.showErrorMessage(foundFirst(error instanceof Error ? error.message : String(error)));
        return undefined;
      }
    }),
  );
}

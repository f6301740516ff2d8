// The hosts of the debias and the concept view: questions passed on to the service, files asked for, reports opened.
import { join } from "node:path";
import * as vscode from "vscode";
import { conceptsHost, conceptsView } from "../../protocol/concepts.ts";
import { debiasHost, debiasView } from "../../protocol/debias.ts";
import { PROBING_PATIENCE } from "../../protocol/labelledData.ts";
import { answer, notify } from "../../protocol/rpc.ts";
import { commands } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { EnsemblePanels } from "./ensemblePanels.ts";

const timeout = PROBING_PATIENCE;

export function debiasPanels(extension: vscode.ExtensionContext, service: ServiceClient): EnsemblePanels {
  const kind = { viewType: "saeEnsembles.debias", bundle: "debias", element: "sae-debias", title: "Debias" };
  return new EnsemblePanels(extension, service, kind, ({ ensemble, runFolder, connection, until, on }) => {
    answer(connection, debiasHost, {
      ready: () => service.request("debiasOpen", { ensemble }),
      pickFile,
      describe: (params) => service.request("describeLabelled", params, { timeout: 120_000 }),
      prepare: (choice, signal) =>
        service.request("debiasPrepare", { ensemble, choice }, { timeout, signal: until(signal) }),
      suggestions: (params) => service.request("debiasSuggestions", { ...params, ensemble }),
      detail: (params) => service.request("detail", { ...params, ensemble }),
      annotate: (params) => service.request("annotate", { ...params, ensemble }),
      undo: () => service.request("undo", { ensemble }),
      verdict: () => service.request("debiasVerdict", { ensemble }),
      retrain: (_, signal) => service.request("debiasRetrain", { ensemble }, { timeout, signal: until(signal) }),
      compare: (_, signal) => service.request("debiasCompare", { ensemble }, { timeout, signal: until(signal) }),
      saveReport: async (_, signal) => {
        const path = await askReport(runFolder, "debias");
        if (path === null) return { file: null };
        const { file } = await service.request("debiasReport", { ensemble, path }, { timeout, signal: until(signal) });
        await openReport(file);
        return { file };
      },
      saveProbe: async (_, signal) => {
        const chosen = await vscode.window.showOpenDialog({
          title: "Folder for the debiased probe",
          openLabel: "Save Here",
          canSelectFiles: false,
          canSelectFolders: true,
          defaultUri: vscode.Uri.file(runFolder),
        });
        const folder = chosen?.[0]?.fsPath;
        if (folder === undefined) return { folder: null };
        const params = { ensemble, path: join(folder, "debias"), folder };
        await service.request("debiasProbe", params, { timeout, signal: until(signal) });
        return { folder };
      },
      browse: async ({ feature }) => {
        await vscode.commands.executeCommand(commands.showFeature, ensemble, feature);
        return {};
      },
    });
    on("annotationsChanged", (changed) => {
      if (changed.ensemble === ensemble) notify(connection, debiasView, "annotationsChanged", {});
    });
    on("probingProgress", ({ ensemble: which, progress }) => {
      if (which === ensemble) notify(connection, debiasView, "progress", progress);
    });
  });
}

export function conceptsPanels(extension: vscode.ExtensionContext, service: ServiceClient): EnsemblePanels {
  const kind = { viewType: "saeEnsembles.concepts", bundle: "concepts", element: "sae-concepts", title: "Concepts" };
  return new EnsemblePanels(extension, service, kind, ({ ensemble, runFolder, connection, until, on }) => {
    answer(connection, conceptsHost, {
      ready: () => service.request("conceptsOpen", { ensemble }),
      pickFile,
      describe: (params) => service.request("describeLabelled", params, { timeout: 120_000 }),
      detect: (choice, signal) =>
        service.request("conceptsDetect", { ensemble, choice }, { timeout, signal: until(signal) }),
      saveReport: async () => {
        const path = await askReport(runFolder, "concepts");
        if (path === null) return { file: null };
        const { file } = await service.request("conceptsReport", { ensemble, path });
        await openReport(file);
        return { file };
      },
      browse: async ({ feature }) => {
        await vscode.commands.executeCommand(commands.showFeature, ensemble, feature);
        return {};
      },
    });
    on("annotationsChanged", (changed) => {
      if (changed.ensemble === ensemble) notify(connection, conceptsView, "annotationsChanged", {});
    });
    on("probingProgress", ({ ensemble: which, progress }) => {
      if (which === ensemble) notify(connection, conceptsView, "progress", progress);
    });
  });
}

async function pickFile(): Promise<{ file: string | null }> {
  const chosen = await vscode.window.showOpenDialog({
    title: "Labelled texts",
    filters: { "Labelled texts": ["jsonl", "csv", "tsv", "parquet", "gz"], "All files": ["*"] },
  });
  return { file: chosen?.[0]?.fsPath ?? null };
}

/** A report's path without its ending; null: a person thought better of it. */
async function askReport(runFolder: string, name: string): Promise<string | null> {
  const chosen = await vscode.window.showSaveDialog({
    title: "Save the report",
    defaultUri: vscode.Uri.file(join(runFolder, `${name}.md`)),
    filters: { Markdown: ["md"] },
  });
  return chosen ? chosen.fsPath.replace(/\.md$/, "") : null;
}

async function openReport(file: string): Promise<void> {
  await vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.file(file));
}

// The hosts of the debias and the concept view: questions passed on to the service, files asked for, what was saved offered to open.
import * as vscode from "vscode";
import { PROBING_PATIENCE } from "../../protocol/patience.ts";
import { askHubName } from "../commands/newExperiment.ts";
import { choose } from "../commands/questions.ts";
import { commands, panels } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { EnsemblePanels } from "./ensemblePanels.ts";

const timeout = PROBING_PATIENCE;

export function debiasPanels(extension: vscode.ExtensionContext, service: ServiceClient): EnsemblePanels<"debias"> {
  const kind = { viewType: panels.debias, bundle: "debias" as const, element: "sae-debias", title: "Debias" };
  return new EnsemblePanels(extension, service, kind, ({ ensemble, answer, until, on, whenGone }) => {
    whenGone(() => {
      // A service that is gone has let go of it too.
      if (service.runs) void service.request("debiasClose", { ensemble }).catch(() => {});
    });
    const line = answer({
      ready: () => service.request("debiasOpen", { ensemble }),
      pickFile,
      describe: (params, signal) =>
        service.request("describeLabelled", { ...params, ensemble }, { timeout, signal: until(signal) }),
      prepare: (choice, signal) =>
        service.request("debiasPrepare", { ensemble, choice }, { timeout, signal: until(signal) }),
      suggestions: (params) => service.request("debiasSuggestions", { ...params, ensemble }),
      detail: (params) => service.request("detail", { ...params, ensemble }),
      annotate: (params) => service.request("annotate", { ...params, ensemble }),
      retrain: (_, signal) => service.request("debiasRetrain", { ensemble }, { timeout, signal: until(signal) }),
      compare: (_, signal) => service.request("debiasCompare", { ensemble }, { timeout, signal: until(signal) }),
      saveReport: async (_, signal) => {
        const { file } = await service.request("debiasReport", { ensemble }, { timeout, signal: until(signal) });
        return offer("Report saved", file, "markdown.showPreview");
      },
      saveProbe: async (_, signal) => {
        const { file } = await service.request("debiasProbe", { ensemble }, { timeout, signal: until(signal) });
        return offer("Debiased probe saved", file, "vscode.open");
      },
      browse: async ({ feature }) => {
        await vscode.commands.executeCommand(commands.showFeature, ensemble, feature);
        return {};
      },
    });
    on("debiasVerdict", ({ ensemble: which, verdict }) => {
      if (which === ensemble) line.notify("verdict", verdict);
    });
    on("annotationsChanged", (changed) => {
      if (changed.ensemble === ensemble) line.notify("annotationsChanged", {});
    });
    on("probingProgress", ({ ensemble: which, progress }) => {
      if (which === ensemble) line.notify("progress", progress);
    });
  });
}

export function conceptsPanels(extension: vscode.ExtensionContext, service: ServiceClient): EnsemblePanels<"concepts"> {
  const kind = {
    viewType: panels.concepts,
    bundle: "concepts" as const,
    element: "sae-concepts",
    title: "Concepts",
  };
  return new EnsemblePanels(extension, service, kind, ({ ensemble, answer, until, on }) => {
    const line = answer({
      ready: () => service.request("conceptsOpen", { ensemble }),
      pickFile,
      describe: (params, signal) =>
        service.request("describeLabelled", { ...params, ensemble }, { timeout, signal: until(signal) }),
      detect: (choice, signal) =>
        service.request("conceptsDetect", { ensemble, choice }, { timeout, signal: until(signal) }),
      saveReport: async () => {
        const { file } = await service.request("conceptsReport", { ensemble });
        return offer("Report saved", file, "markdown.showPreview");
      },
      browse: async ({ feature }) => {
        await vscode.commands.executeCommand(commands.showFeature, ensemble, feature);
        return {};
      },
    });
    on("annotationsChanged", (changed) => {
      if (changed.ensemble === ensemble) line.notify("annotationsChanged", {});
    });
    on("probingProgress", ({ ensemble: which, progress }) => {
      if (which === ensemble) line.notify("progress", progress);
    });
  });
}

async function pickFile(): Promise<{ file: string | null }> {
  const title = "Labelled texts";
  const kind = await choose(title, [
    { label: "A file…", description: ".jsonl, .csv, .tsv, .parquet, plain or .gz", value: "file" },
    { label: "A data set of the Hugging Face hub…", description: "by its name", value: "hub" },
  ]);
  if (kind === "hub")
    return {
      file: (await askHubName(title, "e.g. fancyzhx/ag_news, or fancyzhx/ag_news/test for a part of it")) ?? null,
    };
  if (kind === undefined) return { file: null };
  const chosen = await vscode.window.showOpenDialog({
    title,
    filters: { "Labelled texts": ["jsonl", "csv", "tsv", "parquet", "gz"], "All files": ["*"] },
  });
  return { file: chosen?.[0]?.fsPath ?? null };
}

/** Says what was saved and offers to open it, without waiting for an answer: a view that opened it at once would be hidden by it. */
function offer(what: string, file: string, command: string): { file: string } {
  const shown = vscode.workspace.asRelativePath(file);
  void vscode.window.showInformationMessage(`${what}: ${shown}`, "Open").then(async (answered) => {
    if (answered) await vscode.commands.executeCommand(command, vscode.Uri.file(file));
  });
  return { file: shown };
}

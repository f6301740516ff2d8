// "New Experiment": a few questions, then a commented experiment file that is ready to run.
import { basename, isAbsolute } from "node:path";
import * as vscode from "vscode";
import { type ExperimentSize, experimentText, sizes } from "../../jobs/newExperiment.ts";
import type { ServiceClient } from "../serviceClient.ts";
import type { Parts } from "./register.ts";

interface Choice<T extends string = string> extends vscode.QuickPickItem {
  readonly value: T;
}

export async function newExperiment({ context, service }: Parts): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) throw new Error("Open a folder first: the experiment file and its run go there.");
  const stepByStep = { label: "Step by step", description: "model, text, hook, method, architecture, size", value: "" };
  const preset = await choose("New experiment: what to begin with", [
    stepByStep,
    { label: "From a preset", kind: vscode.QuickPickItemKind.Separator, value: "" },
    ...(await presets(context.extensionUri)),
  ]);
  if (preset === undefined) return;
  if (preset !== "") {
    const uri = await freeName(folder.uri, basename(preset, ".sae.jsonc"));
    await vscode.workspace.fs.copy(vscode.Uri.file(preset), uri);
    await vscode.window.showTextDocument(uri, { preview: false });
    return;
  }
  const model = await chooseModel("Language model (1/6)");
  if (!model) return;
  const dataset = await chooseText("Text to train on (2/6)");
  if (!dataset) return;
  const hook = await chooseHook(service, model);
  if (!hook) return;
  const method = await choose("Method (4/6)", [
    { label: "Bagging", description: "same data, other initial weights, averaged: stable features", value: "bagging" },
    {
      label: "Boosting",
      description: "each learns what the earlier ones leave: better reconstruction",
      value: "boosting",
    },
    {
      label: "All four, side by side",
      description: "single, bagging, boosting, expanded: the paper's comparison",
      value: "all",
    },
  ]);
  if (!method) return;
  const architecture = await choose("Architecture (5/6)", [
    { label: "TopK", description: "exactly k features a token", value: "topk" },
    { label: "BatchTopK", description: "k on average over a batch", value: "batchtopk" },
    {
      label: "Matryoshka BatchTopK",
      description: "nested SAEs: the first features also reconstruct on their own, so they stay general",
      value: "matryoshka_batchtopk",
    },
    { label: "ReLU", description: "with an L1 penalty (SAELens: standard)", value: "standard" },
    { label: "JumpReLU", description: "a threshold for each feature", value: "jumprelu" },
    { label: "Gated", description: "a gate for each feature", value: "gated" },
  ]);
  if (!architecture) return;
  const size = await choose("Size (6/6)", [
    { label: "Quick look", description: sizeWords("quick"), value: "quick" },
    { label: "Middle", description: sizeWords("middle"), value: "middle" },
    { label: "As in the paper", description: `${sizeWords("paper")}: hours on a processor`, value: "paper" },
  ]);
  if (!size) return;
  const named = (path: string) => (isAbsolute(path) ? vscode.workspace.asRelativePath(path, false) : path);
  const text = experimentText({ model: named(model), dataset: named(dataset), hook, method, architecture, size });
  const uri = await freeName(folder.uri, "experiment");
  const { problems } = await service.request("check", { file: uri.fsPath, text });
  await vscode.workspace.fs.writeFile(uri, Buffer.from(text));
  await vscode.window.showTextDocument(uri, { preview: false });
  if (problems[0]) void vscode.window.showWarningMessage(problems[0].message);
}

/** Experiment files that come along: the demo, settings of the paper, and smaller ones, each with its first comment. */
async function presets(extension: vscode.Uri): Promise<Choice[]> {
  const media = vscode.Uri.joinPath(extension, "media");
  const folder = vscode.Uri.joinPath(media, "presets");
  const names = (await vscode.workspace.fs.readDirectory(folder)).map(([name]) => name).sort();
  const files = [vscode.Uri.joinPath(media, "demo", "demo.sae.jsonc")];
  files.push(...names.map((name) => vscode.Uri.joinPath(folder, name)));
  return Promise.all(
    files.map(async ({ fsPath }) => {
      const text = Buffer.from(await vscode.workspace.fs.readFile(vscode.Uri.file(fsPath))).toString("utf8");
      const detail = /^\/\/ (.*)$/m.exec(text)?.[1];
      return { label: basename(fsPath, ".sae.jsonc"), ...(detail && { detail }), value: fsPath };
    }),
  );
}

function sizeWords(size: ExperimentSize): string {
  const { n_members, expansion_factor, training_tokens } = sizes[size];
  return `${n_members} members of ${expansion_factor} × the width, ${training_tokens.toLocaleString("en-US")} tokens each`;
}

/** The demo's, a file or folder, or a name of the hub. */
export async function chooseModel(title: string): Promise<string | undefined> {
  const kind = await choose(title, [
    { label: "Demo model", description: "small, comes with SAE Ensembles", value: "demo" },
    { label: "A GGUF file or a Hugging Face folder…", value: "file" },
    {
      label: "A model of the Hugging Face hub…",
      description: "by its name; fetched when the run starts",
      value: "hub",
    },
  ]);
  if (kind === "file") return open("Language model", { GGUF: ["gguf"] }, true);
  return kind === "hub" ? askHubName(title, "e.g. HuggingFaceTB/SmolLM2-135M") : kind;
}

/** The same for texts. */
export async function chooseText(title: string): Promise<string | undefined> {
  const kind = await choose(title, [
    { label: "Demo text", description: "of the kinds that the demo model was trained on", value: "demo" },
    { label: "A text file…", description: ".txt, .jsonl, .csv, .parquet, plain or .gz", value: "file" },
    { label: "A data set of the Hugging Face hub…", description: "by its name", value: "hub" },
  ]);
  if (kind === "file") return open("Text", { Text: ["txt", "jsonl", "csv", "parquet", "gz"] }, false);
  return kind === "hub" ? askHubName(title, "e.g. stanfordnlp/imdb") : kind;
}

/** owner/name, perhaps with more behind it. */
export async function askHubName(title: string, prompt: string): Promise<string | undefined> {
  const validateInput = (value: string) => (isHubName(value) ? undefined : "owner/name");
  return vscode.window.showInputBox({ title, prompt, validateInput, ignoreFocusOut: true });
}

/** One or several, with spaces or commas between. */
export async function askHubNames(title: string, prompt: string): Promise<string[] | undefined> {
  const parts = (value: string) => value.split(/[\s,]+/).filter((part) => part !== "");
  const areNames = (names: readonly string[]) => names.length > 0 && names.every(isHubName);
  const validateInput = (value: string) => (areNames(parts(value)) ? undefined : "owner/name/folder");
  const value = await vscode.window.showInputBox({ title, prompt, validateInput, ignoreFocusOut: true });
  return value === undefined ? undefined : parts(value);
}

function isHubName(value: string): boolean {
  return /^[\w.-]+\/[\w./@-]+$/.test(value);
}

/** Every layer's residual stream, the middle one first; any other hook by name. */
async function chooseHook(service: ServiceClient, model: string): Promise<string | undefined> {
  const { layers } = await service.request("modelLayers", { model }).catch(() => ({ layers: null }));
  const middle = layers === null ? 8 : Math.floor(layers / 2);
  const other = { label: "Another hook point…", description: "by TransformerLens' name", value: "" };
  const residual = (layer: number) => `blocks.${layer}.hook_resid_post`;
  const items = Array.from({ length: layers ?? 0 }, (_, layer) => layer)
    .sort((a, b) => Number(b === middle) - Number(a === middle) || a - b)
    .map((layer) => ({
      label: `Layer ${layer}`,
      description: `${residual(layer)}${layer === middle ? " · the middle: a good start" : ""}`,
      value: residual(layer),
    }));
  const chosen = items.length > 0 ? await choose("Hook point (3/6)", [...items, other]) : "";
  if (chosen !== "") return chosen;
  return vscode.window.showInputBox({
    title: "Hook point (3/6)",
    prompt: "By TransformerLens' name. The middle of the model is a good start.",
    value: residual(middle),
    ignoreFocusOut: true,
    validateInput: (value) =>
      /^blocks\.\d+\.hook_(resid_(pre|mid|post)|mlp_out|attn_out)$/.test(value)
        ? undefined
        : `e.g. ${residual(middle)}`,
  });
}

/** One of a list, by its value; undefined where nothing was chosen. */
export async function choose<const T extends string>(title: string, items: Choice<T>[]): Promise<T | undefined> {
  return (await vscode.window.showQuickPick(items, { title, ignoreFocusOut: true }))?.value;
}

async function open(title: string, filters: Record<string, string[]>, folders: boolean): Promise<string | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title,
    filters: { ...filters, "All files": ["*"] },
    canSelectFiles: true,
    canSelectFolders: folders,
  });
  return chosen?.[0]?.fsPath;
}

async function freeName(folder: vscode.Uri, stem: string): Promise<vscode.Uri> {
  for (let n = 1; ; n++) {
    const uri = vscode.Uri.joinPath(folder, `${stem}${n === 1 ? "" : `-${n}`}.sae.jsonc`);
    const taken = await vscode.workspace.fs.stat(uri).then(
      () => true,
      () => false,
    );
    if (!taken) return uri;
  }
}

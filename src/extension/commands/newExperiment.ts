// "New Experiment": a few questions, then a commented experiment file that is ready to run.
import { basename, isAbsolute } from "node:path";
import * as vscode from "vscode";
import { type ExperimentChoice, type ExperimentSize, experimentText, sizes } from "../../jobs/newExperiment.ts";
import { isHookName } from "../../model/hookPoints.ts";
import { architectures, architectureWords } from "../../sae/architectureWords.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { inTurn } from "./inTurn.ts";
import { type Choice, choose, enter } from "./questions.ts";
import type { Parts } from "./register.ts";

/** What is asked for step by step. */
type Answers = { -readonly [K in keyof ExperimentChoice]?: ExperimentChoice[K] | undefined } & {
  name?: string | undefined;
};

export async function newExperiment({ context, service }: Parts): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  if (!folder) throw new Error("Open a folder first: the experiment file and its run go there.");
  const description = "model, text, hook, method, architecture, size";
  const stepByStep = { label: "Step by step", description, value: "" };
  const items = [
    stepByStep,
    { label: "From a preset", kind: vscode.QuickPickItemKind.Separator, value: "" },
    ...(await presets(context.extensionUri)),
  ];
  let preset: string | undefined;
  await inTurn(
    async () => (preset = await choose("New experiment: what to begin with", items)),
    async () => (preset ? copyPreset(folder, preset) : askAll(folder, service)),
  );
}

async function copyPreset(folder: vscode.Uri, preset: string): Promise<void> {
  const uri = fileIn(folder, freeName(basename(preset, ".sae.jsonc"), await namesIn(folder)));
  await vscode.workspace.fs.copy(vscode.Uri.file(preset), uri);
  await vscode.window.showTextDocument(uri, { preview: false });
}

async function askAll(folder: vscode.Uri, service: ServiceClient): Promise<void> {
  const taken = await namesIn(folder);
  const answers: Answers = {};
  const answered = await inTurn(
    async () => (answers.model = await chooseModel("Language model (1/7)", true)),
    async () => (answers.dataset = await chooseText("Text to train on (2/7)", true)),
    async () => (answers.hook = await chooseHook(service, answers.model!)),
    async () => (answers.method = await choose("Method (4/7)", methods, true)),
    async () => (answers.architecture = await choose("Architecture (5/7)", architectureItems, true)),
    async () => (answers.size = await choose("Size (6/7)", sizeItems, true)),
    async () => (answers.name = await askName("Name (7/7)", answers.model!, taken)),
  );
  if (answered) await write(fileIn(folder, answers.name!), answers as ExperimentChoice, service);
}

async function write(uri: vscode.Uri, choice: ExperimentChoice, service: ServiceClient): Promise<void> {
  const named = (path: string) => (isAbsolute(path) ? vscode.workspace.asRelativePath(path, false) : path);
  const text = experimentText({ ...choice, model: named(choice.model), dataset: named(choice.dataset) });
  const { problems } = await service.request("check", { file: uri.fsPath, text });
  await vscode.workspace.fs.writeFile(uri, Buffer.from(text));
  await vscode.window.showTextDocument(uri, { preview: false });
  if (problems[0]) void vscode.window.showWarningMessage(problems[0].message);
}

const methods = [
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
] as const;

const architectureItems = architectures.map((value) => {
  const { label, words } = architectureWords[value];
  return { label, description: words, value };
});

const sizeItems = [
  { label: "Quick look", description: sizeWords("quick"), value: "quick" },
  { label: "Middle", description: sizeWords("middle"), value: "middle" },
  { label: "As in the paper", description: `${sizeWords("paper")}: hours on a processor`, value: "paper" },
] as const;

/** The experiment's and its run's name: from the model's, unless somebody has a better one. */
function askName(title: string, model: string, taken: ReadonlySet<string>): Promise<string | undefined> {
  const prompt = "Of the experiment's file and of its run.";
  const value = freeName(model === "demo" ? "experiment" : basename(model).replace(/\.(gguf|onnx)$|@.*$/i, ""), taken);
  const wrong = (name: string) => {
    if (!/^[^\\/:*?"<>|]*[^\\/:*?"<>|. ]$/.test(name)) return "A file's name, without its ending";
    return taken.has(fileName(name)) ? `${fileName(name)} is there already` : undefined;
  };
  return enter({ title, prompt, value }, wrong, true);
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
export function chooseModel(title: string, hasBack = false): Promise<string | undefined> {
  const items = [
    { label: "Demo model", description: "small, comes with SAE Ensembles", value: "demo" },
    { label: "A GGUF file or a Hugging Face folder…", value: "file" },
    {
      label: "A model of the Hugging Face hub…",
      description: "by its name; fetched when the run starts",
      value: "hub",
    },
  ] as const;
  return chooseAndName(title, hasBack, items, {
    file: () => open("Language model", { GGUF: ["gguf"] }, true),
    hub: () => askHubName(title, "e.g. HuggingFaceTB/SmolLM2-135M", true),
  });
}

/** The same for texts. */
export function chooseText(title: string, hasBack = false): Promise<string | undefined> {
  const items = [
    { label: "Demo text", description: "of the kinds that the demo model was trained on", value: "demo" },
    { label: "A text file…", description: ".txt, .jsonl, .csv, .parquet, plain or .gz", value: "file" },
    { label: "A data set of the Hugging Face hub…", description: "by its name", value: "hub" },
  ] as const;
  return chooseAndName(title, hasBack, items, {
    file: () => open("Text", { Text: ["txt", "jsonl", "csv", "parquet", "gz"] }, false),
    hub: () => askHubName(title, "e.g. stanfordnlp/imdb", true),
  });
}

/** A value of a list, or what is then asked for in its place. */
async function chooseAndName(
  title: string,
  hasBack: boolean,
  items: readonly Choice[],
  asked: Readonly<Record<string, () => Promise<string | undefined>>>,
): Promise<string | undefined> {
  let [kind, value]: [string?, string?] = [];
  await inTurn(
    async () => (kind = await choose(title, items, hasBack)),
    async () => (value = await (asked[kind!]?.() ?? Promise.resolve(kind))),
  );
  return value;
}

/** owner/name, perhaps with more behind it. */
export function askHubName(title: string, prompt: string, hasBack = false): Promise<string | undefined> {
  return enter({ title, prompt }, (value) => (isHubName(value) ? undefined : "owner/name"), hasBack);
}

/** One or several, with spaces or commas between. */
export async function askHubNames(title: string, prompt: string): Promise<string[] | undefined> {
  const parts = (value: string) => value.split(/[\s,]+/).filter((part) => part !== "");
  const areNames = (names: readonly string[]) => names.length > 0 && names.every(isHubName);
  const wrong = (value: string) => (areNames(parts(value)) ? undefined : "owner/name/folder");
  const value = await enter({ title, prompt }, wrong);
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
  const title = "Hook point (3/7)";
  const byName = () => {
    const prompt = "By TransformerLens' name. The middle of the model is a good start.";
    const wrong = (value: string) => (isHookName(value) ? undefined : `e.g. ${residual(middle)}`);
    return enter({ title, prompt, value: residual(middle) }, wrong, true);
  };
  return items.length > 0 ? chooseAndName(title, true, [...items, other], { "": byName }) : byName();
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

const fileName = (name: string) => `${name}.sae.jsonc`;
const fileIn = (folder: vscode.Uri, name: string) => vscode.Uri.joinPath(folder, fileName(name));

async function namesIn(folder: vscode.Uri): Promise<ReadonlySet<string>> {
  return new Set((await vscode.workspace.fs.readDirectory(folder)).map(([name]) => name));
}

function freeName(stem: string, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? stem : `${stem}-${n}`;
    if (!taken.has(fileName(name))) return name;
  }
}

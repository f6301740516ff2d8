// "Import SAEs": files or folders picked or dropped, a name, a model and a text; the service reads them and writes an ensemble and its experiment.
import { basename, dirname, join } from "node:path";
import * as vscode from "vscode";
import { isHookName } from "../../model/hookPoints.ts";
import type { SaidOfSaes } from "../../protocol/service.ts";
import { commands } from "../ids.ts";
import { askHubNames, chooseModel, chooseText } from "./newExperiment.ts";
import type { Parts } from "./register.ts";

/** Milliseconds: SAEs are large, and may have to be fetched. */
const IMPORTING = 3_600_000;

/**
 * `one`: what was dropped on the view, or the file whose editor or row it was asked from, and `all` that are selected beside
 * it; without them the person is asked.
 */
export async function importSaes(
  { service, output }: Parts,
  one?: vscode.Uri | readonly vscode.Uri[],
  all?: unknown,
): Promise<void> {
  const workspace = vscode.workspace.workspaceFolders?.[0];
  if (!workspace) throw new Error("Open a folder first: the imported ensemble goes there.");
  const paths = given(one, all) ?? (await pick());
  if (!paths || paths.length === 0) return;
  const title = `Import ${paths.length === 1 ? basename(paths[0]!) : `${paths.length} SAEs`}`;
  let said: SaidOfSaes = {};
  let described = await service.request("describeSaes", { paths, said }, { timeout: IMPORTING });
  while (described.ask) {
    const more = await askers[described.ask](title);
    if (!more) return;
    said = { ...said, ...more };
    described = await service.request("describeSaes", { paths, said }, { timeout: IMPORTING });
  }
  // Said only where no file says it: what a file says is not to be overruled.
  const hook_name = described.hook === null ? await askHook(title) : undefined;
  if (described.hook === null && !hook_name) return;
  const name = await vscode.window.showInputBox({
    title,
    prompt: "What to call the ensemble",
    value: suggestedName(paths[0]!),
    ignoreFocusOut: true,
    validateInput: (value) => (/^[\w][\w .-]*$/.test(value) ? undefined : "letters, digits, spaces, . - _"),
  });
  if (!name) return;
  const model = await chooseModel(`${title}: the language model that they read`);
  if (!model) return;
  const text = await chooseText(`${title}: text to evaluate and index them on`);
  if (!text) return;
  const outcome = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (_, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const folder = join(workspace.uri.fsPath, "imported", name);
      const request = { paths, folder, ...(hook_name && { hook_name }), said, model, text };
      return service.request("importSaes", request, { timeout: IMPORTING, signal: abort.signal });
    },
  );
  for (const line of outcome.lines) output.info(line);
  for (const line of outcome.warnings) output.warn(line);
  const experiment = vscode.Uri.file(outcome.experiment);
  await vscode.window.showTextDocument(experiment);
  const show = outcome.warnings.length > 0 ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
  const run = "Evaluate and Index";
  void show([...outcome.lines, ...outcome.warnings].join("\n"), run).then((chosen) => {
    if (chosen === run) void vscode.commands.executeCommand(commands.runExperiment, experiment);
  });
}

/** VS Code's menus give a file and, the Explorer's, all that are selected; the editor's a group in that place. */
function given(one: vscode.Uri | readonly vscode.Uri[] | undefined, all: unknown): string[] | undefined {
  const uris: unknown = Array.isArray(all) && all.length > 0 ? all : one instanceof vscode.Uri ? [one] : one;
  return Array.isArray(uris) ? uris.map(({ fsPath }: vscode.Uri) => fsPath) : undefined;
}

async function pick(): Promise<string[] | undefined> {
  const title = "Import SAEs";
  const files = "Files or folders\u2026";
  const description = "of SAELens, dictionary_learning, sparsify, Gemma Scope, OpenAI; or an ensemble";
  const hub = { label: "SAEs of the Hugging Face hub\u2026", description: "by their names" };
  const kind = await vscode.window.showQuickPick([{ label: files, description }, hub], { title, ignoreFocusOut: true });
  if (!kind) return undefined;
  if (kind.label !== files) {
    const example = "google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82";
    return askHubNames(title, `owner/name/folder, e.g. ${example}; several, with spaces between, become one bag`);
  }
  const chosen = await vscode.window.showOpenDialog({
    title,
    openLabel: "Import",
    canSelectFiles: true,
    canSelectFolders: true,
    canSelectMany: true,
    filters: { SAEs: ["safetensors", "npz", "pt", "pth", "bin", "json"], "All files": ["*"] },
  });
  return chosen?.map(({ fsPath }) => fsPath);
}

const askers = { architecture: askArchitecture, k: askK, dict_class: askClass };

async function askClass(title: string): Promise<SaidOfSaes | undefined> {
  const items = [
    { label: "TopK", description: "the k largest of a token fire (AutoEncoderTopK)", dict_class: "AutoEncoderTopK" },
    { label: "BatchTopK", description: "what is above its threshold fires (BatchTopKSAE)", dict_class: "BatchTopKSAE" },
  ] as const;
  const placeHolder = "Which of dictionary_learning's classes is it? Their tensors have the same names";
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder, ignoreFocusOut: true });
  return chosen && { dict_class: chosen.dict_class };
}

async function askArchitecture(title: string): Promise<SaidOfSaes | undefined> {
  const items = [
    { label: "TopK", description: "the k largest of a token fire", architecture: "topk" },
    { label: "ReLU", description: "whatever is positive fires", architecture: "standard" },
    { label: "JumpReLU", description: "what is above its threshold fires", architecture: "jumprelu" },
  ] as const;
  const placeHolder = "How do its features fire? The file doesn't say, and its codes depend on it";
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder, ignoreFocusOut: true });
  return chosen && { architecture: chosen.architecture };
}

async function askK(title: string): Promise<SaidOfSaes | undefined> {
  const value = await vscode.window.showInputBox({
    title,
    prompt: "Active features a token (k): the file doesn't say",
    ignoreFocusOut: true,
    validateInput: (text) => (/^[1-9]\d*$/.test(text) ? undefined : "a whole number from 1 on"),
  });
  return value === undefined ? undefined : { k: Number(value) };
}

function askHook(title: string): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title,
    prompt: "The hook that they were trained at, by TransformerLens' name: their files don't say",
    value: "blocks.8.hook_resid_post",
    ignoreFocusOut: true,
    validateInput: (value) => (isHookName(value) ? undefined : "e.g. blocks.8.hook_resid_post"),
  });
}

/** A file of a layout's fixed name says less than its folder. */
function suggestedName(path: string): string {
  const isFixed = /^(ae|autoencoder|params|sae|sae_weights|cfg|config|ensemble)\.\w+$/.test(basename(path));
  return basename(isFixed ? dirname(path) : path).replace(/\.(safetensors|npz|pt|pth|bin|ckpt|json)$/, "");
}

// "Import SAEs": files or folders picked or dropped, a name, a model and a text; the service reads them and writes an ensemble and its experiment.
import { basename, dirname, isAbsolute, join } from "node:path";
import * as vscode from "vscode";
import { askHubName, chooseModel, chooseText } from "./newExperiment.ts";
import type { Parts } from "./register.ts";

/** Milliseconds: SAEs are large, and may have to be fetched. */
const IMPORTING = 3_600_000;

/** `dropped`: what was dropped on the view; without it the person is asked. */
export async function importSaes({ service, output }: Parts, dropped?: readonly vscode.Uri[]): Promise<void> {
  const workspace = vscode.workspace.workspaceFolders?.[0];
  if (!workspace) throw new Error("Open a folder first: the imported ensemble goes there.");
  const paths = dropped?.map(({ fsPath }) => fsPath) ?? (await pick());
  if (!paths || paths.length === 0) return;
  const { hook } = await service.request("describeSaes", { paths }, { timeout: IMPORTING });
  const title = `Import ${paths.length === 1 ? basename(paths[0]!) : `${paths.length} SAEs`}`;
  const hook_name = hook ?? (await askHook(title));
  if (!hook_name) return;
  const name = await vscode.window.showInputBox({
    title,
    prompt: "What to call the ensemble",
    value: suggestedName(paths[0]!),
    ignoreFocusOut: true,
    validateInput: (value) => (/^[\w][\w .-]*$/.test(value) ? undefined : "letters, digits, spaces, . - _"),
  });
  if (!name) return;
  const model = await chooseModel();
  if (!model) return;
  const text = await chooseText();
  if (!text) return;
  const outcome = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (_, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const folder = join(workspace.uri.fsPath, "imported", name);
      const named = (path: string) => (isAbsolute(path) || path === "demo" ? path : join(workspace.uri.fsPath, path));
      const request = { paths, folder, hook_name, model: named(model), text: named(text) };
      return service.request("importSaes", request, { timeout: IMPORTING, signal: abort.signal });
    },
  );
  for (const line of outcome.lines) output.info(line);
  await vscode.window.showTextDocument(vscode.Uri.file(outcome.experiment));
  const said = outcome.warnings.length > 0 ? outcome.warnings.join("\n") : outcome.lines.join("\n");
  const show = outcome.warnings.length > 0 ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
  void show(said);
}

async function pick(): Promise<string[] | undefined> {
  const title = "Import SAEs";
  const files = "Files or folders\u2026";
  const description = "of SAELens, dictionary_learning, sparsify, Gemma Scope, OpenAI; or an ensemble";
  const hub = { label: "SAEs of the Hugging Face hub\u2026", description: "by their name" };
  const kind = await vscode.window.showQuickPick([{ label: files, description }, hub], { title, ignoreFocusOut: true });
  if (!kind) return undefined;
  if (kind.label !== files) {
    const name = await askHubName(
      title,
      "owner/name/folder, e.g. google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82",
    );
    return name === undefined ? undefined : [name];
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

function askHook(title: string): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title,
    prompt: "The hook that they were trained at, by TransformerLens' name: their files don't say",
    value: "blocks.8.hook_resid_post",
    ignoreFocusOut: true,
    validateInput: (value) => (/^blocks\.\d+\.hook_\w+$/.test(value) ? undefined : "e.g. blocks.8.hook_resid_post"),
  });
}

/** A file of a layout's fixed name says less than its folder. */
function suggestedName(path: string): string {
  const isFixed = /^(ae|autoencoder|params|sae|sae_weights|cfg|config|ensemble)\.\w+$/.test(basename(path));
  return basename(isFixed ? dirname(path) : path).replace(/\.\w+$/, "");
}

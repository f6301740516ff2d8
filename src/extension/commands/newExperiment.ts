// "New Experiment": a few questions, then a commented experiment file that is ready to run.
import * as vscode from "vscode";
import type { Parts } from "./register.ts";

interface Choice extends vscode.QuickPickItem {
  readonly value: string;
}

export async function newExperiment({ service }: Parts): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) throw new Error("Open a folder first: the experiment file and its run go there.");
  const model = await choose("Language model (1/5)", [
    { label: "Demo model", description: "small, comes with SAE Ensembles", value: "demo" },
    { label: "A GGUF file or a Hugging Face folder…", value: "" },
  ]);
  if (model === undefined) return;
  const modelName = model || (await open("Language model", { GGUF: ["gguf"] }, true));
  if (!modelName) return;
  const data = await choose("Text to train on (2/5)", [
    { label: "Demo text", description: "what the demo model was trained on", value: "demo" },
    { label: "A text file…", description: ".txt, .jsonl, .csv, .parquet, plain or .gz", value: "" },
  ]);
  if (data === undefined) return;
  const dataset = data || (await open("Text", { Text: ["txt", "jsonl", "csv", "parquet", "gz"] }, false));
  if (!dataset) return;
  const layer = await vscode.window.showInputBox({
    title: "Hook point (3/5)",
    prompt: "By TransformerLens' name. The middle of the model is a good start.",
    value: modelName === "demo" ? "blocks.2.hook_resid_post" : "blocks.8.hook_resid_post",
    validateInput: (value) =>
      /^blocks\.\d+\.hook_(resid_(pre|mid|post)|mlp_out|attn_out)$/.test(value)
        ? undefined
        : "e.g. blocks.8.hook_resid_post",
  });
  if (!layer) return;
  const method = await choose("Method (4/5)", [
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
  if (method === undefined) return;
  const architecture = await choose("Architecture (5/5)", [
    { label: "TopK", description: "exactly k features a token", value: "topk" },
    { label: "BatchTopK", description: "k on average over a batch", value: "batchtopk" },
    { label: "ReLU", description: "with an L1 penalty (SAELens: standard)", value: "standard" },
    { label: "JumpReLU", description: "a threshold for each feature", value: "jumprelu" },
    { label: "Gated", description: "a gate for each feature", value: "gated" },
  ]);
  if (architecture === undefined) return;
  const relative = (path: string) => (path === "demo" ? path : vscode.workspace.asRelativePath(path, false));
  const text = experimentText({
    model: relative(modelName),
    dataset: relative(dataset),
    hook: layer,
    method,
    architecture,
  });
  const uri = await freeName(folder.uri);
  const problem = await service.request("check", { file: uri.fsPath, text });
  await vscode.workspace.fs.writeFile(uri, Buffer.from(text));
  await vscode.window.showTextDocument(uri);
  if (problem) void vscode.window.showWarningMessage(problem.message);
}

async function choose(title: string, items: Choice[]): Promise<string | undefined> {
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

async function freeName(folder: vscode.Uri): Promise<vscode.Uri> {
  for (let n = 1; ; n++) {
    const uri = vscode.Uri.joinPath(folder, n === 1 ? "experiment.sae.jsonc" : `experiment-${n}.sae.jsonc`);
    const taken = await vscode.workspace.fs.stat(uri).then(
      () => true,
      () => false,
    );
    if (!taken) return uri;
  }
}

const sparsity: Readonly<Record<string, string>> = {
  topk: '"k": 16',
  batchtopk: '"k": 16',
  standard: '"l1_coefficient": 2, "l1_warm_up_steps": 200',
  jumprelu: '"l0_coefficient": 0.5, "l0_warm_up_steps": 200',
  gated: '"l1_coefficient": 2, "l1_warm_up_steps": 200',
};

/** A short, commented experiment file. */
export function experimentText(choice: {
  model: string;
  dataset: string;
  hook: string;
  method: string;
  architecture: string;
}): string {
  const methods = choice.method === "all" ? '["single", "bagging", "boosting", "expanded"]' : `["${choice.method}"]`;
  return `// An experiment: harvest, train, evaluate, index. Run it with the lens above, or: sae-ensembles run THIS_FILE
{
  "model_name": ${JSON.stringify(choice.model)},
  "hook_name": ${JSON.stringify(choice.hook)},
  "dataset_path": ${JSON.stringify(choice.dataset)},
  "context_size": 128,
  "exclude_special_tokens": true,

  // Every member sees this many tokens; more than the data has means several passes.
  "training_tokens": 1000000,
  "train_batch_size_tokens": 2048,
  "lr": 0.001,
  "seed": 42,

  // One member's SAE. Names and defaults are SAELens'.
  "sae": { "architecture": "${choice.architecture}", "expansion_factor": 8, ${sparsity[choice.architecture]} },

  "ensembles": { "methods": ${methods}, "n_members": 4, "seed_sets": ${choice.method === "all" ? 2 : 1} }
}
`;
}

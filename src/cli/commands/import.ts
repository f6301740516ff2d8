// `import`: SAEs that exist already, in any layout, as one ensemble.
import { basename, dirname, resolve } from "node:path";
import { Command, Option } from "commander";
import { type ImportOutcome, importSaes, whatItIs } from "../../jobs/importSaes.ts";
import type { EnsembleMethod } from "../../sae/ensemble.ts";
import { shortPath } from "../foreground.ts";
import { positive } from "../labelledOptions.ts";
import { progressLine } from "../progressLine.ts";
import { integer, metric } from "../words.ts";

interface ImportOptions {
  readonly to?: string;
  readonly method?: EnsembleMethod;
  readonly hook?: string;
  readonly modelName?: string;
  readonly architecture?: "standard" | "topk" | "jumprelu";
  readonly k?: number;
  readonly dictClass?: string;
  readonly model?: string;
  readonly text?: string;
  readonly column?: string;
  readonly json?: boolean;
}

export function importCommand(): Command {
  return new Command("import")
    .summary("take in SAEs that exist already, in any layout, as one ensemble")
    .description(
      "Reads SAEs of SAELens, dictionary_learning, sparsify, Gemma Scope and OpenAI (torch files by a reader that runs nothing), checks them, and writes them as an ensemble of SAELens folders. With a model and a text it shows explained variance and L0, and writes an experiment that evaluates and indexes the ensemble.",
    )
    .argument(
      "<paths...>",
      "files or folders of SAEs, or folders of ensembles; or their names on the Hugging Face hub (owner/name/folder)",
    )
    .option("--to <folder>", "where the ensemble goes; default imported/NAME")
    .addOption(
      new Option("--method <method>", "how several work together; default bagging").choices([
        "single",
        "bagging",
        "boosting",
      ]),
    )
    .option(
      "--hook <name>",
      "hook that they were trained at, where their files don't say, e.g. blocks.8.hook_resid_post",
    )
    .option("--model-name <name>", "language model that they were trained on, where their files don't say")
    .addOption(
      new Option("--architecture <name>", "how a bare state dict selects its features").choices([
        "standard",
        "topk",
        "jumprelu",
      ]),
    )
    .option("--k <number>", "active features a token, where no file says so", positive)
    .option("--dict-class <name>", "dictionary_learning's class, where no file says so, e.g. BatchTopKSAE")
    .option("--model <path>", 'language model: Hugging Face folder, GGUF file, or "demo"')
    .option("--text <path>", 'text to look at and to index: .txt, .jsonl, .csv, .parquet, or "demo"')
    .option("--column <name>", "column of --text that holds the text")
    .option("--json", "one JSON on standard output")
    .action(async (paths: string[], options: ImportOptions) => {
      const { hook, modelName, architecture, k, dictClass, method, model, text, column } = options;
      const { onProgress, end } = progressLine();
      const request = {
        paths,
        folder: options.to ?? `imported/${nameOf(paths[0]!)}`,
        ...(method && { method }),
        ...(model !== undefined && { model }),
        ...(text !== undefined && { text }),
        ...(column !== undefined && { column }),
        options: {
          ...(hook !== undefined && { hook_name: hook }),
          ...(modelName !== undefined && { model_name: modelName }),
          ...(architecture !== undefined && { architecture }),
          ...(k !== undefined && { k }),
          ...(dictClass !== undefined && { dict_class: dictClass }),
        },
        onProgress,
      };
      const outcome = await importSaes(request).finally(end);
      console.log(options.json ? JSON.stringify(outcome) : described(outcome));
    });
}

/** A name for what lies at a path: a file of a layout's fixed name says less than its folder. */
function nameOf(path: string): string {
  const absolute = resolve(path);
  const isFixed = /^(ae|autoencoder|params|sae|sae_weights|cfg|config|ensemble)\.\w+$/.test(basename(absolute));
  return basename(isFixed ? dirname(absolute) : absolute).replace(/\.(safetensors|npz|pt|pth|bin|ckpt|json)$/, "");
}

function described({ folder, method, hook, members, experiment }: ImportOutcome): string {
  const lines = members.flatMap(({ path, layout, architecture, d_in, d_sae, explained_variance, l0, warnings }, j) => {
    const numbers =
      explained_variance === null ? "" : `, explained variance ${metric(explained_variance)}, L0 ${metric(l0!)}`;
    return [
      `${j}  ${shortPath(path)}: ${whatItIs({ layout, architecture })}, ${integer(d_in)} → ${integer(d_sae)}${numbers}`,
      ...warnings.map((warning) => `   warning: ${warning}`),
    ];
  });
  const next = experiment
    ? `Evaluate and index it: sae-ensembles run ${shortPath(experiment)}`
    : "With --model and --text it shows explained variance and writes an experiment that indexes it.";
  const what = method === "single" ? "one SAE" : `${method} of ${members.length}`;
  return [...lines, `${shortPath(folder)}: ${what} at ${hook}`, next].join("\n");
}

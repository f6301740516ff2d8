// `import` for the command line and the editor: SAEs in any layout become an ensemble's folder, and with a language model and a text an experiment that evaluates and indexes it.
import { existsSync } from "node:fs";
import { basename, dirname, extname, relative, sep } from "node:path";
import { hubReference } from "../data/hub/reference.ts";
import type { HubOptions } from "../data/hub/requests.ts";
import { type SanityNumbers, sanityOfMembers } from "../evaluation/saneReconstruction.ts";
import { absolutePath } from "../formats/absolutePath.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { InputError } from "../formats/inputError.ts";
import { hookWidth } from "../model/hookPoints.ts";
import { obtainModel } from "../model/hubModel.ts";
import { openLanguageModel } from "../model/open.ts";
import type { Ensemble, EnsembleMethod } from "../sae/ensemble.ts";
import { saveEnsemble } from "../sae/ensembleFolder.ts";
import { obtainSae } from "../sae/hubSae.ts";
import { importedEnsemble, openSources } from "../sae/importEnsemble.ts";
import type { OpenOptions } from "../sae/layouts/opened.ts";
import { architectureWords } from "../sae/sae.ts";
import { captureWindows } from "./captureWindows.ts";
import { demoPath } from "./demoData.ts";
import { openEngine } from "./device.ts";
import { parseExperiment } from "./experiment.ts";
import { checkTexts } from "./experimentTexts.ts";
import { obtainExperiment } from "./obtain.ts";
import { openExperimentModel } from "./resources.ts";
import { lyingIn } from "./targetFolder.ts";
import { versions } from "./versions.ts";

/** Tokens that explained variance and L0 are looked at on. */
const SAMPLE_ROWS = 2048;
const CONTEXT_SIZE = 128;

export interface ImportRequest {
  /** SAEs in any layout, or folders of ensembles: paths, or names on the Hugging Face hub (owner/name/folder). */
  readonly paths: readonly string[];
  /** Where the ensemble goes; what the experiment is called too. */
  readonly folder: string;
  readonly method?: EnsembleMethod;
  readonly options?: OpenOptions;
  /** With both, explained variance and L0 are looked at and an experiment is written beside the folder. */
  readonly model?: string;
  readonly text?: string;
  readonly column?: string;
  readonly signal?: AbortSignal;
  /** Bytes of a download. */
  readonly onProgress?: (stage: string, done: number, total: number, unit: string) => void;
}

type HubRequest = Pick<ImportRequest, "signal" | "onProgress">;

export interface ImportedMember {
  readonly path: string;
  readonly layout: string;
  /** With what else there is to say of it (sae.ts, architectureWords). */
  readonly architecture: string;
  readonly d_in: number;
  readonly d_sae: number;
  readonly explained_variance: number | null;
  readonly l0: number | null;
  readonly warnings: readonly string[];
}

/** For people: the layout, and the architecture where that doesn't say it ("sparsify, topk SAE"). */
export function whatItIs({ layout, architecture }: Pick<ImportedMember, "layout" | "architecture">): string {
  return layout.toLowerCase().split(/[ ,]+/).includes(architecture) ? layout : `${layout}, ${architecture}`;
}

export interface ImportOutcome {
  readonly folder: string;
  readonly method: EnsembleMethod;
  readonly hook: string;
  readonly members: readonly ImportedMember[];
  /** Path of the experiment file, where a model and a text were given. */
  readonly experiment: string | null;
}

/** Throws InputError, and then nothing has been written. */
export async function importSaes(request: ImportRequest): Promise<ImportOutcome> {
  const folder = absolutePath(request.folder);
  checkFree(folder);
  const options = request.options ?? {};
  const paths = await localSaes(request);
  const sources = await openSources(paths, options);
  const ensemble = importedEnsemble(sources, {
    ...(request.method && { method: request.method }),
    ...(options.hook_name && { hook: options.hook_name }),
  });
  const file = `${folder}.sae.jsonc`;
  const experiment = request.model && request.text ? await experimentText(request, ensemble, dirname(file)) : null;
  if (experiment && existsSync(file)) {
    throw new InputError({ file, found: "an experiment of that name", expected: "a name that is free (--to)" });
  }
  const numbers = experiment
    ? await sanity(experiment(paths.map((path) => absolutePath(path))), file, ensemble, request)
    : [];
  const { provenance } = ensemble;
  await saveEnsemble(folder, { ...ensemble, provenance: { ...provenance, versions: versions() } });
  if (experiment) await writeFileAtomic(file, experiment([`./${basename(folder)}`]));
  const members = sources
    .flatMap((source) => source.members)
    .map(({ sae, layout, path, warnings }, j) => {
      const { explained_variance, l0, warning } = numbers[j] ?? { explained_variance: null, l0: null, warning: null };
      const architecture = architectureWords(sae.config);
      const { d_in, d_sae } = sae.config;
      const all = warning ? [...warnings, warning] : warnings;
      return { path, layout, architecture, d_in, d_sae, explained_variance, l0, warnings: all };
    });
  return { folder, method: ensemble.method, hook: ensemble.hook, members, experiment: experiment ? file : null };
}

/** The paths of all that is asked for, what is named on the hub fetched. Throws InputError. */
export async function localSaes(request: Pick<ImportRequest, "paths" | "signal" | "onProgress">): Promise<string[]> {
  const paths: string[] = [];
  for (const path of request.paths) paths.push(await localSae(path, request));
  return paths;
}

/** The path of an SAE that is named by a path or on the hub. */
async function localSae(name: string, request: HubRequest): Promise<string> {
  const reference = existsSync(name) ? null : hubReference(name, "model");
  // A name with an ending is a path with a mistake in it, unless it has a repository before it.
  if (!reference || (reference.path === "" && extname(name) !== "")) return name;
  return obtainSae(reference, hubOptions(request, "download SAE"));
}

function hubOptions({ signal, onProgress }: HubRequest, stage: string): HubOptions {
  return {
    ...(signal && { signal }),
    onProgress: (done, total) => onProgress?.(stage, Math.round(done / 2 ** 20), Math.round(total / 2 ** 20), "MiB"),
  };
}

/** The path of a model that is named by a path, on the hub, or as the demo's. */
async function localModel(name: string, request: ImportRequest): Promise<string> {
  if (name === "demo") return demoPath("model");
  const reference = existsSync(name) ? null : hubReference(name, "model");
  return reference ? obtainModel(reference, hubOptions(request, "download model")) : name;
}

/** An ensemble is kept aside when another takes its place; anything else stays where it is. */
function checkFree(folder: string): void {
  const expected = "a name that is free (--to)";
  const names = lyingIn(folder, expected);
  if (names.length === 0 || names.includes("ensemble.json")) return;
  throw new InputError({ file: folder, found: "a folder with something else in it", expected });
}

/** The text of the experiment, for paths of SAEs: windows as the SAEs were trained on, as far as the model has them. */
async function experimentText(
  request: ImportRequest,
  ensemble: Ensemble,
  folder: string,
): Promise<(paths: readonly string[]) => string> {
  const { context_size = CONTEXT_SIZE, prepend_bos = true } = ensemble.members[0]!.config.metadata;
  const model = await openLanguageModel(await localModel(request.model!, request));
  const size = Math.min(context_size, CONTEXT_SIZE, model.info.contextSize);
  const bos = prepend_bos && model.tokenizer.bosId !== null;
  await model.close();
  const shown = (path: string) => {
    // A name of the hub stays one.
    if (path === "demo" || !existsSync(path)) return path;
    const short = relative(folder, absolutePath(path));
    // With "/", which every system reads: the experiment may travel with its folder.
    return short === "" || short.startsWith("..") ? absolutePath(path) : short.split(sep).join("/");
  };
  const value = (text: unknown) => JSON.stringify(text);
  return (
    paths,
  ) => `// SAEs that exist already: evaluated and indexed here, not trained. Run it with: sae-ensembles run THIS_FILE
{
  "model_name": ${value(shown(request.model!))},
  "hook_name": ${value(ensemble.hook)},
  "dataset_path": ${value(shown(request.text!))},${request.column ? `\n  "column": ${value(request.column)},` : ""}
  "context_size": ${size},
  "prepend_bos": ${bos},
  "exclude_special_tokens": true,

  "sae": { "architecture": "imported", "paths": ${value(paths)} },
  "ensembles": { "methods": [${value(ensemble.method)}] }
}
`;
}

async function sanity(
  text: string,
  file: string,
  ensemble: Ensemble,
  request: ImportRequest,
): Promise<SanityNumbers[]> {
  const { signal } = request;
  const experiment = await obtainExperiment(parseExperiment(text, file), {
    ...(signal && { signal }),
    onProgress: (stage, done, total) => hubOptions(request, stage).onProgress?.(done, total),
  });
  await checkTexts(experiment, "train");
  const model = await openExperimentModel(experiment, () => {});
  const engine = await openEngine(experiment.settings);
  try {
    const width = hookWidth(model.info, ensemble.hook);
    const { d_in } = ensemble.members[0]!.config;
    if (d_in !== width) {
      const expected = `the width of ${ensemble.hook} of the model, ${width}`;
      throw new InputError({ file: experiment.paths.model, where: "d_in", found: `SAEs of ${d_in}`, expected });
    }
    const x = new Float32Array(SAMPLE_ROWS * width);
    let rows = 0;
    for await (const chunk of captureWindows(experiment, "train", model)) {
      const taken = Math.min(chunk.rows, SAMPLE_ROWS - rows);
      x.set(chunk.x.subarray(0, taken * width), rows * width);
      rows += taken;
      if (rows === SAMPLE_ROWS) break;
    }
    if (rows === 0) {
      const expected = `more than a window of ${experiment.settings.context_size} tokens`;
      throw new InputError({ file: experiment.paths.dataset, found: "too little text", expected });
    }
    return await sanityOfMembers(engine, ensemble, x.subarray(0, rows * width), rows);
  } finally {
    await engine.close();
    await model.close();
  }
}

// What an experiment will need of download, disk, memory and time, before anything runs: arithmetic over sizes, and one measured rate of matrix products.
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import { hubReferenceOf } from "../data/hub/reference.ts";
import { InputError } from "../formats/inputError.ts";
import { modelDownloadSize } from "../model/hubModel.ts";
import { type ModelSize, modelSize } from "../model/modelSize.ts";
import { expandedConfig } from "../sae/trainingConfig.ts";
import { type Experiment, ensembleTasks, saeConfig } from "./experiment.ts";
import { checkTexts } from "./experimentTexts.ts";
import type { Finding } from "./machine.ts";
import { examineModel } from "./modelFinding.ts";

/** Bytes, and seconds on a machine of the given rate. */
export interface Estimate {
  /** Activations and SAEs in the run folder. */
  readonly disk: number;
  readonly memory: number;
  readonly harvestSeconds: number;
  readonly trainSeconds: number;
}

/** A training step's time over that of its encoder's product: selection, decoding, gradients and Adam (bench/: gemm-share). */
const STEP_OVER_PRODUCT = 1.6;
/** A model's run over its products with weights: attention, norms, the tokenizer. */
const MODEL_OVER_PRODUCT = 1.3;
/** Weights as they lie in the file and as a session lays them out. */
const MODEL_COPIES = 2;
/** What the process itself takes. */
const BASE = 300 * 2 ** 20;
/** Values of a parameter while it is trained: itself and Adam's two moments. */
const TRAINED = 3;

/** `gflops`: the machine's rate of matrix products. Throws InputError where the SAE doesn't fit the model's width. */
export function estimate(experiment: Experiment, size: ModelSize, gflops: number): Estimate {
  const { settings } = experiment;
  const { ensembles, activations, evaluation, index, training_tokens } = settings;
  const sae = saeConfig(experiment, size.dModel);
  const parameters = 2 * sae.d_in * sae.d_sae;
  const wide = 2 * sae.d_in * expandedConfig(sae, ensembles.n_members).d_sae;
  const J = ensembles.n_members;
  const tasks = ensembleTasks(settings);
  const saes = tasks.map(({ method }) =>
    method === "single" ? parameters : method === "expanded" ? wide : J * parameters,
  );
  // Boosting trains one member after the other; bagging all at once.
  const atOnce = tasks.map(({ method }) =>
    method === "bagging" ? J * parameters : method === "expanded" ? wide : parameters,
  );
  const stored = activations.store === "disk" ? (activations.tokens ?? training_tokens) : 0;
  const valueBytes = activations.dtype === "float16" ? 2 : 4;
  const disk =
    (stored + evaluation.test_tokens) * sae.d_in * valueBytes +
    // Finished SAEs, and the newest checkpoint of the one that is trained.
    4 * (saes.reduce((sum, n) => sum + n, 0) + TRAINED * Math.max(...atOnce)) +
    // Codes of the indexed text, while an index is built: 8 bytes each. How many a ReLU SAE will have is not known.
    8 * index.tokens * J * ("k" in sae ? sae.k : 0);
  const layer = Number(/^blocks\.(\d+)\./.exec(settings.hook_name)?.[1] ?? size.nLayers - 1);
  const toHook = size.perLayer * (layer + 1);
  const rate = gflops * 1e9;
  // On the fly the model runs again for every ensemble, and for every member of boosting.
  const passes =
    activations.store === "disk" ? 0 : tasks.reduce((sum, { method }) => sum + (method === "boosting" ? J : 1), 0);
  const seen = stored + evaluation.test_tokens + index.tokens + passes * training_tokens;
  const whole =
    3 * evaluation.model_metrics_tokens * tasks.length * (size.perLayer * size.nLayers + size.dVocab * size.dModel);
  const trained = saes.reduce((sum, n) => sum + n, 0) * training_tokens;
  return {
    disk,
    memory: BASE + 4 * (MODEL_COPIES * (toHook + size.dVocab * size.dModel) + TRAINED * Math.max(...atOnce)),
    harvestSeconds: (MODEL_OVER_PRODUCT * 2 * (seen * toHook + whole)) / rate,
    // Of a parameter pair (encoder, decoder) the dense product takes the encoder's half.
    trainSeconds: (STEP_OVER_PRODUCT * trained) / rate,
  };
}

/** The estimate beside what this machine has; downloads only asked about. `gflops` null: nothing is said about time. */
export async function examineExperiment(experiment: Experiment, gflops: number | null): Promise<Finding[]> {
  const findings: Finding[] = [{ name: "Experiment", state: "ok", value: `${experiment.name} is valid` }];
  const { settings, paths } = experiment;
  const reference = hubReferenceOf(paths.model);
  const dataset = hubReferenceOf(paths.dataset);
  if (reference) findings.push(await download(settings.model_name, () => modelDownloadSize(reference)));
  if (dataset)
    findings.push({
      name: "Text",
      state: "ok",
      value: `${settings.dataset_path}: its shards come from the hub as they are read`,
    });
  else findings.push(await examineTexts(experiment));
  const size = await modelSize(paths.model).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    findings.push({ name: "Model", state: "problem", value: error.message });
    return null;
  });
  if (!size) return findings;
  const layers = `${size.nLayers} layers of width ${size.dModel}, vocabulary ${size.dVocab.toLocaleString("en")}`;
  const wrong = await examineModel(experiment, size);
  findings.push({ name: "Model", ...(wrong ?? { state: "ok", value: `${settings.model_name}: ${layers}` }) });
  if (wrong?.state === "problem") return findings;
  const needs = estimate(experiment, size, gflops ?? 1);
  const { bavail, bsize } = await statfs(existingFolder(paths.runFolder));
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  findings.push(
    {
      name: "Disk needed",
      ...enough(
        needs.disk,
        bavail * bsize,
        `about ${bytes(needs.disk)} in the run folder, ${bytes(bavail * bsize)} free`,
      ),
      advice: "activations.tokens, activations.dtype float16 or activations.store on_the_fly keep less",
    },
    {
      name: "Memory needed",
      ...enough(needs.memory, total, `about ${bytes(needs.memory)}, ${bytes(total)} here`),
      advice: "fewer members, a smaller expansion_factor, or boosting instead of bagging take less",
    },
  );
  if (gflops !== null) {
    const parts = `${duration(needs.harvestSeconds)} for the model, ${duration(needs.trainSeconds)} for the SAEs`;
    const value = `about ${duration(needs.harvestSeconds + needs.trainSeconds)} (${parts}), if nothing else runs here`;
    findings.push({ name: "Time needed", state: "ok", value });
  }
  return findings.map(({ advice, ...finding }) =>
    advice && finding.state !== "ok" ? { ...finding, advice } : finding,
  );
}

/** As much of the texts as a run looks at before it begins. */
async function examineTexts(experiment: Experiment): Promise<Finding> {
  try {
    for (const part of ["train", "test", "index"] as const) await checkTexts(experiment, part);
    return { name: "Text", state: "ok", value: `${experiment.settings.dataset_path}: its beginning can be read` };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { name: "Text", state: "problem", value: error.message };
  }
}

async function download(name: string, size: () => Promise<number>): Promise<Finding> {
  try {
    return { name: "Download", state: "ok", value: `${name}: ${bytes(await size())} from the hub` };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { name: "Download", state: "warning", value: error.message };
  }
}

function enough(needed: number, there: number, value: string): Pick<Finding, "state" | "value"> {
  return { state: needed > there ? "problem" : needed > 0.8 * there ? "warning" : "ok", value };
}

function existingFolder(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (dirname(at) === at || existsSync(at)) return at;
  }
}

function bytes(n: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = n < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  if (hours < 48) return `${hours.toFixed(1)} h`;
  const days = hours / 24;
  return days < 730 ? `${Math.round(days)} days` : `${Math.round(days / 365)} years`;
}

// What an experiment will need of download, disk, memory and time, before anything runs: arithmetic over sizes, and one measured rate of matrix products.
import { BUFFER_BYTES } from "../data/activationStore.ts";
import { CONNECTIVITY_MEMORY } from "../evaluation/evaluateEnsemble.ts";
import { FiringPairs } from "../evaluation/firingPairs.ts";
import { LOGITS_MEMORY } from "../evaluation/modelMetrics.ts";
import { hookPoint, hookWidth } from "../model/hookPoints.ts";
import type { ModelSize } from "../model/modelSize.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { expandedConfig } from "../sae/trainingConfig.ts";
import { mixingRows } from "./captureWindows.ts";
import { type EnsembleTask, type Experiment, ensembleTasks, saeConfig } from "./experiment.ts";

/** Bytes, and seconds on a machine of the given rate. */
export interface Estimate {
  /** Of the run folder, when it is largest: activations, SAEs, checkpoints, codes. */
  readonly disk: number;
  /** Of that, activations. */
  readonly activations: number;
  /** Of the user's cache: the weights as float32 of a model that is converted, once for all runs. */
  readonly cache: number;
  /** Of the job that takes most. */
  readonly memory: number;
  readonly harvestSeconds: number;
  readonly trainSeconds: number;
}

/** A training step's time over that of its encoder's product: selection, decoding, gradients and Adam (bench/: gemm-share). */
const STEP_OVER_PRODUCT = 1.6;
/** A model's run over its products with weights: attention, norms, the tokenizer. */
const MODEL_OVER_PRODUCT = 1.3;
/** What the process itself takes. */
const BASE = 300 * 2 ** 20;
/** Two checkpoints are kept while the next one is written (training/checkpoint.ts). */
const CHECKPOINTS = 3;
/**
 * Of what is trained: in the engine, as the state that is saved, and copies that are not yet collected. Measured in
 * trainings of four members: the peak grows by 3.7 times the state from 60 to 240 MiB of it.
 */
const STATES = 4;
/** Of a model's logits: the model's own, those with the reconstruction, and those before, not yet collected. */
const LOGITS = 3;

/**
 * `gflops`: the machine's rate of matrix products; `imported`: of an experiment that trains nothing, the ensemble of each of
 * its tasks. Throws InputError where the SAE doesn't fit the hook's width, RangeError where the model has no such hook.
 */
export function estimate(
  experiment: Experiment,
  size: ModelSize,
  gflops: number,
  imported: readonly Ensemble[] | null = null,
): Estimate {
  const { settings } = experiment;
  const { activations, evaluation, index, training_tokens } = settings;
  const J = settings.ensembles.n_members;
  const tasks = ensembleTasks(settings);
  const d = hookWidth(size, settings.hook_name);
  const trainings = imported?.map(importedSizes) ?? tasks.map(({ method }) => trainingSizes(experiment, d, method));
  const saes = trainings.map(({ finished }) => finished);
  const trained = imported ? 0 : training_tokens;
  const stored = activations.store === "disk" && !imported ? (activations.tokens ?? training_tokens) : 0;
  const toHook = size.perLayer * (hookPoint(settings.hook_name).layer + 1);
  const rate = gflops * 1e9;
  // On the fly the model runs again for every ensemble, and for every member of boosting.
  const passes =
    activations.store === "disk" ? 0 : tasks.reduce((sum, { method }) => sum + (method === "boosting" ? J : 1), 0);
  const seen = stored + evaluation.test_tokens + index.tokens + passes * trained;
  const whole =
    3 * evaluation.model_metrics_tokens * tasks.length * (size.perLayer * size.nLayers + size.dVocab * size.dModel);
  const kept = activationsKept(experiment, d, stored);
  return {
    disk: kept + saesKept(experiment, d, trainings),
    activations: kept,
    cache: size.converted,
    memory: memoryNeeded(experiment, size, trainings, toHook, stored),
    harvestSeconds: (MODEL_OVER_PRODUCT * 2 * (seen * toHook + whole)) / rate,
    // Of a parameter pair (encoder, decoder) the dense product takes the encoder's half.
    trainSeconds: (STEP_OVER_PRODUCT * sum(saes) * trained) / rate,
  };
}

/** Numbers of float32 of one ensemble. */
interface TrainingSizes {
  /** All members. */
  readonly finished: number;
  /** Parameters and Adam's moments of those that are trained together. */
  readonly trained: number;
  /** Of boosting, the members that the last one is trained behind. */
  readonly behind: number;
  /** The widest of its SAEs; 0 where none is trained. */
  readonly widest: number;
  /** Codes of a token; 0 where nobody knows before (ReLU). */
  readonly firing: number;
}

function trainingSizes(experiment: Experiment, d: number, method: EnsembleTask["method"]): TrainingSizes {
  const { ensembles, adam_beta1 } = experiment.settings;
  const J = ensembles.n_members;
  const sae = saeConfig(experiment, d);
  const widest = 2 * sae.d_in * (method === "expanded" ? expandedConfig(sae, J).d_sae : sae.d_sae);
  const members = method === "bagging" || method === "boosting" ? J : 1;
  // Boosting trains one member after the other; bagging all at once.
  const atOnce = method === "bagging" ? J : 1;
  return {
    finished: members * widest,
    trained: (adam_beta1 > 0 ? 3 : 2) * atOnce * widest,
    behind: (members - atOnce) * widest,
    widest,
    firing: "k" in sae ? J * sae.k : 0,
  };
}

function importedSizes({ members }: Ensemble): TrainingSizes {
  const finished = sum(members.map(({ config }) => 2 * config.d_in * config.d_sae));
  const firing = sum(members.map(({ config }) => config.k ?? 0));
  return { finished, trained: 0, behind: 0, widest: 0, firing };
}

function activationsKept({ settings }: Experiment, d: number, stored: number): number {
  const { activations, evaluation } = settings;
  // Held-out activations are float32.
  return (stored * (activations.dtype === "float16" ? 2 : 4) + evaluation.test_tokens * 4) * d;
}

/** Ensembles stay; an ensemble's checkpoints lie beside those before it, and go when it is finished. */
function saesKept(experiment: Experiment, d: number, trainings: readonly TrainingSizes[]): number {
  const { settings } = experiment;
  const buffer = settings.activations.store === "disk" ? 0 : mixingRows(settings) * d;
  let [before, most] = [0, 0];
  for (const { finished, trained, behind } of trainings) {
    if (trained > 0) most = Math.max(most, before + CHECKPOINTS * (trained + behind + buffer));
    before += finished;
  }
  // Codes of the indexed text, while an index is built: 8 bytes each, kept and sorted. How many a ReLU SAE will have is not known.
  const codes = settings.index.tokens * Math.max(...trainings.map(({ firing }) => firing));
  return Math.max(4 * most, 4 * before + 2 * 8 * codes);
}

/** The largest of training each ensemble, and evaluating all through the model. */
function memoryNeeded(
  experiment: Experiment,
  size: ModelSize,
  trainings: readonly TrainingSizes[],
  toHook: number,
  stored: number,
) {
  const { evaluation, ensembles, train_batch_size_tokens, ...settings } = experiment.settings;
  const { dModel, dVocab, nLayers, perLayer } = size;
  const d = hookWidth(size, settings.hook_name);
  // A session lays its weights out anew; the pages that it read them from stay mapped, once for all sessions.
  const capture = toHook + dVocab * dModel;
  const model = perLayer * nLayers + 2 * dVocab * dModel;
  const batchRows = settings.store_batch_size_prompts * settings.context_size;
  // Rows in memory while they are mixed: of a store what its buffer holds; on the fly the buffer and the batch that overfills it.
  const inStore = (rows: number, dtype: "float16" | "float32") =>
    Math.min((dtype === "float16" ? 2 : 4) * rows * d, BUFFER_BYTES) / 4;
  const mixed =
    settings.activations.store === "disk"
      ? inStore(stored, settings.activations.dtype)
      : (mixingRows(experiment.settings) + batchRows) * d;
  const training = trainings.flatMap(({ trained, behind, widest }) => {
    if (trained === 0) return [];
    // Beside the weights: gradients of one SAE's matrices; batches; in AuxK's lists up to d/2 latents a row, five numbers each.
    const engine = widest + train_batch_size_tokens * (6 * d + 5 * (d / 2));
    // Finished members: as they were trained, as the engine takes them, and in its memory.
    return 2 * capture + STATES * trained + 3 * behind + engine + mixed;
  });
  const saes = sum(trainings.map(({ finished }) => finished));
  // The ensembles themselves, and one of them in the engine; through the model all of them.
  const intrinsic =
    2 * capture +
    saes +
    Math.max(...trainings.map(({ finished }) => finished)) +
    inStore(evaluation.test_tokens, "float32");
  const rows = Math.min(batchRows * dVocab, LOGITS_MEMORY / 4);
  const metrics = evaluation.model_metrics_tokens > 0 ? capture + 2 * model + LOGITS * rows + 2 * saes : 0;
  // A bit for every pair of features, as far as evaluation goes.
  const widths = trainings.map(({ finished }) => finished / (2 * d));
  const pairs = Math.max(...widths.map(FiringPairs.bytes).filter((bytes) => bytes <= CONNECTIVITY_MEMORY), 0);
  return BASE + 4 * Math.max(...training, intrinsic + pairs / 4, metrics);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

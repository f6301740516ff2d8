// SAEBench's core metrics of one ensemble, recomputed here from the tokens that it read: with its formula, and as we define them where that differs.
import type { Engine } from "../../src/engine/engine.ts";
import { evaluateEnsemble } from "../../src/evaluation/evaluateEnsemble.ts";
import type { Metric } from "../../src/evaluation/metric.ts";
import { modelMetrics } from "../../src/evaluation/modelMetrics.ts";
import { readSafetensors, tensorData, tensorEntryOf } from "../../src/formats/safetensors.ts";
import type { LanguageModel, TokenBatch } from "../../src/model/languageModel.ts";
import type { Ensemble } from "../../src/sae/ensemble.ts";

/** A number three times. `tolerance`: how far apart the first two may be, relative above 1; Infinity where chance parts them. */
export interface Compared {
  readonly name: string;
  readonly theirs: number;
  /** By their formula, from our codes and our model. */
  readonly same: number;
  /** By our definition, where it is another. */
  readonly ours: number | null;
  readonly tolerance: number;
}

/** `file`: the tokens of every batch, those of the reconstruction metrics first. `answer`: what SAEBench found. */
export async function compareCore(
  engine: Engine,
  model: LanguageModel,
  ensemble: Ensemble,
  file: string,
  { batches }: { readonly batches: number },
  // biome-ignore lint/suspicious/noExplicitAny: SAEBench's own nested groups of numbers
  { core, density }: { readonly core: any; readonly density: readonly number[] },
): Promise<Compared[]> {
  const all = await tokenBatches(file);
  const behaviour = await compareBehaviour(engine, model, ensemble, all.slice(0, batches), core);
  return [...behaviour, ...(await compareCodes(engine, model, ensemble, all.slice(batches), core, density))];
}

async function tokenBatches(file: string): Promise<TokenBatch[]> {
  const tensors = await readSafetensors(file);
  const [count, rows, length] = tensorEntryOf(tensors, "tokens").shape as [number, number, number];
  const ids = (await tensorData(tensors, "tokens")) as Int32Array;
  const size = rows * length;
  return Array.from({ length: count }, (_, b) => {
    const lengths = new Int32Array(rows).fill(length);
    return { rows, length, ids: ids.slice(b * size, (b + 1) * size), lengths };
  });
}

/** Cross-entropy and KL: theirs counts a position by its input token alone, ours by its target too. */
async function compareBehaviour(
  engine: Engine,
  model: LanguageModel,
  ensemble: Ensemble,
  batches: readonly TokenBatch[],
  // biome-ignore lint/suspicious/noExplicitAny: as above
  core: any,
): Promise<Compared[]> {
  const encoder = await engine.createEncoder(ensemble);
  try {
    const [same] = await modelMetrics(model, ensemble.hook, [encoder], batches, { counted: "input" });
    const [ours] = await modelMetrics(model, ensemble.hook, [encoder], batches);
    const theirs = { ...core.model_behavior_preservation, ...core.model_performance_preservation };
    const names = [
      "ce_loss_without_sae",
      "ce_loss_with_sae",
      "ce_loss_with_ablation",
      "ce_loss_score",
      "kl_div_with_sae",
      "kl_div_with_ablation",
      "kl_div_score",
    ] as const;
    return names.map((name) => {
      return { name, theirs: theirs[name], same: value(same![name]), ours: value(ours![name]), tolerance: 1e-4 };
    });
  } finally {
    await encoder.close();
  }
}

async function compareCodes(
  engine: Engine,
  model: LanguageModel,
  ensemble: Ensemble,
  batches: readonly TokenBatch[],
  // biome-ignore lint/suspicious/noExplicitAny: as above
  core: any,
  density: readonly number[],
): Promise<Compared[]> {
  const d = ensemble.members[0]!.config.d_in;
  const parts: Float32Array[] = [];
  for (const batch of batches) parts.push(realRows(batch, await model.capture(batch, ensemble.hook), d, model));
  const whole = await evaluateEnsemble(engine, ensemble, rowsOf(parts, d));
  const each = [];
  for (const part of parts) each.push((await evaluateEnsemble(engine, ensemble, rowsOf([part], d))).metrics);
  const { metrics } = whole;
  const mean = (values: readonly number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;
  const errors = each.map(({ mse }) => value(mse));
  // Their MSE divides each token's error by the tokens of its batch before it averages over tokens.
  const dividedTwice = errors.reduce((sum, one) => sum + one, 0) / whole.tokens;
  // Their explained variance divides by S − (S/d)², S = E‖x‖², in place of the variance.
  const S = mean(parts.map((x) => x.reduce((sum, one) => sum + one * one, 0) / (x.length / d)));
  const ofScale = 1 - mean(errors) / (S - (S / d) ** 2);
  const { reconstruction_quality: quality, sparsity, shrinkage } = core;
  let apart = 0;
  for (const [i, log] of whole.logDensity.entries()) apart = Math.max(apart, Math.abs(10 ** log - density[i]!));
  return [
    { name: "mse", theirs: quality.mse, same: dividedTwice, ours: value(metrics.mse), tolerance: 1e-5 },
    {
      name: "explained_variance",
      theirs: quality.explained_variance,
      same: ofScale,
      ours: value(metrics.explained_variance_global),
      tolerance: 1e-4,
    },
    { name: "cossim", theirs: quality.cossim, same: value(metrics.cosine), ours: null, tolerance: 1e-5 },
    { name: "l0", theirs: sparsity.l0, same: value(metrics.l0), ours: null, tolerance: 1e-3 },
    { name: "l1", theirs: sparsity.l1, same: value(metrics.l1), ours: null, tolerance: 1e-5 },
    { name: "l2_ratio", theirs: shrinkage.l2_ratio, same: value(metrics.l2_ratio), ours: null, tolerance: 1e-5 },
    {
      name: "relative_reconstruction_bias",
      theirs: shrinkage.relative_reconstruction_bias,
      same: mean(each.map((one) => value(one.relative_reconstruction_bias))),
      ours: value(metrics.relative_reconstruction_bias),
      tolerance: 1e-5,
    },
    { name: "feature density, the furthest apart", theirs: apart, same: 0, ours: null, tolerance: 1e-3 },
  ];
}

/** Activations of the tokens that are not special, [rows, d]. */
function realRows(batch: TokenBatch, acts: Float32Array, d: number, model: LanguageModel): Float32Array {
  const real = [...batch.ids.keys()].filter((at) => !model.tokenizer.specialIds.has(batch.ids[at]!));
  const x = new Float32Array(real.length * d);
  for (const [r, at] of real.entries()) x.set(acts.subarray(at * d, (at + 1) * d), r * d);
  return x;
}

/** Rows that are there already, read as a source. */
function rowsOf(parts: readonly Float32Array[], d: number) {
  const left = [...parts];
  return {
    d_in: d,
    next: async (wanted: number) => {
      const x = left.shift();
      if (!x) return null;
      if (x.length > wanted * d) left.unshift(x.subarray(wanted * d));
      const taken = x.subarray(0, wanted * d);
      return { x: taken, rows: taken.length / d };
    },
  };
}

function value(metric: Metric): number {
  return metric.value ?? Number.NaN;
}

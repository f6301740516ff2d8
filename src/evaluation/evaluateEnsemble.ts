// Every intrinsic metric of an ensemble over held-out activations, in one pass: the ensemble as a whole, and member by member.
import type { ActivationSource } from "../data/activationSource.ts";
import type { Encoded, Encoder, Engine, SparseCodes } from "../engine/engine.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "../sae/ensemble.ts";
import { CodeSums } from "./codeSums.ts";
import { diversity } from "./decoderCosines.ts";
import { FiringPairs, firingPairsWithin } from "./firingPairs.ts";
import { type Metric, unavailable } from "./metric.ts";
import { InputMoments, type ReconstructionMetrics, ReconstructionSums } from "./reconstructionSums.ts";

export interface EvaluationOptions {
  /** Tokens encoded at a time; changes memory, not results. */
  readonly batchTokens?: number;
  /** Stop after so many tokens; all of the source if left out. */
  readonly maxTokens?: number;
  /** Bytes that the exact pair count of connectivity may take; it is left out, with its reason, where they don't suffice. */
  readonly connectivityMemory?: number;
  /** Threads of the GEMM behind diversity; the machine's cores if left out. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (tokens: number) => void;
  /** Blocks of the cosines behind diversity, which come after the last token. */
  readonly onDiversity?: (blocks: number, of: number) => void;
}

const BATCH_TOKENS = 2048;
export const CONNECTIVITY_MEMORY = 2 ** 30;

export interface CodeMetrics {
  /** Mean number of active features a token. */
  readonly l0: Metric;
  /** L0 / (J·F). */
  readonly relative_sparsity: Metric;
  /** Mean over tokens of Σ_i f_i. */
  readonly l1: Metric;
  /** Share of features that never fired. */
  readonly dead_share: Metric;
}

export interface IntrinsicMetrics extends ReconstructionMetrics, CodeMetrics {
  /** Share of feature pairs that never fire together, 1 − ‖CᵀC‖₀/(J·F)². */
  readonly connectivity: Metric;
  /** Number of features whose cosine with every other feature is below 0.7. */
  readonly diversity: Metric;
}

/** A member's part: for boosting the reconstruction is that of members 0 to j together, for bagging and single that of member j alone. Codes are member j's own. */
export interface MemberMetrics extends ReconstructionMetrics, CodeMetrics {}

export interface EnsembleEvaluation {
  readonly method: Ensemble["method"];
  readonly members: number;
  /** J·F */
  readonly width: number;
  readonly d_in: number;
  /** Tokens that the metrics are over. */
  readonly tokens: number;
  readonly metrics: IntrinsicMetrics;
  /** [d]; NaN for a constant dimension. */
  readonly explainedVariancePerDimension: Float64Array;
  /** [J·F] log10(frequency + 1e-10) */
  readonly logDensity: Float64Array;
  readonly byMember: readonly MemberMetrics[];
}

/** What evaluation reads: activations at the ensemble's hook, special tokens left out by whoever made them. */
export type EvaluationSource = Pick<ActivationSource, "d_in" | "next">;

/**
 * Reads the source to its end (or maxTokens) and returns every metric. Each member has its own encoder, since the values of
 * single members are wanted too; by Proposition 3.1 the ensemble's codes and reconstruction are the members' side by side
 * and summed. Throws if the source has no tokens or another width.
 */
export async function evaluateEnsemble(
  engine: Engine,
  ensemble: Ensemble,
  source: EvaluationSource,
  options: EvaluationOptions = {},
): Promise<EnsembleEvaluation> {
  const d = ensemble.members[0]!.config.d_in;
  if (source.d_in !== d) throw new RangeError(`activations of width ${source.d_in} for an ensemble of width ${d}`);
  const encoders: Encoder[] = [];
  try {
    for (const [j, member] of ensemble.members.entries()) {
      const alone = { method: "single", members: [member], weights: [1], seeds: [ensemble.seeds[j] ?? j] } as const;
      encoders.push(await engine.createEncoder({ ...ensemble, ...alone }));
    }
    return await evaluate(encoders, ensemble, source, options);
  } finally {
    for (const encoder of encoders) await encoder.close();
  }
}

async function evaluate(
  encoders: readonly Encoder[],
  ensemble: Ensemble,
  source: EvaluationSource,
  options: EvaluationOptions,
): Promise<EnsembleEvaluation> {
  const d = source.d_in;
  const width = ensembleWidth(ensemble);
  const offsets = memberOffsets(ensemble);
  const input = new InputMoments(d);
  const whole = new ReconstructionSums(d);
  const codes = new CodeSums(width);
  const pairs = firingPairsWithin(width, options.connectivityMemory ?? CONNECTIVITY_MEMORY);
  const memberErrors = encoders.map(() => new ReconstructionSums(d));
  const memberCodes = ensemble.members.map((member) => new CodeSums(member.config.d_sae));

  for (;;) {
    options.signal?.throwIfAborted();
    const wanted = Math.min(options.batchTokens ?? BATCH_TOKENS, (options.maxTokens ?? Infinity) - input.rows);
    const batch = wanted > 0 ? await source.next(wanted) : null;
    if (batch === null) break;
    const { x, rows } = batch;
    input.add(x, rows);
    const sum = new Float64Array(rows * d);
    const chained = ensemble.method === "boosting";
    // Members that don't wait for one another are asked for all at once, so that a device has the next one's work at hand.
    const encoded: Encoded[] = chained ? [] : await Promise.all(encoders.map((encoder) => encoder.encode(x, rows)));
    for (const [j, encoder] of encoders.entries()) {
      if (chained) encoded.push(await encoder.encode(j === 0 ? x : difference(x, sum), rows));
      const own = encoded[j]!;
      memberCodes[j]!.add(own.codes);
      addScaled(sum, own.reconstruction, ensemble.weights[j]!);
      memberErrors[j]!.add(x, chained ? sum : own.reconstruction, rows);
    }
    whole.add(x, sum, rows);
    const all = sideBySide(encoded, offsets, ensemble.weights);
    codes.add(all);
    if (pairs instanceof FiringPairs) pairs.add(all);
    options.onProgress?.(input.rows);
  }
  if (input.rows === 0) throw new RangeError("no tokens to evaluate on");

  const cosineOptions = {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onDiversity ? { onTiles: options.onDiversity } : {}),
  };
  return {
    method: ensemble.method,
    members: encoders.length,
    width,
    d_in: d,
    tokens: input.rows,
    metrics: {
      ...whole.metrics(input),
      ...codeMetrics(codes),
      connectivity: pairs instanceof FiringPairs ? pairs.connectivity() : unavailable(pairs.reason),
      diversity: { value: await diversity(ensemble, cosineOptions) },
    },
    explainedVariancePerDimension: whole.explainedVariancePerDimension(input),
    logDensity: codes.logDensity(),
    byMember: memberErrors.map((errors, j) => ({ ...errors.metrics(input), ...codeMetrics(memberCodes[j]!) })),
  };
}

function codeMetrics(codes: CodeSums): CodeMetrics {
  const l0 = codes.l0();
  return {
    l0: { value: l0 },
    relative_sparsity: { value: l0 / codes.width },
    l1: { value: codes.l1() },
    dead_share: { value: codes.dead() / codes.width },
  };
}

function addScaled(sum: Float64Array, values: Float32Array, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += weight * values[i]!;
}

function difference(x: Float32Array, sum: Float64Array): Float32Array {
  return x.map((value, i) => value - sum[i]!);
}

/** Codes of the ensemble: the members' in turn with their global indices, times α_j. */
function sideBySide(encoded: readonly Encoded[], offsets: readonly number[], weights: readonly number[]): SparseCodes {
  const first = encoded[0]!.codes;
  if (encoded.length === 1 && weights[0] === 1) return first;
  const { rows } = first;
  const count = encoded.reduce((sum, { codes }) => sum + codes.offsets[rows]!, 0);
  const indices = new Uint32Array(count);
  const values = new Float32Array(count);
  const rowOffsets = new Uint32Array(rows + 1);
  let at = 0;
  for (let r = 0; r < rows; r++) {
    for (const [j, { codes }] of encoded.entries()) {
      for (let p = codes.offsets[r]!; p < codes.offsets[r + 1]!; p++, at++) {
        indices[at] = offsets[j]! + codes.indices[p]!;
        values[at] = weights[j]! * codes.values[p]!;
      }
    }
    rowOffsets[r + 1] = at;
  }
  return { rows, width: offsets.at(-1)!, offsets: rowOffsets, indices, values };
}

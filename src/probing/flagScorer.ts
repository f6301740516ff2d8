// From flags to a verdict, at the speed of a click: what the biased probe says once the flagged features are gone, and what it says when it may learn anew without them (SHIFT, arXiv 2403.19647).
import { ablatedLogits, ablatedRows, type EncodedPadding } from "./ablation.ts";
import { type CellScores, cellScores } from "./cells.ts";
import { type CodeColumns, codeColumns } from "./codeColumns.ts";
import { decoderProjection } from "./effects.ts";
import type { Examples } from "./examples.ts";
import type { PooledTexts } from "./pool.ts";
import { logits } from "./probe.ts";
import type { GroupedExamples } from "./scr.ts";
import { type ProbePlan, type ProbeSettings, probeDefaults, type TrainedProbe, trainProbe } from "./trainProbe.ts";

export interface FlagScorerInput {
  readonly texts: PooledTexts;
  /** [F, d], the ensemble's decoder rows (sae/combine.ts). */
  readonly W_dec: Float32Array;
  /** The biased probe and the plan that it was trained by: learning anew follows the same plan. */
  readonly biased: TrainedProbe;
  readonly plan: ProbePlan;
  readonly settings?: ProbeSettings;
  /** The balanced test set. Its rows, and those of the plan, are rows of `texts`. */
  readonly test: GroupedExamples;
  /** Of rows of `texts`, in their order; `saebench_compatible`. */
  readonly padding?: ((rows: Uint32Array) => EncodedPadding) | undefined;
}

/** Made once for a probe; then any set of flags costs no more than the flagged features' own entries. */
export class FlagScorer {
  readonly #input: FlagScorerInput;
  readonly #base: Float64Array;
  readonly #projection: Float64Array;
  readonly #testColumns: CodeColumns;
  readonly #testPadding: EncodedPadding | undefined;
  #learning: Learning | undefined;

  constructor(input: FlagScorerInput) {
    const { texts, W_dec, biased, test, padding } = input;
    this.#input = input;
    this.#base = logits(biased.probe, test.x, test.rows);
    this.#projection = decoderProjection(W_dec, biased.probe.w);
    this.#testColumns = codeColumns(texts.codes, test.rows);
    this.#testPadding = padding?.(test.rows);
  }

  /** The probe as it is, on activations without the flagged features. No flags: the probe's own scores. */
  ablated(flags: Iterable<number>): CellScores {
    return this.#score(ablatedLogits(this.#base, this.#testColumns, this.#projection, flags, this.#testPadding));
  }

  /** A probe trained anew, by the same plan, on the still biased data without the flagged features. */
  retrained(flags: Iterable<number>): { readonly probe: TrainedProbe; readonly scores: CellScores } {
    const { texts, W_dec, plan, settings = probeDefaults, test, padding } = this.#input;
    this.#learning ??= learningRows(texts, [plan.train.rows, plan.selection.rows, test.rows]);
    const { rows, columns, position } = this.#learning;
    const x = ablatedRows(texts.activations, rows, columns, W_dec, flags, padding?.(rows));
    const moved = (examples: Examples): Examples => ({
      x,
      rows: examples.rows.map((row) => position.get(row)!),
      labels: examples.labels,
    });
    const probe = trainProbe({ ...plan, train: moved(plan.train), selection: moved(plan.selection) }, settings);
    return { probe, scores: this.#score(logits(probe.probe, x, moved(test).rows)) };
  }

  #score(values: Float64Array): CellScores {
    const { labels, attributes } = this.#input.test;
    return cellScores(values, labels, labels, attributes);
  }
}

/** The rows that learning anew needs, of all that there are. */
interface Learning {
  readonly rows: Uint32Array;
  readonly columns: CodeColumns;
  /** Of a row, its place among `rows`. */
  readonly position: ReadonlyMap<number, number>;
}

function learningRows(texts: PooledTexts, sets: readonly Uint32Array[]): Learning {
  const rows = Uint32Array.from(new Set(sets.flatMap((set) => Array.from(set)))).sort();
  const position = new Map(Array.from(rows, (row, at) => [row, at]));
  return { rows, columns: codeColumns(texts.codes, rows), position };
}

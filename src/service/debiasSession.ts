// One ensemble's debiasing, held in memory: texts pooled and probes trained once, then any flags scored at once. What a report says is jobs/debias.ts's, from the same parts.
import { dirname } from "node:path";
import { cellsOf, countCells, type FourCellSets } from "../data/fourCells.ts";
import {
  cellNames,
  type DebiasDataOptions,
  drawDebiasSets,
  leaveTokenlessOut,
  readDebiasData,
} from "../jobs/debiasData.ts";
import { labelledPath } from "../jobs/obtain.ts";
import { type ProbedEnsemble, probeRun, type TextSource, textsAtTheContext } from "../jobs/probeRun.ts";
import { tooMany } from "../jobs/scrCurves.ts";
import { randomFeatures } from "../probing/baselines.ts";
import type { CellScores } from "../probing/cells.ts";
import {
  type DebiasBaselines,
  type DebiasCurve,
  type DebiasProbes,
  debiasBaselines,
  debiasCurve,
  trainDebiasProbes,
} from "../probing/debias.ts";
import { topFeatures } from "../probing/effects.ts";
import { SCR_N, scrScore } from "../probing/scr.ts";
import { spread } from "../probing/spread.ts";
import type { DebiasChoice, DebiasState, DebiasVerdict, GroupScores, ScrCurve } from "../protocol/debias.ts";
import type { Spread } from "../protocol/labelledData.ts";

export interface DebiasWork {
  readonly signal: AbortSignal;
  readonly onProgress: (stage: string, done: number, total: number, unit: string) => void;
}

/** One drawing of the data. */
interface Seed {
  readonly probes: DebiasProbes;
  readonly baselines: DebiasBaselines;
  readonly curve: DebiasCurve;
  /** Every feature that fires, in random order: its first n are the control for n flags. */
  readonly random: Uint32Array;
}

/** The choice in the jobs' words; `folder`: the run's, which names of files start from. */
export function jobOptions(choice: DebiasChoice, folder: string): DebiasDataOptions {
  const { trainFile, testFile, columns, label, attribute, seeds, perCell } = choice;
  return {
    trainFile: labelledPath(trainFile, folder),
    ...(testFile !== null && { testFile: labelledPath(testFile, folder) }),
    columns,
    label,
    attribute,
    seeds,
    ...(perCell !== null && { perCell: { train: perCell, test: Math.ceil(perCell / 2) } }),
  };
}

export class DebiasSession {
  readonly choice: DebiasChoice;
  readonly #runFolder: string;
  readonly #name: string;
  readonly #texts: readonly TextSource[];
  readonly #cells: Int8Array;
  readonly #draws: readonly FourCellSets[];
  readonly #seeds: readonly Seed[];
  readonly #names: readonly string[];
  readonly #cut: DebiasState["cut"];
  #curves: ScrCurve[];
  #compared = false;
  #retrained: DebiasVerdict["retrained"] = null;
  /** Mean over the seeds, of every feature. */
  readonly #effects: { readonly attribute: Float64Array; readonly label: Float64Array; readonly toward: Float64Array };
  /** Features of an effect, the largest first. */
  readonly suggested: Uint32Array;

  private constructor(
    data: Pick<DebiasSession, "choice"> & {
      readonly runFolder: string;
      readonly texts: readonly TextSource[];
      readonly cells: Int8Array;
      readonly draws: readonly FourCellSets[];
      readonly names: readonly string[];
      readonly cut: DebiasState["cut"];
    },
    own: ProbedEnsemble,
    seeds: readonly Seed[],
  ) {
    this.choice = data.choice;
    this.#runFolder = data.runFolder;
    this.#name = own.name;
    this.#texts = data.texts;
    this.#cells = data.cells;
    this.#draws = data.draws;
    this.#names = data.names;
    this.#cut = data.cut;
    this.#seeds = seeds;
    this.#curves = [
      this.#curveOf(
        own,
        true,
        seeds.map(({ curve }) => curve),
      ),
    ];
    this.#effects = {
      attribute: meanOf(seeds.map(({ curve }) => curve.effects.spurious)),
      label: meanOf(seeds.map(({ curve }) => curve.effects.desired)),
      toward: meanOf(seeds.map(({ curve }) => curve.attribute_difference)),
    };
    this.suggested = topFeatures(this.#effects.attribute, own.texts.codes.width);
  }

  /** Reads, draws, pools what isn't kept yet, trains the probes. Throws InputError for whatever the data lacks, before anything long. */
  static async prepare(ensembleFolder: string, name: string, choice: DebiasChoice, work: DebiasWork) {
    const runFolder = dirname(dirname(ensembleFolder));
    const options = jobOptions(choice, runFolder);
    const data = await readDebiasData(options);
    const cells = cellsOf(
      data.texts.map(({ text }) => text),
      data.pairs,
    );
    const draw = (): FourCellSets[] =>
      choice.seeds.map((seed) => drawDebiasSets(data, data.pairs, cells, seed, options));
    let draws = draw();
    let own: ProbedEnsemble | undefined;
    const { settings } = await probeRun(runFolder, data.texts, { ...work, ensembles: [name] }, (probed) => {
      own = probed;
    });
    const tokenless = leaveTokenlessOut(cells, own!.texts.tokens);
    if (tokenless > 0) draws = draw();
    const cut = {
      texts: textsAtTheContext(own!.texts.tokens, settings),
      of: data.texts.length - tokenless,
      context: settings.context_size,
    };
    const seeds: Seed[] = [];
    for (const [at, sets] of draws.entries()) {
      work.onProgress("probes", at, draws.length, "seeds");
      await pause(work.signal);
      const probes = trainDebiasProbes(own!.texts.activations, sets);
      await pause(work.signal);
      const baselines = debiasBaselines(probes);
      const { texts, W_dec } = own!;
      const random = randomFeatures(texts.codes, texts.codes.width, sets.seed);
      seeds.push({ probes, baselines, curve: debiasCurve(probes, texts, W_dec, curveOptions(own!)), random });
    }
    const names = cellNames(data.pairs);
    return new DebiasSession({ choice, runFolder, texts: data.texts, cells, draws, names, cut }, own!, seeds);
  }

  /** Pools for the run's other ensembles and draws their curves. */
  async compare(work: DebiasWork): Promise<void> {
    const curves = new Map<string, ScrCurve>(this.#curves.map((curve) => [curve.ensemble, curve]));
    const order: string[] = [];
    await probeRun(this.#runFolder, this.#texts, work, async (probed) => {
      order.push(probed.name);
      if (probed.name === this.#name) return;
      const bySeed: DebiasCurve[] = [];
      for (const { probes } of this.#seeds) {
        await pause(work.signal);
        bySeed.push(debiasCurve(probes, probed.texts, probed.W_dec, curveOptions(probed)));
      }
      curves.set(probed.name, this.#curveOf(probed, false, bySeed));
    });
    this.#curves = order.map((name) => curves.get(name)!);
    this.#compared = true;
  }

  /** Ensembles that have a curve. */
  get ensembles(): string[] {
    return this.#curves.map(({ ensemble }) => ensemble);
  }

  verdict(flags: readonly number[]): DebiasVerdict {
    return {
      flags: [...flags],
      ablated: this.#over(({ curve }) => curve.scorer.ablated(flags)),
      random: this.#over(({ curve, random }) => curve.scorer.ablated(random.subarray(0, flags.length))),
      retrained: this.#retrained,
    };
  }

  /** Trains a probe anew with each seed, without the flagged features. */
  async retrain(flags: readonly number[], signal: AbortSignal): Promise<void> {
    const scores: CellScores[] = [];
    const random: CellScores[] = [];
    for (const { curve, random: control } of this.#seeds) {
      await pause(signal);
      scores.push(curve.scorer.retrained(flags).scores);
      await pause(signal);
      random.push(curve.scorer.retrained(control.subarray(0, flags.length)).scores);
    }
    this.#retrained = { flags: [...flags], scores: over(scores), random: over(random) };
  }

  suggestion(feature: number): { effect: number; labelEffect: number; towardPositive: boolean } {
    const { attribute, label, toward } = this.#effects;
    return { effect: attribute[feature]!, labelEffect: label[feature]!, towardPositive: toward[feature]! > 0 };
  }

  state(flags: readonly number[]): DebiasState {
    const dir1 = this.#seeds.map(({ curve }) => curve.scr.dir1);
    const level = (of: (baselines: DebiasBaselines) => CellScores): Spread =>
      told(this.#seeds.map(({ baselines }, at) => scrScore({ ...dir1[at]!, A_ablated: of(baselines).accuracy })));
    return {
      choice: this.choice,
      cellNames: [...this.#names],
      counts: [...countCells(this.#cells)],
      perCell: this.#draws[0]!.perCell,
      cut: this.#cut,
      warnings: [...new Set(this.#draws.flatMap(({ warnings }) => warnings))],
      base: this.#over(({ baselines }) => baselines.base),
      oracle: this.#over(({ baselines }) => baselines.oracle),
      mean_difference: this.#over(({ baselines }) => baselines.mean_difference),
      mean_difference_retrained: this.#over(({ baselines }) => baselines.mean_difference_retrained),
      attributeAccuracy: told(this.#seeds.map(({ baselines }) => baselines.attribute_accuracy)),
      room: {
        difference: told(dir1.map(({ A_clean, A_biased }) => A_clean - A_biased)),
        enough: dir1.every(({ hasRoom }) => hasRoom),
      },
      levels: {
        mean_difference: level(({ mean_difference }) => mean_difference),
        mean_difference_retrained: level((baselines) => baselines.mean_difference_retrained),
      },
      curves: this.#curves,
      compared: this.#compared,
      verdict: this.verdict(flags),
    };
  }

  #over(score: (seed: Seed) => CellScores): GroupScores {
    return over(this.#seeds.map(score));
  }

  #curveOf({ name, method, texts }: ProbedEnsemble, own: boolean, bySeed: readonly DebiasCurve[]): ScrCurve {
    const points = bySeed[0]!.scr.points.map(({ n }, at) => ({
      n,
      scr: told(bySeed.map(({ scr }) => scr.points[at]!.dir1)),
      worst_group: told(bySeed.map(({ scr }) => scr.points[at]!.scores.worst_group)),
      random: told(bySeed.map(({ scr_random }) => scr_random[at]!)),
    }));
    return { ensemble: name, method, own, points, leftOut: tooMany(SCR_N, texts.codes.width) };
  }
}

function curveOptions({ texts }: ProbedEnsemble): { n_values: number[] } {
  return { n_values: SCR_N.filter((n) => n <= texts.codes.width) };
}

function meanOf(rows: readonly Float64Array[]): Float64Array {
  return rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
}

function over(scores: readonly CellScores[]): GroupScores {
  return {
    accuracy: told(scores.map(({ accuracy }) => accuracy)),
    worst_group: told(scores.map(({ worst_group }) => worst_group)),
    cells: [0, 1, 2, 3].map((cell) => told(scores.map(({ cells }) => cells[cell]!))),
  };
}

/** JSON knows no NaN. */
function told(values: readonly number[]): Spread {
  const { mean, sd } = spread(values);
  return { mean: Number.isNaN(mean) ? null : mean, sd: Number.isNaN(sd) ? null : sd };
}

/** Lets other requests in between two pieces of arithmetic. */
async function pause(signal: AbortSignal): Promise<void> {
  await new Promise(setImmediate);
  signal.throwIfAborted();
}

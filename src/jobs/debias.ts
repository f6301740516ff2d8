// Debiasing of a run's ensembles on a labelled data set, over seeds and in both directions of the bias; writes the report beside the run's other reports.
import { basename } from "node:path";
import {
  type CellPairs,
  cellsOf,
  checkPair,
  countCells,
  drawFourCells,
  type FourCellSets,
  onlyPair,
  splitRows,
  TEST_SHARE,
  type ValuePair,
} from "../data/fourCells.ts";
import { type LabelledColumns, type LabelledTexts, readLabelledTexts } from "../data/labelledTexts.ts";
import { SeededRandom } from "../data/seededRandom.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { InputError } from "../formats/inputError.ts";
import {
  type DebiasBaselines,
  type DebiasProbes,
  type DebiasResult,
  debiasBaselines,
  debiasEnsemble,
  trainDebiasProbes,
} from "../probing/debias.ts";
import { codesOfZero } from "../probing/pool.ts";
import { SCR_N } from "../probing/scr.ts";
import { ensembleWidth, memberOffsets } from "../sae/ensemble.ts";
import { type DebiasReport, debiasJson, debiasMarkdown } from "./debiasReport.ts";
import { type ProbeRunOptions, probeRun, type TextSource } from "./probeRun.ts";
import { versions } from "./versions.ts";

export interface DebiasJobOptions extends ProbeRunOptions {
  readonly trainFile: string;
  /** Where left out, a share of `trainFile` is held out with each seed. */
  readonly testFile?: string;
  readonly columns: Required<LabelledColumns>;
  /** The column's only two values where left out. */
  readonly label?: ValuePair;
  readonly attribute?: ValuePair;
  readonly seeds: readonly number[];
  /** At most so many texts a cell in the balanced sets. */
  readonly perCell?: { readonly train?: number; readonly test?: number };
  readonly n_values?: readonly number[];
  readonly shift_n: number;
  /** A person's flags, "member/index". */
  readonly flags?: readonly string[];
  readonly saebenchCompatible?: boolean;
  /** As it was typed. */
  readonly command: string;
}

/** Texts of a cell that are pooled for each one that a balanced set takes: a biased set takes two, and seeds must differ. */
const POOLED_PER_DRAWN = 3;

/** SAEBench pads its texts to so many tokens. */
const SAEBENCH_LENGTH = 128;

/** The report, which is also written to `<report>.json` and `<report>.md`. Throws InputError for whatever the data lacks. */
export async function debias(runFolder: string, report: string, options: DebiasJobOptions): Promise<DebiasReport> {
  const data = await readData(options);
  const { texts, pairs } = data;
  const directions = [pairs, { label: pairs.label, attribute: swapped(pairs.attribute) }].map((pair) => ({
    pair,
    cells: cellsOf(
      texts.map(({ text }) => text),
      pair,
    ),
  }));
  const draws = directions.map(({ pair, cells }) =>
    options.seeds.map((seed) => draw(data, pair, cells, seed, options)),
  );
  let probes: DebiasProbes[][] | undefined;
  const results: DebiasReport["ensembles"][number][] = [];
  const experiment = await probeRun(
    runFolder,
    texts,
    options,
    async ({ name, method, ensemble, texts: pooled, W_dec }, engine) => {
      // The activations are the same under every ensemble; the probes are trained once.
      probes ??= draws.map((sets) =>
        sets.map((set) => trainDebiasProbes(pooled.activations, set, options.saebenchCompatible)),
      );
      const width = ensembleWidth(ensemble);
      const offsets = memberOffsets(ensemble);
      const flags = (options.flags ?? []).map((flag) => featureId(flag, offsets, name, runFolder));
      const padding = options.saebenchCompatible
        ? { length: SAEBENCH_LENGTH, codesOfZero: await zeroCodes(engine, ensemble, pooled.activations.d, width) }
        : undefined;
      const runs: DebiasResult[][] = probes.map((own) =>
        own.map((one) =>
          debiasEnsemble(one, pooled, W_dec, {
            n_values: (options.n_values ?? SCR_N).filter((n) => n <= width),
            shift_n: options.shift_n,
            flags,
            ...(padding && { padding }),
          }),
        ),
      );
      const nameOf = (feature: number): string => {
        const member = offsets.findLastIndex((first) => first <= feature);
        return `${member}/${feature - offsets[member]!}`;
      };
      results.push({ name, method, features: width, runs, nameOf });
    },
  );
  const baselines: DebiasBaselines[][] = probes!.map((own) => own.map(debiasBaselines));
  const result: DebiasReport = {
    command: options.command,
    versions: versions(),
    run: basename(runFolder),
    model_name: experiment.settings.model_name,
    hook_name: experiment.settings.hook_name,
    context_size: experiment.settings.context_size,
    data: {
      train: options.trainFile,
      test: options.testFile ?? null,
      columns: options.columns,
      empty: data.empty,
      repeated: data.repeated,
    },
    seeds: options.seeds,
    shift_n: options.shift_n,
    saebench_compatible: options.saebenchCompatible ?? false,
    flags: options.flags ?? [],
    directions: directions.map(({ pair, cells }, at) => ({
      pair,
      cell_names: cellNames(pair),
      counts: countCells(cells),
      per_cell: draws[at]![0]!.perCell,
      warnings: [...new Set(draws[at]!.flatMap((sets) => sets.warnings))],
    })),
    baselines,
    ensembles: results,
  };
  await writeFileAtomic(`${report}.json`, `${JSON.stringify(debiasJson(result), null, 2)}\n`);
  await writeFileAtomic(`${report}.md`, debiasMarkdown(result));
  return result;
}

interface Data {
  /** Training texts, then those for testing. */
  readonly texts: readonly TextSource[];
  /** Texts of the first file. */
  readonly first: number;
  readonly pairs: CellPairs;
  readonly empty: number;
  readonly repeated: number;
}

async function readData(options: DebiasJobOptions): Promise<Data> {
  const { trainFile, testFile, columns } = options;
  const train = await readLabelledTexts(trainFile, columns);
  const test: LabelledTexts | null = testFile === undefined ? null : await readLabelledTexts(testFile, columns);
  const pairs = {
    label: options.label ?? onlyPair(train, "label"),
    attribute: options.attribute ?? onlyPair(train, "attribute"),
  };
  for (const part of test ? [train, test] : [train]) {
    checkPair(part, "label", pairs.label);
    checkPair(part, "attribute", pairs.attribute);
  }
  const used = (data: LabelledTexts): TextSource[] => {
    const cells = cellsOf(data.texts, pairs);
    return data.texts.filter((_, t) => cells[t]! >= 0).map((text) => ({ file: data.file, text }));
  };
  const thin = (sources: TextSource[], drawn: number | undefined): TextSource[] =>
    drawn === undefined ? sources : thinned(sources, pairs, POOLED_PER_DRAWN * drawn, options.seeds[0]!);
  const share = testFile === undefined ? 1 - TEST_SHARE : 1;
  const perCell = options.perCell?.train;
  const learnt = thin(used(train), perCell === undefined ? undefined : Math.ceil(perCell / share));
  const known = new Set(learnt.map(({ text }) => text.text));
  const held = test ? used(test) : [];
  // A text that is in both files is for training alone.
  const apart = thin(
    held.filter(({ text }) => !known.has(text.text)),
    options.perCell?.test,
  );
  return {
    texts: [...learnt, ...apart],
    first: learnt.length,
    pairs,
    empty: train.empty + (test?.empty ?? 0),
    repeated: train.repeated + (test?.repeated ?? 0) + held.filter(({ text }) => known.has(text.text)).length,
  };
}

/** At most `most` texts of each cell, drawn with the seed, in the order of the file. */
function thinned(sources: readonly TextSource[], pairs: CellPairs, most: number, seed: number): TextSource[] {
  const cells = cellsOf(
    sources.map(({ text }) => text),
    pairs,
  );
  const random = SeededRandom.derive(seed, "texts to pool");
  const kept = [0, 1, 2, 3].flatMap((cell) => {
    const own = Array.from(sources.keys()).filter((at) => cells[at] === cell);
    return random.shuffle(own).slice(0, most);
  });
  return kept.sort((a, b) => a - b).map((at) => sources[at]!);
}

function draw(data: Data, pair: CellPairs, cells: Int8Array, seed: number, options: DebiasJobOptions): FourCellSets {
  const numbered = (from: number, to: number): Map<number, number> =>
    new Map(Array.from({ length: to - from }, (_, at) => [from + at, cells[from + at]!]));
  const parts =
    options.testFile === undefined
      ? splitRows(cells, seed)
      : { train: numbered(0, data.first), test: numbered(data.first, cells.length) };
  try {
    return drawFourCells(parts.train, parts.test, {
      seed,
      cellNames: cellNames(pair),
      ...(options.perCell && { perCell: options.perCell }),
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError({
      file: options.trainFile,
      found: error.message,
      expected: "more texts, or other groups of values",
    });
  }
}

function swapped({ positive, negative }: ValuePair): ValuePair {
  return { positive: negative, negative: positive };
}

function cellNames({ label, attribute }: CellPairs): string[] {
  const side = ({ positive, negative }: ValuePair): string[] => [positive.join("+"), negative.join("+")];
  return side(label).flatMap((y) => side(attribute).map((a) => `${y} · ${a}`));
}

async function zeroCodes(
  engine: Parameters<Parameters<typeof probeRun>[3]>[1],
  ensemble: Parameters<typeof ensembleWidth>[0],
  d: number,
  width: number,
): Promise<Float64Array> {
  const encoder = await (await engine()).createEncoder(ensemble);
  try {
    return await codesOfZero(encoder, d, width);
  } finally {
    await encoder.close();
  }
}

function featureId(flag: string, offsets: readonly number[], ensemble: string, file: string): number {
  const [, member, index] = /^(\d+)\/(\d+)$/.exec(flag) ?? [];
  const [first, next] = [offsets[Number(member)], offsets[Number(member) + 1]];
  if (first !== undefined && next !== undefined && Number(index) < next - first) return first + Number(index);
  const expected = `member/index of ${ensemble}, from 0/0 on (one ensemble at a time: --ensemble)`;
  throw new InputError({ file, where: "--flags", found: `"${flag}"`, expected });
}

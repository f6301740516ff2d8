// Debiasing of a run's ensembles on a labelled data set, over seeds and in both directions of the bias; writes the report beside the run's other reports.
import { basename, join, resolve } from "node:path";
import { cellsOf, type FourCellSets } from "../data/fourCells.ts";
import {
  type DebiasBaselines,
  type DebiasProbes,
  type DebiasResult,
  debiasBaselines,
  debiasEnsemble,
  trainDebiasProbes,
} from "../probing/debias.ts";
import { SCR_N } from "../probing/scr.ts";
import { spread } from "../probing/spread.ts";
import { ensembleWidth } from "../sae/ensemble.ts";
import { featureName } from "../sae/featureName.ts";
import {
  cellNames,
  type DebiasDataOptions,
  drawDebiasSets,
  leaveTokenlessOut,
  readDebiasData,
  swapped,
  textCounts,
} from "./debiasData.ts";
import { type DebiasedProbe, saveDebiasedProbe } from "./debiasedProbe.ts";
import { type DebiasReport, writeDebiasReport } from "./debiasReport.ts";
import { textStates } from "./fileStates.ts";
import { flagsOf } from "./flags.ts";
import { type ProbeRunOptions, probeRun, textsAtTheContext, trainedTasks } from "./probeRun.ts";
import { provenanceOf } from "./provenance.ts";
import { experimentOfRun } from "./runRecord.ts";
import { DEBIAS_AS_SAEBENCH, saebenchPadding } from "./saebench.ts";

export interface DebiasJobOptions extends ProbeRunOptions, DebiasDataOptions {
  readonly n_values?: readonly number[];
  readonly shift_n: number;
  /** A person's flags, "member/index"; where left out, those of each ensemble's annotations.json. */
  readonly flags?: readonly string[];
  readonly saebenchCompatible?: boolean;
  /** Where the debiased probe of each ensemble with flags goes (saveDebiasedProbe), in a folder of the ensemble's name. */
  readonly probeFolder?: string;
  /** As it was typed. */
  readonly command: string;
}

/** The report, which is also written (writeDebiasReport). Throws InputError for whatever the data lacks. */
export async function debias(runFolder: string, report: string, options: DebiasJobOptions): Promise<DebiasReport> {
  const states = textStates(options);
  const data = await readDebiasData(options);
  const { texts, pairs } = data;
  const directions = [pairs, { label: pairs.label, attribute: swapped(pairs.attribute) }].map((pair) => ({
    pair,
    cells: cellsOf(
      texts.map(({ text }) => text),
      pair,
    ),
  }));
  const draw = (): FourCellSets[][] =>
    directions.map(({ pair, cells }) => options.seeds.map((seed) => drawDebiasSets(data, pair, cells, seed, options)));
  let draws = draw();
  const { settings } = experimentOfRun(runFolder);
  const names = trainedTasks(runFolder, settings, options.ensembles).map(({ name }) => name);
  const flagsBy = await flagsOf(runFolder, names, options);
  const n_values = options.n_values ?? SCR_N;
  let probes: DebiasProbes[][] | undefined;
  let tokens: Uint32Array = new Uint32Array();
  let tokenless = 0;
  const results: DebiasReport["ensembles"][number][] = [];
  const saved: { readonly name: string; readonly probe: DebiasedProbe }[] = [];
  await probeRun(
    runFolder,
    texts,
    options,
    async ({ name, method, ensemble, texts: pooled, pooledFile, W_dec }, engine) => {
      // Tokens and activations are the same under every ensemble; the probes are trained once.
      if (!probes) {
        tokens = pooled.tokens;
        [tokenless = 0] = directions.map(({ cells }) => leaveTokenlessOut(cells, tokens));
        if (tokenless > 0) draws = draw();
        probes = draws.map((sets) =>
          sets.map((set) => trainDebiasProbes(pooled.activations, set, options.saebenchCompatible)),
        );
      }
      const width = ensembleWidth(ensemble);
      const flags = flagsBy.get(name)!;
      const padding = options.saebenchCompatible
        ? await saebenchPadding(tokens, options.trainFile, ensemble, pooled.activations.d, engine)
        : undefined;
      const runs: DebiasResult[][] = probes.map((own) =>
        own.map((one) =>
          debiasEnsemble(one, pooled, W_dec, {
            n_values: n_values.filter((n) => n <= width),
            shift_n: options.shift_n,
            flags: flags.features,
            ...(padding && { padding }),
          }),
        ),
      );
      const nameOf = (feature: number): string => featureName(ensemble, feature);
      results.push({
        name,
        method,
        features: width,
        flags: flags.features.map(nameOf),
        flags_file: flags.file,
        runs,
        nameOf,
      });
      const shifts = runs[0]!.flatMap(({ shift_flagged }) => (shift_flagged ? [shift_flagged] : []));
      const [shift] = shifts;
      if (shift)
        saved.push({
          name,
          probe: {
            probe: shift.retrained_probe,
            features: shift.flags,
            nameOf,
            W_dec,
            test: probes[0]![0]!.test,
            scores: shift.retrained,
            seed: options.seeds[0]!,
            over: {
              seeds: options.seeds,
              accuracy: spread(shifts.map(({ retrained }) => retrained.accuracy)),
              worst_group: spread(shifts.map(({ retrained }) => retrained.worst_group)),
            },
            pooledFile: resolve(pooledFile),
            cellNames: cellNames(pairs),
            provenance: { ensemble: name, method, flags_file: flags.file },
          },
        });
    },
  );
  const baselines: DebiasBaselines[][] = probes!.map((own) => own.map(debiasBaselines));
  const result: DebiasReport = {
    ...provenanceOf(runFolder, names, { ...options, states }),
    run: basename(runFolder),
    model_name: settings.model_name,
    hook_name: settings.hook_name,
    context_size: settings.context_size,
    data: {
      train: resolve(options.trainFile),
      test: options.testFile === undefined ? null : resolve(options.testFile),
      columns: options.columns,
      ...data.left,
      empty: data.left.empty + tokenless,
      texts: texts.length - tokenless,
      texts_at_context: textsAtTheContext(tokens, settings),
    },
    seeds: options.seeds,
    n_values,
    shift_n: options.shift_n,
    saebench_compatible: options.saebenchCompatible ? DEBIAS_AS_SAEBENCH : false,
    directions: directions.map(({ pair, cells }, at) => ({
      pair,
      cell_names: cellNames(pair),
      counts: textCounts(data, pair, cells),
      per_cell: draws[at]![0]!.perCell,
      warnings: [...new Set(draws[at]!.flatMap((sets) => sets.warnings))],
    })),
    baselines,
    ensembles: results,
    saved_probes:
      options.probeFolder === undefined
        ? []
        : saved.map(({ name, probe: { seed, scores } }) => ({
            ensemble: name,
            folder: join(options.probeFolder!, name),
            seed,
            accuracy: scores.accuracy,
            worst_group: scores.worst_group,
          })),
  };
  await writeDebiasReport(result, report);
  const { probeFolder } = options;
  if (probeFolder === undefined) return result;
  const { directions: _, baselines: __, ensembles: ___, seeds: ____, saved_probes: _____, ...head } = result;
  for (const { name, probe } of saved) {
    const provenance = { ...probe.provenance, ...head, pair: pairs };
    await saveDebiasedProbe(join(probeFolder, name), { ...probe, provenance });
  }
  return result;
}

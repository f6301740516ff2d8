// Concept detection with a run's ensembles on a labelled data set, over seeds; writes the report beside the run's other reports.
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { TEST_SHARE } from "../data/fourCells.ts";
import {
  bothLeftOut,
  type LabelledColumns,
  type LabelledText,
  type LeftOut,
  leftOut,
  notLearnt,
  readLabelledTexts,
  valueCounts,
} from "../data/labelledTexts.ts";
import { SeededRandom } from "../data/seededRandom.ts";
import type { FeatureIndex } from "../features/featureIndex.ts";
import { openFeatureIndex } from "../features/openFeatureIndex.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { InputError } from "../formats/inputError.ts";
import { encodedPadding } from "../probing/ablation.ts";
import { classTasks } from "../probing/classTasks.ts";
import {
  CONCEPT_K,
  type ConceptScores,
  type ConceptTask,
  detectConcepts,
  fullWidthDetection,
  fullWidthSaeBench,
} from "../probing/conceptDetection.ts";
import { topFeaturesSaeBench } from "../probing/effects.ts";
import type { Rows } from "../probing/examples.ts";
import { codesTable, denseTable, type FeatureTable } from "../probing/featureTable.ts";
import type { Probe } from "../probing/probe.ts";
import { heldOutPlan, testSelectedPlan } from "../probing/probePlan.ts";
import { type Spread, spread } from "../probing/spread.ts";
import { tpp } from "../probing/tpp.ts";
import { trainProbe } from "../probing/trainProbe.ts";
import { featureName } from "../sae/featureName.ts";
import { contextWords, seedWords, text } from "./debiasReport.ts";
import { textStates } from "./fileStates.ts";
import { type ProbeRunOptions, probeRun, type TextSource, textsAtTheContext } from "./probeRun.ts";
import { type Provenance, provenanceLines, provenanceOf } from "./provenance.ts";
import { runPaths } from "./runFolder.ts";
import { CONCEPTS_AS_SAEBENCH, type SaeBenchWords, saebenchLines, saebenchPadding } from "./saebench.ts";

export interface ConceptsJobOptions extends ProbeRunOptions {
  readonly trainFile: string;
  /** Where left out, a share of each class is held out with the first seed. */
  readonly testFile?: string;
  readonly columns: Omit<LabelledColumns, "attribute">;
  /** Every class with enough texts where left out. */
  readonly classes?: readonly string[];
  /** At most so many texts of a class, drawn with the first seed. */
  readonly perClass: { readonly train: number; readonly test: number };
  readonly seeds: readonly number[];
  /** Numbers of features for targeted probe perturbation; none where left out. */
  readonly tpp_n?: readonly number[];
  readonly saebenchCompatible?: boolean;
  readonly command: string;
}

/** Classes with fewer texts are left out, and named. */
export const LEAST_TEXTS = { train: 20, test: 10 } as const;

/** Tokens that the report gives of a feature. */
const LISTED_TOKENS = 3;

interface Detection {
  readonly name: string;
  /** By k; null the full width. */
  readonly accuracy: readonly {
    readonly k: number | null;
    readonly mean: Spread;
    readonly classes: readonly Spread[];
  }[];
  /** Of each class, the features that the first seed chose, by k; `fires_more`: whether each fires more in the class. */
  readonly features: readonly {
    readonly k: number;
    readonly classes: readonly (readonly string[])[];
    readonly fires_more: readonly (readonly boolean[])[];
  }[];
  /** The strongest tokens of these features, by name; none of raw activations and where there is no index. */
  readonly tokens: Readonly<Record<string, readonly string[]>>;
  /** Targeted probe perturbation by n; none of raw activations. */
  readonly tpp: readonly { readonly n: number; readonly total: Spread }[];
}

export interface ConceptsReport extends Provenance {
  readonly format_version: 1;
  readonly run: string;
  readonly model_name: string;
  readonly hook_name: string;
  readonly context_size: number;
  readonly data: Readonly<Record<string, unknown>> &
    LeftOut & {
      readonly texts: number;
      readonly texts_at_context: number;
    };
  readonly seeds: readonly number[];
  /** What of it is SAEBench's and what is not; false by default. */
  readonly saebench_compatible: SaeBenchWords | false;
  /** In the order of every list of classes. */
  readonly classes: readonly string[];
  readonly left_out: readonly string[];
  readonly texts: readonly {
    readonly train: number;
    readonly test: number;
    /** Those of the test texts that an accuracy is of: as many of the class as of the others. */
    readonly tested: number;
  }[];
  /** The raw activations first, then the ensembles. */
  readonly detections: readonly Detection[];
}

/** The report, which is also written to `<report>.json` and `<report>.md`. */
export async function concepts(
  runFolder: string,
  report: string,
  options: ConceptsJobOptions,
): Promise<ConceptsReport> {
  const result = await conceptsReport(runFolder, options);
  await writeConcepts(report, result);
  return result;
}

export async function writeConcepts(report: string, result: ConceptsReport): Promise<void> {
  await writeFileAtomic(`${report}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFileAtomic(`${report}.md`, markdown(result));
}

export interface ConceptTexts {
  /** Texts to learn from, then those to test on. */
  readonly texts: readonly TextSource[];
  readonly learnt: number;
  readonly classes: readonly string[];
  /** Classes with too few texts. */
  readonly left_out: readonly string[];
  /** Texts that were left out; as repeated count those that are in the other file too. */
  readonly left: LeftOut;
}

/** Throws InputError for whatever the data lacks. */
export async function readConceptTexts(options: ConceptsJobOptions): Promise<ConceptTexts> {
  const { trainFile, testFile, columns, perClass, seeds } = options;
  if (testFile === trainFile)
    throw new InputError({
      file: testFile,
      found: "the texts that are learnt from, to test on",
      expected: `another file, or none: then ${100 * TEST_SHARE}% of each class are held out`,
    });
  const train = await readLabelledTexts(trainFile, columns);
  const test = testFile === undefined ? null : await readLabelledTexts(testFile, columns);
  const { learning, held } = test
    ? { learning: train.texts, held: notLearnt(train.texts, test.texts, (one) => one.text) }
    : holdOut(train.texts, seeds[0]!);
  const counts = { train: valueCounts(learning, "label"), test: valueCounts(held, "label") };
  const all = options.classes ?? [...counts.train.keys()].sort();
  const enough = (label: string): boolean =>
    (counts.train.get(label) ?? 0) >= LEAST_TEXTS.train && (counts.test.get(label) ?? 0) >= LEAST_TEXTS.test;
  const classes = all.filter(enough);
  const left_out = all.filter((label) => !enough(label));
  const least = `${LEAST_TEXTS.train} texts for training and ${LEAST_TEXTS.test} for testing`;
  if ((options.classes && left_out.length > 0) || classes.length < 2)
    throw new InputError({
      file: trainFile,
      where: `column ${columns.label}`,
      found: left_out.length > 0 ? `too few texts of ${left_out.slice(0, 12).join(", ")}` : `${classes.length} class`,
      expected: `two classes at least, each with ${least}`,
    });
  const chosen = (texts: readonly LabelledText[], cap: number, part: string): LabelledText[] =>
    classes.flatMap((label) => {
      const own = texts.filter((one) => one.label === label);
      return SeededRandom.derive(seeds[0]!, "texts of a class", part, label).shuffle(own).slice(0, cap);
    });
  const learnt = chosen(learning, perClass.train, "train");
  const tested = chosen(held, perClass.test, "test");
  const texts: TextSource[] = [
    ...learnt.map((one) => ({ file: trainFile, text: one })),
    ...tested.map((one) => ({ file: testFile ?? trainFile, text: one })),
  ];
  const left = bothLeftOut(train, test);
  return {
    texts,
    learnt: learnt.length,
    classes,
    left_out,
    left: { ...left, repeated: left.repeated + (test ? test.texts.length - held.length : 0) },
  };
}

/** TEST_SHARE of each class, drawn with the seed. */
function holdOut(texts: readonly LabelledText[], seed: number) {
  const held = new Set(
    [...Map.groupBy(texts, ({ label }) => label)].flatMap(([label, own]) =>
      SeededRandom.derive(seed, "held out", label)
        .shuffle([...own])
        .slice(0, Math.round(own.length * TEST_SHARE)),
    ),
  );
  return { learning: texts.filter((text) => !held.has(text)), held: texts.filter((text) => held.has(text)) };
}

export async function conceptsReport(runFolder: string, options: ConceptsJobOptions): Promise<ConceptsReport> {
  const { trainFile, testFile, columns, perClass, seeds, tpp_n = [], saebenchCompatible = false } = options;
  const states = textStates(options);
  const { texts, learnt, classes, left_out, left } = await readConceptTexts(options);
  const classOf = texts.map(({ text: one }) => classes.indexOf(one.label));
  let tokenless = 0;
  let tasks: ConceptTask[][] = [];
  const drawTask = (seed: number): ConceptTask[] => {
    const of = (from: number, to: number) => {
      const rows = Uint32Array.from({ length: to - from }, (_, at) => from + at).filter((row) => classOf[row]! >= 0);
      return classTasks(
        rows,
        Array.from(rows, (row) => classOf[row]!),
        classes.length,
        seed,
      );
    };
    const [ofTrain, ofTest] = [of(0, learnt), of(learnt, texts.length)];
    return ofTrain.map((one, at) => ({ train: one, test: ofTest[at]! }));
  };
  const full: FullWidth = (table, own, at) =>
    saebenchCompatible ? fullWidthSaeBench(table, table, own, seeds[at]!) : fullWidthDetection(table, table, own);
  const detections: Detection[] = [];
  let probes: readonly (readonly Probe[])[] | undefined;
  let tokens: Uint32Array = new Uint32Array();
  const experiment = await probeRun(
    runFolder,
    texts,
    options,
    async ({ name, ensemble, texts: pooled, W_dec }, engine) => {
      const { d } = pooled.activations;
      if (tasks.length === 0) {
        tokens = pooled.tokens;
        // What is no token but special ones has no mean, and counts as empty.
        for (const [t, own] of tokens.entries())
          if (own === 0) {
            classOf[t] = -1;
            tokenless++;
          }
        tasks = seeds.map(drawTask);
      }
      const padding = saebenchCompatible ? await saebenchPadding(tokens, trainFile, ensemble, d, engine) : undefined;
      if (detections.length === 0)
        detections.push(
          detection("raw activations", denseTable(pooled.activations), tasks, (feature) => `${feature}`, full),
        );
      const nameOf = (feature: number): string => featureName(ensemble, feature);
      // The activations are the same under every ensemble; the classes' probes are trained once.
      if (tpp_n.length > 0)
        probes ??= tasks.map((own, at) => classProbes(pooled.activations, own, seeds[at]!, saebenchCompatible));
      const perturbed = (probes ?? []).map((own, at) => {
        const parts = own.map((probe, one) => ({ probe, ...tasks[at]![one]! }));
        return tpp({
          train: pooled,
          test: pooled,
          W_dec,
          classes: parts,
          n_values: tpp_n,
          ...(padding && {
            select: topFeaturesSaeBench,
            padding: ({ rows }) =>
              encodedPadding(
                padding.length,
                Array.from(rows, (row) => tokens[row]!),
                padding.codesOfZero,
              ),
          }),
        });
      });
      const found = detection(name, codesTable(pooled.codes, rowNorms(W_dec, d)), tasks, nameOf, full);
      detections.push({
        ...found,
        tokens: tokensOf(runPaths(runFolder).index(name), found.features.at(-1)!.classes.flat()),
        tpp: (perturbed.length > 0 ? tpp_n : []).map((n, at) => ({
          n,
          total: spread(perturbed.map(({ points }) => points[at]!.total)),
        })),
      });
    },
  );
  const { settings } = experiment;
  return {
    format_version: 1,
    ...provenanceOf(
      runFolder,
      detections.slice(1).map(({ name }) => name),
      { ...options, states },
    ),
    run: basename(runFolder),
    model_name: settings.model_name,
    hook_name: settings.hook_name,
    context_size: settings.context_size,
    data: {
      train: resolve(trainFile),
      test: testFile === undefined ? null : resolve(testFile),
      columns,
      per_class: perClass,
      ...left,
      empty: left.empty + tokenless,
      texts: texts.length - tokenless,
      texts_at_context: textsAtTheContext(tokens, settings),
    },
    seeds,
    saebench_compatible: saebenchCompatible && CONCEPTS_AS_SAEBENCH,
    classes,
    left_out,
    texts: classes.map((_, at) => ({
      train: classOf.slice(0, learnt).filter((one) => one === at).length,
      test: classOf.slice(learnt).filter((one) => one === at).length,
      tested: tasks[0]![at]!.test.rows.length / 2,
    })),
    detections,
  };
}

/** One class against the rest each, as TPP perturbs them. */
function classProbes(x: Rows, tasks: readonly ConceptTask[], seed: number, saebenchCompatible: boolean): Probe[] {
  return tasks.map(({ train, test }, at) => {
    const name = `class ${at}`;
    const plan = saebenchCompatible
      ? testSelectedPlan({ x, ...train }, { x, ...test }, seed, name)
      : heldOutPlan({ x, ...train }, seed, name);
    return trainProbe(plan).probe;
  });
}

/** Detection with all features at once; `at`: which of the seeds. */
type FullWidth = (table: FeatureTable, tasks: readonly ConceptTask[], at: number) => ConceptScores;

function detection(
  name: string,
  table: FeatureTable,
  tasks: readonly ConceptTask[][],
  nameOf: (feature: number) => string,
  full: FullWidth,
): Detection {
  const bySeed = [...CONCEPT_K, null].map((k) => ({
    k,
    scores: tasks.map(
      (own, at): ConceptScores => (k === null ? full(table, own, at) : detectConcepts(table, table, own, k)),
    ),
  }));
  return {
    name,
    tpp: [],
    tokens: {},
    accuracy: bySeed.map(({ k, scores }) => ({
      k,
      mean: spread(scores.map(({ mean }) => mean)),
      classes: scores[0]!.classes.map((_, at) => spread(scores.map(({ classes }) => classes[at]!.accuracy))),
    })),
    features: bySeed.flatMap(({ k, scores }) =>
      k === null
        ? []
        : [
            {
              k,
              classes: scores[0]!.classes.map(({ features }) => Array.from(features, nameOf)),
              fires_more: scores[0]!.classes.map(({ differences }) => Array.from(differences, (one) => one > 0)),
            },
          ],
    ),
  };
}

/** The strongest tokens of features, by their names; none where there is no index that opens. */
function tokensOf(indexFile: string, names: readonly string[]): Detection["tokens"] {
  const index = openIndex(indexFile);
  if (!index) return {};
  try {
    const ids = [...new Set(names)].map((name) => {
      const [member, at] = name.split("/").map(Number) as [number, number];
      return index.info.members[member]!.first + at;
    });
    const rows = index.summaries(ids);
    return Object.fromEntries(
      rows.map(({ member, index: at, tokens }) => [
        `${member}/${at}`,
        tokens.slice(0, LISTED_TOKENS).map(({ text: token }) => token),
      ]),
    );
  } finally {
    index.close();
  }
}

function openIndex(file: string): FeatureIndex | null {
  if (!existsSync(file)) return null;
  try {
    return openFeatureIndex(file);
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

/** ‖W_dec,i‖: codes times these are those of an SAE whose decoder norms were folded. */
function rowNorms(W_dec: Float32Array, d: number): Float64Array {
  return Float64Array.from({ length: W_dec.length / d }, (_, i) =>
    Math.sqrt(W_dec.subarray(i * d, (i + 1) * d).reduce((sum, value) => sum + value * value, 0)),
  );
}

/** Of each class the features that differ most, with where they fire: what one looks at first. */
function featureLines({ name, features, tokens }: Detection, classes: readonly string[]): string[] {
  const { k, classes: chosen, fires_more } = features.at(-1)!;
  const words = (feature: string): string => {
    const own = (tokens[feature] ?? []).map((token) => `\`${token.trim().replaceAll("`", "'") || "␣"}\``);
    return own.length > 0 ? ` (${own.join(" ")})` : "";
  };
  return [
    `The ${k} features of ${name} that differ most, with the first seed; ▲ fires more in the class, ▼ less:`,
    "",
    ...classes.map((label, at) => {
      const listed = chosen[at]!.map((one, i) => `${fires_more[at]![i] ? "▲" : "▼"} ${one}${words(one)}`);
      return `- ${label}: ${listed.join(", ")}`;
    }),
    "",
  ];
}

function tppTable(detections: readonly Detection[]): string[] {
  const own = detections.filter(({ tpp: points }) => points.length > 0);
  if (own.length === 0) return [];
  return [
    "Targeted probe perturbation: what ablating a class's n features costs its own probe, less what it costs the others':",
    "",
    `| TPP | ${own[0]!.tpp.map(({ n }) => `n = ${n}`).join(" | ")} |`,
    `|---|${own[0]!.tpp.map(() => "---|").join("")}`,
    ...own.map(({ name, tpp: points }) => `| ${name} | ${points.map(({ total }) => text(total)).join(" | ")} |`),
    "",
  ];
}

function markdown(report: ConceptsReport): string {
  const { classes, detections, seeds, data, left_out, texts, saebench_compatible } = report;
  const title = (k: number | null): string => (k === null ? "all features" : `k = ${k}`);
  const columns = detections[0]!.accuracy.map(({ k }) => title(k));
  return [
    `# Concepts: ${report.run}`,
    "",
    `${report.model_name}, ${report.hook_name}, ${contextWords(report.context_size, data)}. Data: ${data["train"]}${data["test"] ? ` and ${data["test"]}` : `, ${100 * TEST_SHARE}% of each class held out to test on`}. Accuracy of one class against the rest, balanced (0.5 by chance), mean over ${classes.length} classes. ${seedWords(seeds, " of the texts to tell it from")} L2 logistic regression (C = 1) on mean codes, decoder norms folded.${leftOut(data) && ` Left out: ${leftOut(data)}.`}`,
    ...(saebench_compatible ? saebenchLines(saebench_compatible) : []),
    ...(left_out.length > 0 ? ["", `**Note:** left out for too few texts: ${left_out.join(", ")}.`] : []),
    "",
    `| | ${columns.join(" | ")} |`,
    `|---|${columns.map(() => "---|").join("")}`,
    ...detections.map(({ name, accuracy }) => `| ${name} | ${accuracy.map(({ mean }) => text(mean)).join(" | ")} |`),
    "",
    ...tppTable(detections),
    "Texts of a class: to train on + to test on; tested are as many of the class as of the others.",
    "",
    `| class (texts; tested) | ${detections.map(({ name }) => `${name}: best feature, accuracy at k = 1`).join(" | ")} |`,
    `|---|${detections.map(() => "---|").join("")}`,
    ...classes.map((label, at) => {
      const cells = detections.map(
        ({ features, accuracy }) => `${features[0]!.classes[at]![0]}, ${text(accuracy[0]!.classes[at]!)}`,
      );
      const { train, test, tested } = texts[at]!;
      return `| ${label} (${train} + ${test}; ${tested} + ${tested}) | ${cells.join(" | ")} |`;
    }),
    "",
    ...detections.slice(1).flatMap((one) => featureLines(one, classes)),
    ...provenanceLines(report),
  ].join("\n");
}

// The evaluation report as data: methods side by side, each over one or more seed sets. reportTable.ts and reportCsv.ts show it.
import type { EnsembleEvaluation } from "./evaluateEnsemble.ts";
import { type Metric, meanMetric, unavailable } from "./metric.ts";
import type { CountedTokens, ModelMetrics } from "./modelMetrics.ts";
import type { Stability } from "./stability.ts";

/** The paper's rows, and the baseline of one SAE of the members' size. */
export type ReportMethod = "single" | "expanded" | "bagging" | "boosting";

/** One trained ensemble of a method. */
export interface ReportRun {
  /** Seed of each member's initial weights. */
  readonly seeds: readonly number[];
  readonly evaluation: EnsembleEvaluation;
  readonly model?: ModelMetrics;
}

export interface ReportEntry {
  readonly method: ReportMethod;
  /** What people read; the method if left out. */
  readonly label?: string;
  /** One for each seed set, at least one. */
  readonly runs: readonly ReportRun[];
  readonly stability?: Stability;
}

export interface EvaluationReport {
  readonly command: string;
  /** Names and versions of what computed it, e.g. {"sae-ensembles": "0.1.0", node: "24.21.0"}. */
  readonly versions: Readonly<Record<string, string>>;
  /** What was evaluated on: model, hook, data set, its part. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly entries: readonly ReportEntry[];
}

export interface ReportColumn {
  /** As in JSON and CSV. */
  readonly key: string;
  /** As people read it. */
  readonly title: string;
  /** Which end is better; null where neither is as such. */
  readonly better: "higher" | "lower" | null;
  /** The paper's table has it (arXiv 2505.16077). */
  readonly paper: boolean;
  /** How it is computed, in a sentence. */
  readonly about: string;
}

export const REPORT_COLUMNS: readonly ReportColumn[] = [
  {
    key: "explained_variance",
    title: "explained variance",
    better: "higher",
    paper: true,
    about: "Mean over dimensions of 1 − Σ(x − x̂)² / Σ(x − x̄)²; a constant prediction at the mean has 0.",
  },
  {
    key: "mse",
    title: "MSE",
    better: "lower",
    paper: true,
    about: "Mean over tokens of ‖x − x̂‖², summed over dimensions.",
  },
  {
    key: "relative_sparsity",
    title: "relative sparsity",
    better: null,
    paper: true,
    about: "L0 over the number of features.",
  },
  {
    key: "connectivity",
    title: "connectivity",
    better: "higher",
    paper: true,
    about: "Share of pairs of features that never fire on the same token.",
  },
  {
    key: "diversity",
    title: "diversity",
    better: "higher",
    paper: true,
    about: "Number of features whose decoder direction has a cosine below 0.7 with every other.",
  },
  {
    key: "stability",
    title: "stability",
    better: "higher",
    paper: true,
    about: "Mean over features of the largest cosine with a feature trained from other seeds.",
  },
  {
    key: "stability_hungarian",
    title: "stability (Hungarian)",
    better: "higher",
    paper: false,
    about: "The same, each feature matched with one of its own.",
  },
  {
    key: "explained_variance_global",
    title: "explained variance (global)",
    better: "higher",
    paper: false,
    about: "1 − E‖x − x̂‖² / Σ Var(x), over all dimensions at once; SAELens' explained variance.",
  },
  {
    key: "l0",
    title: "L0",
    better: null,
    paper: false,
    about: "Mean number of active features of a token, over all members.",
  },
  { key: "l1", title: "L1", better: null, paper: false, about: "Mean sum of the codes of a token." },
  {
    key: "dead_share",
    title: "dead share",
    better: "lower",
    paper: false,
    about: "Share of features that never fired.",
  },
  { key: "cosine", title: "cosine", better: "higher", paper: false, about: "Mean cosine of x and x̂." },
  { key: "l2_ratio", title: "L2 ratio", better: null, paper: false, about: "Mean of ‖x̂‖ / ‖x‖." },
  {
    key: "relative_reconstruction_bias",
    title: "relative reconstruction bias",
    better: null,
    paper: false,
    about: "E‖x̂‖² / E⟨x, x̂⟩; below 1 the reconstruction is too short.",
  },
  {
    key: "ce_loss_score",
    title: "CE loss score",
    better: "higher",
    paper: false,
    about: "(CE with zero − CE with the SAE) / (CE with zero − CE of the model): 1 where nothing is lost.",
  },
  {
    key: "kl_div_score",
    title: "KL score",
    better: "higher",
    paper: false,
    about: "(KL with zero − KL with the SAE) / KL with zero: 1 where nothing is lost.",
  },
  {
    key: "ce_loss_without_sae",
    title: "CE of the model",
    better: null,
    paper: false,
    about: "Cross-entropy of the next token, in nats.",
  },
  {
    key: "ce_loss_with_sae",
    title: "CE with the SAE",
    better: "lower",
    paper: false,
    about: "The same with the reconstruction in place of the activation.",
  },
  {
    key: "ce_loss_with_ablation",
    title: "CE with zero",
    better: null,
    paper: false,
    about: "The same with zeros in place of the activation.",
  },
  {
    key: "kl_div_with_sae",
    title: "KL with the SAE",
    better: "lower",
    paper: false,
    about: "KL divergence, in nats, from the model's next token to the one with the reconstruction.",
  },
  {
    key: "kl_div_with_ablation",
    title: "KL with zero",
    better: null,
    paper: false,
    about: "The same with zeros in place of the activation.",
  },
];

/** A column's value for one run alone. */
export function runMetric(run: ReportRun, key: string): Metric {
  const { metrics } = run.evaluation;
  if (Object.hasOwn(metrics, key)) return metrics[key as keyof typeof metrics];
  if (!run.model) return unavailable("not evaluated through the model");
  const value = run.model[key as keyof ModelMetrics];
  return typeof value === "object" ? value : unavailable(`no metric ${key}`);
}

/** A column's value for a method: stability over its seed sets, anything else the mean over its runs. */
export function entryMetric(entry: ReportEntry, key: string): Metric {
  if (key === "stability" || key === "stability_hungarian") {
    return entry.stability?.[key] ?? unavailable("trained from one seed set; stability needs two or more");
  }
  return meanMetric(entry.runs.map((run) => runMetric(run, key)));
}

/** The entries that are best in a column among those that have a value (all that tie); none where neither end is better or fewer than two have one. */
export function bestEntries(entries: readonly ReportEntry[], column: ReportColumn): ReadonlySet<ReportEntry> {
  if (column.better === null) return new Set();
  const scored: { entry: ReportEntry; value: number }[] = [];
  for (const entry of entries) {
    const { value } = entryMetric(entry, column.key);
    if (value !== null) scored.push({ entry, value });
  }
  if (scored.length < 2) return new Set();
  const values = scored.map(({ value }) => value);
  const best = column.better === "higher" ? Math.max(...values) : Math.min(...values);
  return new Set(scored.filter(({ value }) => value === best).map(({ entry }) => entry));
}

const COUNTED: Readonly<Record<CountedTokens, string>> = {
  input_and_target: "tokens count whose own and next token are both real and not special",
  input: "tokens count that are real and not special, CE only where a real token follows",
};

/** What the numbers through the model were computed over, in a sentence; null where nothing went through it. */
export function modelMetricsNote(report: EvaluationReport): string | null {
  const counted = new Set(report.entries.flatMap(({ runs }) => runs.flatMap(({ model }) => model?.counted ?? [])));
  if (counted.size === 0) return null;
  const tokens = [...counted].map((which) => COUNTED[which]).join("; or ");
  return `CE and KL: ${tokens}. With the SAE, special tokens keep their own activation; with zero, every position is 0.`;
}

/** Edges of the density histogram: log10 of the frequency, the last bin up to "fires on every token". */
const DENSITY_EDGES = [-10, -6, -5.5, -5, -4.5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0];

/** The report as JSON values: every number with its token count and seeds, reasons in place of numbers that could not be had. */
export function reportJson(report: EvaluationReport): Record<string, unknown> {
  const note = modelMetricsNote(report);
  return {
    format_version: 1,
    command: report.command,
    versions: report.versions,
    data: report.data,
    ...(note !== null && { model_metrics_note: note }),
    methods: report.entries.map((entry) => ({
      method: entry.method,
      label: entry.label ?? entry.method,
      metrics: Object.fromEntries(REPORT_COLUMNS.map(({ key }) => [key, entryMetric(entry, key)])),
      stability_by_member: entry.stability?.byMember ?? [],
      stability_pairs: entry.stability?.pairs ?? [],
      runs: entry.runs.map(runJson),
    })),
  };
}

function runJson(run: ReportRun): Record<string, unknown> {
  const { evaluation, model } = run;
  return {
    seeds: run.seeds,
    members: evaluation.members,
    width: evaluation.width,
    d_in: evaluation.d_in,
    tokens: evaluation.tokens,
    metrics: evaluation.metrics,
    // JSON has no NaN: a constant dimension's value is null.
    explained_variance_per_dimension: Array.from(evaluation.explainedVariancePerDimension, (value) =>
      Number.isNaN(value) ? null : value,
    ),
    log10_density_histogram: { edges: DENSITY_EDGES, counts: densityCounts(evaluation.logDensity) },
    by_member: evaluation.byMember,
    ...(model ? { model } : {}),
  };
}

function densityCounts(logDensity: Float64Array): number[] {
  const counts = new Array<number>(DENSITY_EDGES.length - 1).fill(0);
  for (const value of logDensity) {
    let bin = counts.length - 1;
    while (bin > 0 && value < DENSITY_EDGES[bin]!) bin--;
    counts[bin]!++;
  }
  return counts;
}

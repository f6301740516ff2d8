// A feature index as JSON that Neuronpedia takes: batches of features as SAEDashboard writes them (NeuronpediaDashboardBatch), field for field.
import { join } from "node:path";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import type { FeatureDetail, FeatureIndex, Histogram, SequenceBand } from "../featureIndex.ts";

/** Features a file, as SAEDashboard's default. */
const BATCH = 128;
/** In place of numbers that a band of strongest sequences doesn't have. */
const NONE = -1;

export interface NeuronpediaOptions {
  /** Name of the set of SAEs there; e.g. the run's and the ensemble's. */
  readonly sae_set: string;
  /** Tokens of a window of the index. */
  readonly contextSize: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Writes batch-0.json, batch-1.json, … into a folder and returns how many. Features are numbered as in the ensemble, member·F + i. */
export async function writeNeuronpediaBatches(
  index: FeatureIndex,
  folder: string,
  options: NeuronpediaOptions,
): Promise<number> {
  const { info } = index;
  const layer = Number(/^blocks\.(\d+)\./.exec(info.hook)?.[1] ?? 0);
  const files = Math.ceil(info.features / BATCH);
  for (let file = 0; file < files; file++) {
    const features = [];
    for (let id = file * BATCH; id < Math.min(info.features, (file + 1) * BATCH); id++) {
      features.push(feature(index.detail(id), index, options));
    }
    const batch = { model_id: info.modelName ?? "", layer, sae_set: options.sae_set, sae_id_suffix: null, features };
    await writeFileAtomic(join(folder, `batch-${file}.json`), JSON.stringify(batch));
    options.onProgress?.(Math.min(info.features, (file + 1) * BATCH), info.features);
  }
  return files;
}

/** What the index doesn't measure (alignment with neurons, correlations, the histogram of all logits) is empty, as there by default. */
function feature(detail: FeatureDetail, { info }: FeatureIndex, { contextSize }: NeuronpediaOptions): object {
  const { bars, heights } = histogram(detail.histogram);
  const { top, bottom } = detail.logits;
  return {
    feature_index: detail.id,
    neuron_alignment_indices: [],
    neuron_alignment_values: [],
    neuron_alignment_l1: [],
    correlated_neurons_indices: [],
    correlated_neurons_l1: [],
    correlated_neurons_pearson: [],
    correlated_features_indices: [],
    correlated_features_l1: [],
    correlated_features_pearson: [],
    neg_str: bottom.map(({ text }) => text),
    neg_values: bottom.map(({ logit }) => rounded(logit)),
    pos_str: top.map(({ text }) => text),
    pos_values: top.map(({ logit }) => rounded(logit)),
    frac_nonzero: detail.density,
    freq_hist_data_bar_values: bars,
    freq_hist_data_bar_heights: heights,
    logits_hist_data_bar_heights: [],
    logits_hist_data_bar_values: [],
    n_prompts_total: info.windows,
    n_tokens_in_prompt: contextSize,
    dataset: String(info.source["dataset_path"] ?? ""),
    decoder_weights_dist: [],
    activations: detail.bands.flatMap(activations),
    vector: [],
  };
}

/** Middles of the bins and how many activations each holds. */
function histogram({ width, counts }: Histogram): { bars: number[]; heights: number[] } {
  return { bars: counts.map((_, bin) => rounded((bin + 0.5) * width)), heights: [...counts] };
}

function activations({ kind, range, quantiles, sequences }: SequenceBand): object[] {
  const isTop = kind === "top";
  return sequences.map(({ tokens, peak }) => ({
    bin_min: isTop ? NONE : rounded(range[0]),
    bin_max: rounded(range[1]),
    // The share of the feature's windows that the band stands for.
    bin_contains: isTop ? NONE : rounded(quantiles[1] - quantiles[0]),
    tokens: tokens.map(({ text }) => text),
    values: tokens.map(({ activation }) => rounded(activation)),
    qualifying_token_index: peak,
  }));
}

/** Three decimals, as SAEDashboard rounds. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

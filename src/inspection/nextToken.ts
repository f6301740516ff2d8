// The next token at a cursor: the model's distribution, what interventions make of it, and which features push a token (direct logit attribution, checked by ablation).
import { decoderRows } from "../features/decoderRows.ts";
import { restartAt } from "../model/hookedSequence.ts";
import { hookWidth } from "../model/hookPoints.ts";
import { type DistributionChange, distributionChange, probabilities } from "./distributions.ts";
import type { Inspection } from "./inspection.ts";
import { type Intervention, Interventions } from "./interventions.ts";
import type { ReadRow } from "./keptRows.ts";

export interface NextToken extends DistributionChange {
  /** Tokens before the cursor that the model saw, BOS counted. */
  readonly context: number;
}

/** The next token's distribution with and without interventions. Without any, "changed" is the original to the bit. */
export async function nextToken(
  inspection: Inspection,
  text: string,
  interventions: readonly Intervention[],
  count: number,
  signal?: AbortSignal,
): Promise<NextToken> {
  const row = await inspection.readPrompt(text, 0, signal);
  const changed = await changedLogits(inspection, row, interventions, signal);
  return { ...distributionChange(row.logits, changed, count), context: row.ids.length };
}

/** Logits after a row under interventions. Only what lies behind the first changed token is computed. */
export async function changedLogits(
  inspection: Inspection,
  row: ReadRow,
  interventions: readonly Intervention[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const n = row.ids.length;
  const { specialIds } = inspection.model.tokenizer;
  const { x, firstChanged } = new Interventions(inspection.ensemble, interventions, specialIds).apply(row, n - 1);
  if (firstChanged === n) return row.logits;
  return (await continued(row, x, firstChanged, signal)).logits;
}

/** Features that are to be ablated or scaled and fire on no token that this reaches, so that it changes nothing. */
export async function firingNowhere(
  inspection: Inspection,
  text: string,
  interventions: readonly Intervention[],
  signal?: AbortSignal,
): Promise<number[]> {
  const row = await inspection.readPrompt(text, 0, signal);
  const { specialIds } = inspection.model.tokenizer;
  const [everywhere, here] = [new Set<number>(), new Set<number>()];
  for (let t = 0; t < row.ids.length; t++) {
    if (specialIds.has(row.ids[t]!)) continue;
    for (let at = row.offsets[t]!; at < row.offsets[t + 1]!; at++) {
      everywhere.add(row.indices[at]!);
      if (t === row.ids.length - 1) here.add(row.indices[at]!);
    }
  }
  const by = (...kinds: Intervention["kind"][]) => interventions.filter(({ kind }) => kinds.includes(kind));
  // What is set or added makes it fire.
  for (const { features } of by("set", "add"))
    for (const id of features) for (const firing of [everywhere, here]) firing.add(id);
  const silent = by("ablate", "scale").flatMap(({ features, from }) =>
    features.filter((id) => !(from === "here" ? here : everywhere).has(id)),
  );
  return [...new Set(silent)];
}

/** The row's continuation with values x from `firstChanged` on. */
export async function continued(row: ReadRow, x: Float32Array, firstChanged: number, signal?: AbortSignal) {
  const d = x.length / row.ids.length;
  const from = restartAt(firstChanged, row.ids.length);
  const continuation = row.continuation.fork();
  continuation.truncate(from);
  const { logits } = await continuation.append(row.ids.slice(from), x.slice(from * d), { logits: true }, signal);
  return { continuation, logits };
}

export interface PushingFeature {
  readonly feature: number;
  /** Code at the last token before the cursor. */
  readonly value: number;
  /**
   * Direct logit attribution: code · W_dec,i by the direct path to the logits (LanguageModel.unembed), less its mean over the
   * vocabulary. The scale of norms is left out, so only proportions between features mean anything.
   */
  readonly direct: number;
  /** What ablating it at the last token takes from the token's logit (less the mean over the vocabulary): measured. */
  readonly measured: number;
  /** The token's probability without it. */
  readonly probability: number;
}

export interface Pushing {
  readonly probability: number;
  /** By what ablating them changes: what pushes the token up most comes first, what pushes it down most last. */
  readonly features: readonly PushingFeature[];
}

/** Directions through the unembedding at a time. */
const BLOCK = 64;
/** Features that are ablated for each one that is shown: later layers may undo what the direct path promises. */
const TRIED = 4;

/**
 * The features that push a token up or down most at the cursor: of those with the largest direct attribution, those whose
 * ablation changes most.
 */
export async function pushingFeatures(
  inspection: Inspection,
  text: string,
  token: number,
  count: number,
  signal?: AbortSignal,
): Promise<Pushing> {
  const row = await inspection.readPrompt(text, 0, signal);
  const last = row.ids.length - 1;
  const firing: { feature: number; value: number }[] = [];
  if (!inspection.model.tokenizer.specialIds.has(row.ids[last]!)) {
    for (let at = row.offsets[last]!; at < row.offsets[last + 1]!; at++)
      firing.push({ feature: row.indices[at]!, value: row.values[at]! });
  }
  const active: { feature: number; value: number; direct: number }[] = [];
  for (let first = 0; first < firing.length; first += BLOCK) {
    signal?.throwIfAborted();
    const block = firing.slice(first, first + BLOCK);
    const pushes = await directPushes(inspection, block, token);
    active.push(...block.map((one, i) => ({ ...one, direct: pushes[i]! })));
  }
  active.sort((a, b) => Math.abs(b.direct) - Math.abs(a.direct) || a.feature - b.feature);
  const own = centred(row.logits, token);
  const tried: PushingFeature[] = [];
  for (const feature of active.slice(0, TRIED * count)) {
    const ablate: Intervention = { features: [feature.feature], kind: "ablate", value: 0, from: "here" };
    const logits = await changedLogits(inspection, row, [ablate], signal);
    tried.push({
      ...feature,
      measured: own - centred(logits, token),
      probability: probabilities(logits)[token]!,
    });
  }
  const features = tried
    .sort((a, b) => Math.abs(b.measured) - Math.abs(a.measured))
    .slice(0, count)
    .sort((a, b) => b.measured - a.measured);
  return { probability: probabilities(row.logits)[token]!, features };
}

async function directPushes(
  { model, ensemble }: Inspection,
  active: readonly { feature: number; value: number }[],
  token: number,
): Promise<number[]> {
  const d = hookWidth(model.info, ensemble.hook);
  const directions = new Float32Array(active.length * d);
  for (const [i, { feature, value }] of active.entries()) {
    const row = decoderRows(ensemble, feature, feature + 1, "effective", directions.subarray(i * d, (i + 1) * d));
    for (let j = 0; j < d; j++) row[j]! *= value;
  }
  const logits = await model.unembed(directions, active.length, ensemble.hook);
  const V = model.info.dVocab;
  return active.map((_, i) => centred(logits.subarray(i * V, (i + 1) * V), token));
}

/** A token's logit less the mean over the vocabulary: what softmax can see of it. */
function centred(logits: Float32Array, token: number): number {
  return logits[token]! - logits.reduce((sum, logit) => sum + logit, 0) / logits.length;
}

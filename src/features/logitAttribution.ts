// Direct logit attribution of features: the tokens that a decoder row most promotes and most suppresses, by the model's own direct path from the hook (LanguageModel.unembed).
import type { LanguageModel } from "../model/languageModel.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { decoderRows } from "./decoderRows.ts";
import type { StoredLogit } from "./featureRecords.ts";

/** Logits computed at a time: 32 MiB. */
const blockLogits = 1 << 23;

export interface LogitOptions {
  /** Tokens kept at each end. */
  readonly count: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/** For every feature in turn: the largest and the least logits per unit of code, strongest first, ties by token id. */
export async function* logitAttributions(
  ensemble: Ensemble,
  model: Pick<LanguageModel, "unembed" | "info">,
  options: LogitOptions,
): AsyncGenerator<{ feature: number; top: StoredLogit[]; bottom: StoredLogit[] }> {
  const width = ensembleWidth(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  const block = Math.max(1, Math.floor(blockLogits / model.info.dVocab));
  for (let first = 0; first < width; first += block) {
    options.signal?.throwIfAborted();
    const rows = Math.min(block, width - first);
    const directions = decoderRows(ensemble, first, first + rows, "effective", new Float32Array(rows * d));
    const logits = await model.unembed(directions, rows, ensemble.hook);
    const V = logits.length / rows;
    for (let row = 0; row < rows; row++) {
      const values = logits.subarray(row * V, (row + 1) * V);
      yield {
        feature: first + row,
        top: extreme(values, options.count, 1),
        bottom: extreme(values, options.count, -1),
      };
    }
    options.onProgress?.(first + rows);
  }
}

/** The `count` largest of sign · values, by insertion: nearly every value is turned away by the first comparison. */
function extreme(values: Float32Array, count: number, sign: 1 | -1): StoredLogit[] {
  const ids: number[] = [];
  let floor = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < values.length; id++) {
    const value = sign * values[id]!;
    if (!(value > floor)) continue;
    let at = ids.length < count ? ids.length : count - 1;
    for (; at > 0 && sign * values[ids[at - 1]!]! < value; at--) ids[at] = ids[at - 1]!;
    ids[at] = id;
    if (ids.length === count) floor = sign * values[ids[count - 1]!]!;
  }
  return ids.map((id) => ({ id, logit: values[id]! }));
}

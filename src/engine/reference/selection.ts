// Which pre-activations topk and batchtopk keep while training: largest first, ties to the lowest index, relu afterwards.
import type { SaeConfig } from "../../sae/sae.ts";
import { largest } from "../../sae/select.ts";
import { relu } from "./linear.ts";

/** Codes [rows, F]: per row the k largest of `scaled` (topk), or the k·rows largest of the batch (batchtopk); the rest 0. */
export function keepLargest(scaled: Float64Array, rows: number, sae: SaeConfig): Float64Array {
  const F = sae.d_sae;
  const codes = new Float64Array(scaled.length);
  if (sae.architecture === "batchtopk") {
    const positive = relu(scaled);
    for (const at of largest(positive, Math.floor(sae.k! * rows))) codes[at] = positive[at]!;
    return codes;
  }
  for (let t = 0; t < rows; t++) {
    for (const i of largest(scaled.subarray(t * F, (t + 1) * F), sae.k!)) {
      if (scaled[t * F + i]! > 0) codes[t * F + i] = scaled[t * F + i]!;
    }
  }
  return codes;
}

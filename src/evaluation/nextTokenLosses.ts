// Cross-entropy and KL divergence of next-token distributions from logits; log-softmax in float64.

/** log Σ exp of `count` logits from `at`. */
export function logSumExp(logits: Float32Array, at: number, count: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = at; i < at + count; i++) if (logits[i]! > largest) largest = logits[i]!;
  let sum = 0;
  for (let i = at; i < at + count; i++) sum += Math.exp(logits[i]! - largest);
  return largest + Math.log(sum);
}

/** −log softmax(logits)[target], natural logarithm. */
export function crossEntropy(logits: Float32Array, at: number, logNormaliser: number, target: number): number {
  return logNormaliser - logits[at + target]!;
}

/** KL(p ‖ q) of two rows of `count` logits, with their logSumExp. Rounding can't make it negative by more than 1e-15 a logit. */
export function divergence(
  p: { logits: Float32Array; at: number; logNormaliser: number },
  q: { logits: Float32Array; at: number; logNormaliser: number },
  count: number,
): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const logP = p.logits[p.at + i]! - p.logNormaliser;
    sum += Math.exp(logP) * (logP - (q.logits[q.at + i]! - q.logNormaliser));
  }
  return sum;
}

// Which pre-activations a topk or batchtopk SAE keeps: the largest, ties to the lowest index. The definition, not a fast way.

/**
 * Indices of the k largest of `values`, ascending; all of them if there are fewer. Among equal values the lowest index wins
 * (torch promises nothing there), and −0 equals 0.
 */
export function largest(values: ArrayLike<number>, k: number): number[] {
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => values[b]! - values[a]! || a - b);
  return order.slice(0, k).sort((a, b) => a - b);
}

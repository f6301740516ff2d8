// The geometric median of a batch of activations: where dictionary_learning lets b_dec start.

/** Weiszfeld's iteration as dictionary_learning runs it: at most 100 rounds, until the movement is below 1e-5 of the norm's scale. */
export function geometricMedian(x: Float32Array, rows: number, d: number): Float32Array {
  const median = new Float64Array(d);
  for (let at = 0; at < rows * d; at++) median[at % d]! += x[at]! / rows;
  for (let round = 0; round < 100; round++) {
    const next = new Float64Array(d);
    let total = 0;
    for (let t = 0; t < rows; t++) {
      let squares = 0;
      for (let j = 0; j < d; j++) squares += (x[t * d + j]! - median[j]!) ** 2;
      const weight = 1 / Math.max(Math.sqrt(squares), 1e-12);
      total += weight;
      for (let j = 0; j < d; j++) next[j]! += weight * x[t * d + j]!;
    }
    let moved = 0;
    for (let j = 0; j < d; j++) {
      next[j]! /= total;
      moved += (next[j]! - median[j]!) ** 2;
      median[j] = next[j]!;
    }
    if (Math.sqrt(moved) < 1e-5) break;
  }
  return new Float32Array(median);
}

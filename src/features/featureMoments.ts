// Per feature: how often it fired, sum, maximum and an exact histogram, accumulated in one pass without knowing the range in advance.

/** Bins of the accumulator. The scale doubles as needed, so between 33 and 64 of them are in use once the maximum is known. */
export const histogramBins = 64;

/**
 * Histogram by rescaling: bins of equal, power-of-two width over [0, 64·width); a value beyond doubles the width and adds
 * neighbouring bins in pairs. Nested dyadic bins make the counts exact and independent of the order of the values.
 */
export class FeatureMoments {
  readonly counts: Uint32Array;
  readonly sums: Float64Array;
  readonly maxima: Float32Array;
  readonly #bins: Uint32Array;
  /** Width of a bin is 2^exponent. */
  readonly #exponents: Int16Array;

  constructor(features: number) {
    this.counts = new Uint32Array(features);
    this.sums = new Float64Array(features);
    this.maxima = new Float32Array(features);
    this.#bins = new Uint32Array(features * histogramBins);
    this.#exponents = new Int16Array(features);
  }

  /** Adds values[from..to), all positive, to a feature. Throws RangeError where one is not finite. */
  add(feature: number, values: Float32Array, from: number, to: number): void {
    if (to <= from) return;
    let sum = this.sums[feature]!;
    let maximum = this.maxima[feature]!;
    let largest = 0;
    for (let p = from; p < to; p++) {
      const value = values[p]!;
      sum += value;
      if (value > largest) largest = value;
    }
    if (!Number.isFinite(sum)) throw new RangeError(`an activation of feature ${feature} is no finite number`);
    const bins = this.#bins;
    const base = feature * histogramBins;
    if (this.counts[feature] === 0) this.#exponents[feature] = widthExponent(largest);
    else if (largest > maximum) this.#widen(feature, widthExponent(largest));
    if (largest > maximum) maximum = largest;
    const scale = 2 ** -this.#exponents[feature]!;
    for (let p = from; p < to; p++) bins[base + Math.floor(values[p]! * scale)]!++;
    this.counts[feature]! += to - from;
    this.sums[feature] = sum;
    this.maxima[feature] = maximum;
  }

  /** Width of the bins, and the counts up to the bin that holds the maximum. */
  histogram(feature: number): { exponent: number; counts: Uint32Array } {
    const exponent = this.#exponents[feature]!;
    if (this.counts[feature] === 0) return { exponent: 0, counts: new Uint32Array(0) };
    const last = Math.floor(this.maxima[feature]! * 2 ** -exponent);
    const base = feature * histogramBins;
    return { exponent, counts: this.#bins.slice(base, base + last + 1) };
  }

  #widen(feature: number, exponent: number): void {
    const bins = this.#bins.subarray(feature * histogramBins, (feature + 1) * histogramBins);
    for (; this.#exponents[feature]! < exponent; this.#exponents[feature]!++) {
      for (let bin = 0; bin < histogramBins / 2; bin++) bins[bin] = bins[2 * bin]! + bins[2 * bin + 1]!;
      bins.fill(0, histogramBins / 2);
    }
  }
}

/** Least e with value < 64·2^e. */
function widthExponent(value: number): number {
  let exponent = Math.floor(Math.log2(value)) - 5;
  while (value >= histogramBins * 2 ** exponent) exponent++;
  while (value < (histogramBins / 2) * 2 ** exponent) exponent--;
  return exponent;
}

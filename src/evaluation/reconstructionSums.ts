// Streaming sums behind the reconstruction metrics: moments of the input, and the errors of one reconstruction. Row by row in float64, so the size of batches changes no bit.
import { type Metric, metric, unavailable } from "./metric.ts";

/**
 * Mean and spread of every input dimension by Welford's update, so that dimensions far from zero lose no digits
 * (a residual stream's mean can be thousands of its standard deviations away).
 */
export class InputMoments {
  readonly d: number;
  rows = 0;
  /** [d] */
  readonly mean: Float64Array;
  /** [d] Σ_t (x_td − x̄_d)² */
  readonly squares: Float64Array;

  constructor(d: number) {
    this.d = d;
    this.mean = new Float64Array(d);
    this.squares = new Float64Array(d);
  }

  /** x [rows, d] */
  add(x: Float32Array, rows: number): void {
    const { d, mean, squares } = this;
    for (let r = 0, at = 0; r < rows; r++) {
      const share = 1 / ++this.rows;
      for (let j = 0; j < d; j++, at++) {
        const value = x[at]!;
        const before = value - mean[j]!;
        const centre = mean[j]! + before * share;
        mean[j] = centre;
        squares[j]! += before * (value - centre);
      }
    }
  }
}

export interface ReconstructionMetrics {
  /** Mean over tokens of ‖x − x̂‖². */
  readonly mse: Metric;
  /** The paper's: mean over dimensions of 1 − Σ_t (x − x̂)² / Σ_t (x − x̄)². */
  readonly explained_variance: Metric;
  /** 1 − E‖x − x̂‖² / Σ_d Var(x_d): SAELens' `explained_variance`. */
  readonly explained_variance_global: Metric;
  /** Mean over tokens of the cosine of x and x̂; 0 where either is zero. */
  readonly cosine: Metric;
  /** Mean over tokens of ‖x̂‖ / ‖x‖. */
  readonly l2_ratio: Metric;
  /** E‖x̂‖² / E⟨x, x̂⟩ */
  readonly relative_reconstruction_bias: Metric;
}

/** Errors of one reconstruction of the same rows that an InputMoments has seen. */
export class ReconstructionSums {
  readonly d: number;
  rows = 0;
  /** [d] Σ_t (x − x̂)² */
  readonly errors: Float64Array;
  private cosines = 0;
  private ratios = 0;
  private squaredNorms = 0;
  private products = 0;

  constructor(d: number) {
    this.d = d;
    this.errors = new Float64Array(d);
  }

  /** x and its reconstruction, both [rows, d]. */
  add(x: Float32Array, reconstruction: Float32Array | Float64Array, rows: number): void {
    const { d, errors } = this;
    for (let r = 0, at = 0; r < rows; r++) {
      let xx = 0;
      let yy = 0;
      let xy = 0;
      for (let j = 0; j < d; j++, at++) {
        const value = x[at]!;
        const rebuilt = reconstruction[at]!;
        const error = value - rebuilt;
        errors[j]! += error * error;
        xx += value * value;
        yy += rebuilt * rebuilt;
        xy += value * rebuilt;
      }
      if (xx > 0 && yy > 0) this.cosines += xy / Math.sqrt(xx * yy);
      // SAELens divides by 1 where the input's norm is below 1e-4.
      const norm = Math.sqrt(xx);
      this.ratios += Math.sqrt(yy) / (norm < 1e-4 ? 1 : norm);
      this.squaredNorms += yy;
      this.products += xy;
    }
    this.rows += rows;
  }

  metrics(input: InputMoments): ReconstructionMetrics {
    if (this.rows !== input.rows) throw new RangeError(`errors of ${this.rows} rows, moments of ${input.rows}`);
    const { rows } = this;
    let squaredError = 0;
    let spread = 0;
    for (let j = 0; j < this.d; j++) {
      squaredError += this.errors[j]!;
      spread += input.squares[j]!;
    }
    const notFinite = "the reconstruction or the input is not finite at some token";
    const constant = `all ${rows} inputs are equal: there is no variance to explain`;
    return {
      mse: metric(squaredError / rows, notFinite),
      explained_variance: this.meanOverDimensions(input, notFinite),
      explained_variance_global: spread > 0 ? metric(1 - squaredError / spread, notFinite) : unavailable(constant),
      cosine: metric(this.cosines / rows, notFinite),
      l2_ratio: metric(this.ratios / rows, notFinite),
      relative_reconstruction_bias: metric(
        this.squaredNorms / this.products,
        "the mean product of input and reconstruction is zero or not finite",
      ),
    };
  }

  /** [d] 1 − Σ_t (x − x̂)² / Σ_t (x − x̄)²; NaN for a dimension that is constant. */
  explainedVariancePerDimension(input: InputMoments): Float64Array {
    return this.errors.map((error, j) => (input.squares[j]! > 0 ? 1 - error / input.squares[j]! : Number.NaN));
  }

  private meanOverDimensions(input: InputMoments, notFinite: string): Metric {
    const constant = input.squares.reduce((count, squares) => count + (squares > 0 ? 0 : 1), 0);
    if (constant > 0) {
      return unavailable(
        `${constant} of ${this.d} dimensions are constant over the ${this.rows} tokens: their share of variance is 0/0`,
      );
    }
    const sum = this.explainedVariancePerDimension(input).reduce((total, value) => total + value, 0);
    return metric(sum / this.d, notFinite);
  }
}

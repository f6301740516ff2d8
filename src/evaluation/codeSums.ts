// Streaming sums over sparse codes: how many features fire, how strongly, and each feature's density.
import type { SparseCodes } from "../engine/engine.ts";

/** Added to a frequency before its logarithm, so that a feature that never fires has density −10 (SAELens). */
const DENSITY_FLOOR = 1e-10;

export class CodeSums {
  readonly width: number;
  rows = 0;
  /** [width] tokens on which each feature fired. */
  readonly fired: Float64Array;
  private total = 0;

  constructor(width: number) {
    this.width = width;
    this.fired = new Float64Array(width);
  }

  add(codes: SparseCodes): void {
    const { indices, values, offsets, rows } = codes;
    const end = offsets[rows]!;
    for (let p = offsets[0]!; p < end; p++) {
      const value = values[p]!;
      // A topk SAE with fewer than k positive pre-activations may carry zeros; those did not fire.
      if (value > 0) {
        this.fired[indices[p]!]!++;
        this.total += value;
      }
    }
    this.rows += rows;
  }

  /** Mean number of active features a token. */
  l0(): number {
    return this.fired.reduce((sum, count) => sum + count, 0) / this.rows;
  }

  /** Mean over tokens of Σ_i f_i. */
  l1(): number {
    return this.total / this.rows;
  }

  /** Features that never fired. */
  dead(): number {
    return this.fired.reduce((count, fired) => count + (fired === 0 ? 1 : 0), 0);
  }

  /** [width] log10(frequency + 1e-10) */
  logDensity(): Float64Array {
    return this.fired.map((count) => Math.log10(count / this.rows + DENSITY_FLOOR));
  }
}

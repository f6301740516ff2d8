// Which pairs of features ever fire on the same token: an exact bit for every pair, behind the connectivity of the definitions.
import type { SparseCodes } from "../engine/engine.ts";
import { type Metric, unavailable } from "./metric.ts";

/**
 * The upper triangle of CᵀC as booleans: row i has a bit for every j ≥ i, so W features take about W²/16 bytes
 * (65,536 features: 256 MiB). A token with L active features costs L²/2 bit writes; codes are regrouped by feature first,
 * so that all writes of a batch to one row happen while it is in cache.
 */
export class FiringPairs {
  readonly width: number;
  private readonly bits: Uint32Array;
  /** Word at which feature i's row begins, less i's own first word: word of (i, j) = base[i] + (j >>> 5). */
  private readonly base: Float64Array;

  constructor(width: number) {
    this.width = width;
    this.base = new Float64Array(width);
    let at = 0;
    for (let i = 0; i < width; i++) {
      this.base[i] = at - (i >>> 5);
      at += Math.ceil(width / 32) - (i >>> 5);
    }
    this.bits = new Uint32Array(at);
  }

  /** Bytes that `width` features need. */
  static bytes(width: number): number {
    const words = Math.ceil(width / 32);
    // Row i has words − ⌊i/32⌋ words.
    const rest = width - (words - 1) * 32;
    return 4 * (32 * ((words * (words + 1)) / 2 - 1) + rest);
  }

  add(codes: SparseCodes): void {
    const { rows, offsets, indices, values } = codes;
    const { bits, base, width } = this;
    // A counting sort of the batch's active (token, feature) pairs by feature; what is kept is where the pair stands.
    const starts = new Uint32Array(width + 1);
    for (let p = offsets[0]!; p < offsets[rows]!; p++) if (values[p]! > 0) starts[indices[p]! + 1]!++;
    for (let i = 0; i < width; i++) starts[i + 1]! += starts[i]!;
    const position = new Uint32Array(starts[width]!);
    const rowEnd = new Uint32Array(starts[width]!);
    const next = starts.slice(0, width);
    for (let r = 0; r < rows; r++) {
      const end = offsets[r + 1]!;
      for (let p = offsets[r]!; p < end; p++) {
        if (values[p]! > 0) {
          const slot = next[indices[p]!]!++;
          position[slot] = p;
          rowEnd[slot] = end;
        }
      }
    }
    for (let i = 0; i < width; i++) {
      const row = base[i]!;
      for (let slot = starts[i]!; slot < starts[i + 1]!; slot++) {
        const end = rowEnd[slot]!;
        // Indices ascend within a token's row, so from here on every j ≥ i.
        for (let p = position[slot]!; p < end; p++) {
          if (values[p]! > 0) {
            const j = indices[p]!;
            bits[row + (j >>> 5)]! |= 1 << (j & 31);
          }
        }
      }
    }
  }

  /** ‖CᵀC‖₀: ordered pairs (i, j), the diagonal included, that fired together at least once. */
  nonzeroPairs(): number {
    let set = 0;
    for (const word of this.bits) set += populationCount(word);
    let diagonal = 0;
    for (let i = 0; i < this.width; i++) {
      diagonal += (this.bits[this.base[i]! + (i >>> 5)]! >>> (i & 31)) & 1;
    }
    return 2 * set - diagonal;
  }

  /** 1 − ‖CᵀC‖₀ / W²: the share of feature pairs that never fire together (arXiv 2505.16077). */
  connectivity(): Metric {
    return { value: 1 - this.nonzeroPairs() / (this.width * this.width) };
  }
}

/** A counter if it fits into `memory` bytes, else the reason for which connectivity is left out. */
export function firingPairsWithin(width: number, memory: number): FiringPairs | { reason: string } {
  const bytes = FiringPairs.bytes(width);
  if (bytes <= memory) return new FiringPairs(width);
  const mebibytes = (n: number) => `${Math.ceil(n / 2 ** 20).toLocaleString("en")} MiB`;
  return unavailable(
    `an exact count over ${width.toLocaleString("en")} features needs ${mebibytes(bytes)}, ` +
      `more than the ${mebibytes(memory)} allowed (connectivity_memory)`,
  );
}

function populationCount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

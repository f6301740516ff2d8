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
  /** First word of each row, and the number of words at the end; row i's first word holds the bits of the 32 features around i. */
  private readonly starts: Float64Array;

  constructor(width: number) {
    this.width = width;
    this.starts = new Float64Array(width + 1);
    for (let i = 0; i < width; i++) this.starts[i + 1] = this.starts[i]! + Math.ceil(width / 32) - (i >>> 5);
    this.bits = new Uint32Array(this.starts[width]!);
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
    const { width } = this;
    // What fired, without stored zeros, and a counting sort of it by feature: for each firing where it stands in its token's list.
    const active = new Uint32Array(offsets[rows]! - offsets[0]!);
    const first = new Uint32Array(width + 1);
    const tokenEnds = new Uint32Array(rows);
    let count = 0;
    for (let r = 0; r < rows; r++) {
      for (let p = offsets[r]!; p < offsets[r + 1]!; p++) {
        if (values[p]! > 0) {
          active[count++] = indices[p]!;
          first[indices[p]! + 1]!++;
        }
      }
      tokenEnds[r] = count;
    }
    for (let i = 0; i < width; i++) first[i + 1]! += first[i]!;
    const next = first.slice(0, width);
    const from = new Uint32Array(count);
    const to = new Uint32Array(count);
    for (let r = 0, p = 0; r < rows; r++) {
      for (const end = tokenEnds[r]!; p < end; p++) {
        const slot = next[active[p]!]!++;
        from[slot] = p;
        to[slot] = end;
      }
    }
    for (let i = 0; i < width; i++) {
      if (first[i] === first[i + 1]) continue;
      const row = this.bits.subarray(this.starts[i]!, this.starts[i + 1]!);
      const word = i >>> 5;
      for (let slot = first[i]!; slot < first[i + 1]!; slot++) {
        // Indices ascend within a token, so from here on every j ≥ i.
        for (let p = from[slot]!, end = to[slot]!; p < end; p++) {
          const j = active[p]!;
          row[(j >>> 5) - word]! |= 1 << (j & 31);
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
      diagonal += (this.bits[this.starts[i]!]! >>> (i & 31)) & 1;
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
      `more than the ${mebibytes(memory)} allowed`,
  );
}

function populationCount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

// Times the encoder's matrix product with one register tile, and checks that it comes out as another tile's.
import type { Gpu } from "./gpu.ts";
import { type Constants, constantsFor, type GemmTile, layoutConstants, vec4s, WIDTH } from "./kernels.ts";
import { NUMBERS_BYTES, packNumbers } from "./numbers.ts";

export interface ProductShape {
  readonly rows: number;
  readonly d: number;
  readonly F: number;
}

const ROUNDS = 3;

/** Milliseconds of the product at its quickest, or null where there is no memory for it or the result is not that of plain sums. */
export async function measureTile(gpu: Gpu, { rows, d, F }: ProductShape, tile: GemmTile): Promise<number | null> {
  const V = vec4s(d);
  const buffers = await gpu.allocate({
    activations: 2 * rows * V * 16,
    parameters: F * V * 16,
    vectors: F * 16,
    pre: rows * F * 4,
  });
  if (!buffers) return null;
  const numbers = gpu.uniform(NUMBERS_BYTES);
  try {
    const { activations, parameters, vectors, pre } = buffers as Record<string, GPUBuffer>;
    const x = pattern(rows * V * 4, 104_729, 2011);
    const w = pattern(F * V * 4, 7919, 1009);
    gpu.write(numbers, packNumbers({ rows, count: rows, F, V, d }));
    gpu.write(activations!, x, rows * V * 16);
    gpu.write(parameters!, w);
    const constants: Constants = {
      ...constantsFor(plainSae(d, F), {}),
      ...layoutConstants({ width: WIDTH, tile }, d),
    };
    const groups = [Math.ceil(F / (tile.side * tile.latents)), Math.ceil(rows / (tile.side * tile.rows))] as const;
    const run = gpu.bind("gemm", constants, [numbers, activations!, parameters!, vectors!, pre!], groups);
    let best = Number.POSITIVE_INFINITY;
    let result = new Float32Array(0);
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      gpu.submit([run]);
      // A read waits for all that was submitted.
      result = new Float32Array(await gpu.readBuffer(pre!, 0, 16));
      best = Math.min(best, performance.now() - start);
    }
    for (const [i, value] of result.entries()) {
      let sum = 0;
      for (let j = 0; j < V * 4; j++) sum += x[j]! * w[i * V * 4 + j]!;
      if (!(Math.abs(value - sum) <= 1e-4 * Math.sqrt(d))) return null;
    }
    return best;
  } finally {
    for (const buffer of Object.values(buffers)) buffer.destroy();
    numbers.destroy();
  }
}

function pattern(length: number, step: number, period: number): Float32Array {
  return Float32Array.from({ length }, (_, at) => ((at * step) % period) / period - 0.5);
}

function plainSae(d_in: number, d_sae: number) {
  return {
    architecture: "standard",
    d_in,
    d_sae,
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
  } as const;
}

// Times the encoder's matrix product as one of products.ts computes it, and checks what comes out.
import type { StepShape } from "../stepRate.ts";
import type { Gpu } from "./gpu.ts";
import { constantsFor, GROUP, vec4s } from "./kernels.ts";
import { withProduct } from "./layouts.ts";
import { groupsIn, LATENT_BYTES } from "./memoryPlan.ts";
import { NUMBERS_BYTES, packNumbers } from "./numbers.ts";
import { groupsOf, isExact, kernelOf, type Product } from "./products.ts";

const ROUNDS = 3;
/** Products in one submission, so that the way there and back counts little: as many as take this long, for Windows resets a device that works for two seconds without a break. */
const REPEATS = 5;
const MOST_MS = 200;
/** A first product of so many rows shows what a larger one may take. */
const FEW_ROWS = 64;
/** Values of the product that are checked. */
const CHECKED = 256;

/** Milliseconds of the product at its quickest, or null where there is no memory for it, it would take too long in one piece, or the result is not that of plain sums. */
export async function measureProduct(gpu: Gpu, shape: StepShape, product: Product): Promise<number | null> {
  if (gpu.description.software || shape.rows <= FEW_ROWS) return measure(gpu, shape, product, REPEATS);
  const few = await measure(gpu, { ...shape, rows: FEW_ROWS }, product, 1);
  if (few === null) return null;
  const expected = (few * shape.rows) / FEW_ROWS;
  // Few rows leave much of a GPU idle, so a large product takes less than it looks; ten times too long is too long.
  if (expected > 10 * MOST_MS) return null;
  return measure(gpu, shape, product, Math.max(1, Math.min(REPEATS, Math.floor(MOST_MS / expected))));
}

async function measure(gpu: Gpu, { rows, d, F }: StepShape, product: Product, most: number): Promise<number | null> {
  const V = vec4s(d);
  const constants = withProduct(constantsFor(plainSae(d, F), {}), product);
  if (!(await gpu.takes(kernelOf(product), constants))) return null;
  const buffers = await gpu.allocate({
    activations: 2 * rows * V * 16,
    parameters: F * V * 16,
    vectors: F * 16,
    latents: F * LATENT_BYTES,
    pre: rows * F * 4,
    reach: rows * groupsIn(F) * 4,
  });
  if (!buffers) return null;
  const numbers = gpu.uniform(NUMBERS_BYTES);
  try {
    const { activations, parameters, vectors, latents, pre, reach } = buffers as Record<string, GPUBuffer>;
    const x = rowsOf(rows, d, 104_729, 2011);
    const w = rowsOf(F, d, 7919, 1009);
    gpu.write(numbers, packNumbers({ rows, count: rows, F, V, d, groups: groupsIn(F) }));
    gpu.write(activations!, x, rows * V * 16);
    gpu.write(parameters!, w);
    const bound = [numbers, activations!, parameters!, vectors!, latents!, pre!, reach!];
    const run = gpu.bind(kernelOf(product), constants, bound, groupsOf(product, F, rows));
    const repeats = gpu.description.software ? 1 : most;
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      gpu.submit(Array.from({ length: repeats }, () => run));
      // A read waits for all that was submitted.
      await gpu.readBuffer(pre!, 0, 16);
      best = Math.min(best, (performance.now() - start) / repeats);
    }
    const result = new Float32Array(await gpu.readBuffer(pre!, 0, rows * F * 4));
    const reached = new Uint32Array(await gpu.readBuffer(reach!, 0, rows * groupsIn(F) * 4));
    const operand = isExact(product) ? (value: number) => value : Math.f16round;
    for (let n = 0; n < CHECKED; n++) {
      const at = n === 0 ? rows * F - 1 : (n * 1_000_003) % (rows * F);
      const [t, i] = [Math.floor(at / F), at % F];
      let sum = 0;
      for (let j = 0; j < d; j++) sum += operand(x[t * V * 4 + j]!) * operand(w[i * V * 4 + j]!);
      if (!(Math.abs(result[at]! - sum) <= 1e-5 * Math.sqrt(d))) return null;
      const first = i - (i % GROUP);
      const group = result.subarray(t * F + first, t * F + Math.min(F, first + GROUP));
      if (reached[t * groupsIn(F) + first / GROUP] !== Number(group.some((value) => value > 0))) return null;
    }
    return best;
  } finally {
    for (const buffer of Object.values(buffers)) buffer.destroy();
    numbers.destroy();
  }
}

/** Values without structure that few digits don't hold; rows padded by zeros. */
function rowsOf(count: number, d: number, step: number, period: number): Float32Array {
  const width = vec4s(d) * 4;
  const rows = new Float32Array(count * width);
  for (let r = 0; r < count; r++) {
    for (let at = r * width; at < r * width + d; at++) rows[at] = ((at * step) % period) / period - 0.5;
  }
  return rows;
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

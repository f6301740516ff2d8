// The ways in which an adapter can compute the encoder's matrix product: register tiles of several shapes, and the GPU's matrix units where Dawn shows them. All give float32's digits but those that autocast asks for.
import { type Constants, GROUP, type KernelName } from "./kernels.ts";
import type { AdapterDescription } from "./protocol.ts";

/** gemm.wgsl: side² threads, rows and latents a thread, vec4s of depth. */
export interface TileProduct {
  readonly kind: "tile";
  readonly side: number;
  readonly rows: number;
  readonly latents: number;
  readonly depth: number;
  /** Operands are rounded to float16 on their way into workgroup memory; sums stay float32. */
  readonly half: boolean;
}

/** matrixGemm.wgsl: 2 × 2 subgroups of `lanes` threads, each a block of fragments of M × N, K deep. */
export interface MatrixProduct {
  readonly kind: "matrix";
  readonly operand: "f16" | "f32";
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly lanes: number;
  readonly down: number;
  readonly across: number;
  /** Operands of float16 in two parts, which together have float32's digits. */
  readonly split: boolean;
}

export type Product = TileProduct | MatrixProduct;

/** Subgroups of a matrix product's workgroup in each direction, and its vec4s of depth. */
const SUBGROUPS = 2;
const VECS_DEEP = 4;

/** Fits the 16 KiB of workgroup memory and the 256 threads that every device has. */
export const PLAIN: TileProduct = { kind: "tile", side: 16, rows: 4, latents: 4, depth: 4, half: false };
/** Software runs threads one after the other, and few of them quicker. */
export const SOFTWARE_PLAIN: TileProduct = { ...PLAIN, side: 4 };

const TILES: readonly TileProduct[] = [
  PLAIN,
  { ...PLAIN, rows: 8, latents: 4 },
  { ...PLAIN, rows: 4, latents: 8 },
  { ...PLAIN, rows: 2, latents: 4, depth: 8 },
];

/** What an adapter has to choose from, the plain one first. `autocast`: operands may be rounded to float16. */
export function productsFor(adapter: AdapterDescription, autocast: boolean): readonly Product[] {
  const tiles: Product[] = adapter.software ? [SOFTWARE_PLAIN, PLAIN] : [...TILES];
  if (autocast && adapter.features.includes("shader-f16"))
    tiles.push(...tiles.map((tile) => ({ ...(tile as TileProduct), half: true })));
  return [...tiles, ...matrixProducts(adapter, autocast)];
}

function matrixProducts(
  { software, matrices, lanes, features, largestWorkgroup }: AdapterDescription,
  autocast: boolean,
): MatrixProduct[] {
  if (lanes === null) return [];
  const products: MatrixProduct[] = [];
  for (const { operand, result, M, N, K } of matrices) {
    if (result !== "f32" || (operand !== "f32" && operand !== "f16")) continue;
    if (operand === "f16" && !features.includes("shader-f16")) continue;
    // Whole fragments a step of depth, whole values a lane.
    if ((4 * VECS_DEEP) % K !== 0 || (M * N) % lanes !== 0 || SUBGROUPS ** 2 * lanes > largestWorkgroup) continue;
    // Software compiles what it unrolls, and is there for the tests.
    const blocks = software ? [{ down: 2, across: 1 }] : [32, 64].map((rows) => ({ down: rows / M, across: 32 / N }));
    for (const { down, across } of blocks) {
      if (!Number.isInteger(down) || !Number.isInteger(across)) continue;
      products.push({ kind: "matrix", operand, M, N, K, lanes, down, across, split: operand === "f16" && !autocast });
    }
  }
  return products;
}

/** Names it in the tuning file, and for people. */
export function nameOf(product: Product): string {
  if (product.kind === "tile") {
    const { side, rows, latents, depth, half } = product;
    return `tile ${side * rows}x${side * latents} depth ${depth * 4}${half ? " float16" : ""}`;
  }
  const { operand, M, N, K, down, across, split } = product;
  const block = `${SUBGROUPS * down * M}x${SUBGROUPS * across * N}`;
  return `matrix units ${operand} ${M}x${N}x${K}, tile ${block}${split ? ", two parts" : ""}`;
}

/** Whether its numbers are float32's. */
export function isExact(product: Product): boolean {
  return product.kind === "tile" ? !product.half : product.operand === "f32" || product.split;
}

/** Whether operands go through float16, whole or in two parts. */
export function hasHalves(product: Product): boolean {
  return product.kind === "tile" ? product.half : product.operand === "f16";
}

export function kernelOf({ kind }: Product): KernelName {
  return kind === "tile" ? "gemm" : "matrixGemm";
}

export function constantsOf(product: Product): Constants {
  if (product.kind === "tile") {
    const { side, rows, latents, depth, half } = product;
    return {
      SIDE: `${side}u`,
      ROWS: `${rows}u`,
      LATENTS: `${latents}u`,
      DEPTH: `${depth}u`,
      OPERAND: half ? "vec4<f16>" : "vec4<f32>",
    };
  }
  const { operand, M, N, K, lanes, down, across, split } = product;
  return {
    OPERAND: operand,
    M: `${M}u`,
    N: `${N}u`,
    K: `${K}u`,
    LANES: `${lanes}u`,
    SUBGROUPS_DOWN: `${SUBGROUPS}u`,
    SUBGROUPS_ACROSS: `${SUBGROUPS}u`,
    FRAGMENTS_DOWN: `${down}u`,
    FRAGMENTS_ACROSS: `${across}u`,
    VECS_DEEP: `${VECS_DEEP}u`,
    SPLIT: `${split}`,
  };
}

/** Workgroups over latents and rows. */
export function groupsOf(product: Product, F: number, rows: number): readonly [number, number] {
  const [tileRows, tileLatents] =
    product.kind === "tile"
      ? [product.side * product.rows, product.side * product.latents]
      : [SUBGROUPS * product.down * product.M, SUBGROUPS * product.across * product.N];
  return [Math.ceil(F / tileLatents), Math.ceil(rows / tileRows)];
}

/** Bytes of workgroup memory. */
export function workgroupBytes(product: Product): number {
  if (product.kind === "tile") {
    const { side, rows, latents, depth, half } = product;
    return side * (rows + latents) * (depth + 1) * (half ? 8 : 16) + reachBytes(side * rows, side * latents);
  }
  const { operand, M, N, down, across, split } = product;
  const operands = SUBGROUPS * (down * M + across * N) * 4 * VECS_DEEP * (operand === "f16" ? 2 : 4);
  const reach = reachBytes(SUBGROUPS * down * M, SUBGROUPS * across * N);
  return operands * (split ? 2 : 1) + SUBGROUPS ** 2 * M * N * 4 + reach;
}

function reachBytes(tileRows: number, tileLatents: number): number {
  return tileRows * (tileLatents / GROUP) * 4;
}

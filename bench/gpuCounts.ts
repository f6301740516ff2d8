// What a training step on the GPU moves and computes, counted from its plan and kernels, without a clock: `node bench/gpuCounts.ts` prints the table of docs/gpu.md.
import { pathToFileURL } from "node:url";
import Table from "cli-table3";
import type { TrainerConfig } from "../src/engine/engine.ts";
import { constantsFor, GROUP, vec4s } from "../src/engine/webgpu/kernels.ts";
import { type Layout, layoutConstants, WIDTH } from "../src/engine/webgpu/layouts.ts";
import {
  type BatchPlan,
  groupsIn,
  HEADER_BYTES,
  membersStacked,
  planBatch,
  ROW_BYTES,
  saeSizes,
} from "../src/engine/webgpu/memoryPlan.ts";
import { NUMBERS_BYTES } from "../src/engine/webgpu/numbers.ts";
import { constantsOf, PLAIN } from "../src/engine/webgpu/products.ts";
import type { Architecture } from "../src/sae/sae.ts";
import { stepConfig } from "./trainStep.ts";
import { workgroupMemory } from "./workgroupMemory.ts";

export interface GpuShape {
  readonly architecture: Architecture;
  readonly d_in: number;
  readonly d_sae: number;
  /** Active latents a token: k, or what is expected of a ReLU. */
  readonly active: number;
  readonly rows: number;
  /** Trained on the same batches; 1 unless given. */
  readonly members?: number;
}

export interface StepCounts {
  /** Members that one set of dispatches trains. */
  readonly together: number;
  /** Of all members; the whole batch in one piece. */
  readonly dispatches: number;
  /** To the device: activations (for all members once) and numbers. */
  readonly uploaded: number;
  /** From the device: sums of each row, and of each column once. */
  readonly downloaded: number;
  readonly gemmOperations: number;
  /** Decode, code gradients, both gradient rows: 8·d a pair. */
  readonly sparseOperations: number;
  /** Through the device's memory, if nothing stays in a cache between kernels and everything within one. */
  readonly memoryBytes: number;
  /** Of that, pre-activations and what groups of them reach. */
  readonly preBytes: number;
  /** Buffers that hold the members, and those of the batch. */
  readonly memberBuffers: number;
  readonly batchBuffers: number;
}

/** SAELens' defaults, no dead latents. */
export const goalShapes: readonly GpuShape[] = [4096, 10_000].flatMap((rows) => [
  { architecture: "topk", d_in: 512, d_sae: 16_384, active: 32, rows },
  { architecture: "topk", d_in: 768, d_sae: 16_128, active: 128, rows },
  { architecture: "jumprelu", d_in: 2304, d_sae: 16_128, active: 64, rows },
]);

/** What a GPU gets without trials; subgroups make reductions no larger. */
export const gpuLayout: Layout = {
  width: WIDTH,
  product: PLAIN,
  plain: PLAIN,
  subgroups: false,
  mostRows: Number.POSITIVE_INFINITY,
};

/** begin, centre, gemm, the rows' lists, decode, four of the counting sort, gradient, bias, clip, Adam, Adam of the bias. */
const COMMON = 14;
const OF_ARCHITECTURE: Partial<Record<Architecture, number>> = {
  // the weight of AuxK
  topk: 1,
  // that, four bytes of the cut by two kernels, ties and their shares
  batchtopk: 11,
};
/** What a GPU moves at least where it reads one float: 32 bytes. */
const SECTOR = 32;

export function configOf({ architecture, d_in, d_sae, active }: GpuShape): TrainerConfig {
  return stepConfig({ architecture, d_in, d_sae, k: active });
}

/** `largestBuffer`: what the GPU allows one buffer to have; beyond it micro-batches would add to this. */
export function countStep(shape: GpuShape, largestBuffer = 2 ** 31): StepCounts {
  const { architecture, d_in, d_sae: F, active, rows, members = 1 } = shape;
  const config = configOf(shape);
  const row = vec4s(d_in) * 16;
  const stacked = membersStacked(config.sae, config, members, largestBuffer);
  const needs = { saes: [config.sae], rows, members: stacked, training: config, keepsGradients: true, largestBuffer };
  const plan = planBatch(needs).next().value as BatchPlan;
  const passes = passesOf(members, stacked, plan.together);
  const pairs = rows * active;
  const matrices = 2 * F * row;
  const pre = rows * F * 4;
  const activations = rows * row;
  // Written by the product; then only groups that reach the selection are looked at (no two active latents in one, all of them positive: the most that there can be), once from memory. A batchtopk's cut looks at all and then four times at those.
  const groups = rows * groupsIn(F) * 4;
  const looked = rows * Math.min(F, active * GROUP) * 4;
  const looks = architecture === "batchtopk" ? pre + 5 * looked : looked;
  // After that single ones, by decode and by the counting sort.
  const preBytes = pre + looks + 2 * groups + 2 * pairs * SECTOR;
  const marks = plan.sizes["marks"]! / plan.together;
  const memoryBytes =
    preBytes +
    matrices / 2 + // norms
    2 * activations + // centred input
    activations +
    matrices / 2 + // product
    3 * activations + // decode; decoder rows come from the cache as often as it holds them
    4 * pairs * 4 + // lists: written, read by decode and twice by the counting sort
    3 * marks + // its marks: cleared, read, and written as offsets; then single ones
    3 * pairs * SECTOR +
    2 * pairs * 8 + // pairs: written, read
    2 * activations +
    matrices +
    matrices + // gradients: both weight rows in, both gradients out
    2 * activations + // bias
    7 * matrices; // Adam: parameters, both moments and the gradient in, the first three out
  const sum = (sizes: Readonly<Record<string, number>>) =>
    Object.values(sizes).reduce((total, size) => total + size, 0);
  return {
    together: plan.together,
    dispatches: passes * (COMMON + (OF_ARCHITECTURE[architecture] ?? 0)) + 1,
    uploaded: activations + passes * NUMBERS_BYTES,
    downloaded: members * (rows * ROW_BYTES + HEADER_BYTES) + row,
    gemmOperations: members * 2 * rows * d_in * F,
    sparseOperations: members * 8 * d_in * pairs,
    memoryBytes: members * memoryBytes,
    preBytes: members * preBytes,
    memberBuffers: sum(saeSizes(config.sae, config, members)),
    batchBuffers: sum(plan.sizes),
  };
}

/** Sets of dispatches: members lie in stacks of buffers, and of each as many go together as the batch's buffers hold. */
function passesOf(members: number, stacked: number, together: number): number {
  let passes = 0;
  for (let rest = members; rest > 0; rest -= stacked) passes += Math.ceil(Math.min(stacked, rest) / together);
  return passes;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const table = new Table({
    head: ["SAE", "J", "B", "GEMM", "rest", "memory", "up", "down", "together", "dispatches", "members", "batch"],
    style: { head: [], border: [], compact: true },
  });
  for (const shape of [1, 8].flatMap((members) => goalShapes.map((one) => ({ ...one, members })))) {
    const counts = countStep(shape);
    const { architecture, d_in, d_sae, active, rows } = shape;
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 0)} MiB`;
    table.push([
      `${architecture} d=${d_in} F=${d_sae} ${active} active`,
      shape.members,
      rows,
      `${(counts.gemmOperations / 1e9).toFixed(0)} GFLOP`,
      `${((100 * counts.sparseOperations) / counts.gemmOperations).toFixed(1)} %`,
      mib(counts.memoryBytes),
      mib(counts.uploaded),
      mib(counts.downloaded),
      counts.together,
      counts.dispatches,
      mib(counts.memberBuffers),
      mib(counts.batchBuffers),
    ]);
  }
  console.log(table.toString());
  for (const shape of goalShapes) {
    const { preBytes, memoryBytes } = countStep(shape);
    const share = `${((100 * preBytes) / memoryBytes).toFixed(0)} % of the memory moved`;
    console.log(
      `Pre-activations, ${shape.architecture} d=${shape.d_in}, B=${shape.rows}: ${(preBytes / 2 ** 20).toFixed(0)} MiB, ${share}`,
    );
  }
  for (const shape of [goalShapes[0]!, goalShapes[2]!]) {
    const config = configOf(shape);
    const layout = layoutConstants(gpuLayout, shape.d_in);
    const constants = { ...constantsFor(config.sae, { training: config }), ...layout, ...constantsOf(PLAIN) };
    const bytes = (["gemm", "listRows", "decode", "latentGradient", "adam"] as const).map(
      (name) => `${name} ${workgroupMemory(name, constants)}`,
    );
    console.log(
      `Bytes of workgroup memory, ${shape.architecture}, ${WIDTH} threads (the product ${PLAIN.side ** 2}): ${bytes.join(", ")}`,
    );
  }
}

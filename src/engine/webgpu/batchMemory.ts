// Takes the memory that a batch needs on the device: as planned, and in a smaller plan where the device has less than its limits promise.
import { EngineError } from "../engine.ts";
import type { Gpu } from "./gpu.ts";
import type { BatchBuffers } from "./memberPass.ts";
import { type BatchNeeds, type BatchPlan, gib, planBatch } from "./memoryPlan.ts";

/** Below this many rows a micro-batch is no use. */
const LEAST_ROWS = 32;

/** Throws EngineError with the numbers where not even small micro-batches fit. */
export async function allocateBatch(gpu: Gpu, needs: BatchNeeds): Promise<BatchBuffers> {
  let least: BatchPlan | undefined;
  for (const plan of planBatch(needs)) {
    const buffers = await gpu.allocate(plan.sizes);
    if (buffers) return { rows: needs.rows, plan, buffers };
    least = plan;
    if (plan.microBatches[0]!.count <= LEAST_ROWS) break;
  }
  const bytes = Object.values(least!.sizes).reduce((sum, size) => sum + size, 0);
  throw new EngineError(
    `this GPU has no memory left for a batch of ${needs.rows} tokens (${gib(bytes)} GiB in the smallest micro-batches): use a smaller train_batch_size_tokens, fewer members, or the device cpu`,
  );
}

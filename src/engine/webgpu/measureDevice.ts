// How fast a device is, for `doctor` and the choice of a device: its matrix product and whole training steps.
import { GPU_SHAPE, rateConfig, rateMember, type StepShape, tokensASecond } from "../stepRate.ts";
import { DeviceTrainer } from "./deviceTrainer.ts";
import type { Gpu } from "./gpu.ts";
import type { Layouts } from "./layouts.ts";
import { measureProduct } from "./productRate.ts";
import { nameOf } from "./products.ts";

export interface DeviceMeasure {
  /** GFLOP/s of the encoder's matrix product, float32. */
  readonly gemm: number;
  /** How it was computed. */
  readonly product: string;
  /** Tokens a second of training a topk SAE of this shape. */
  readonly tokens: number;
  readonly shape: StepShape;
}

/** Milliseconds of the encoder's product alone at its quickest, by the product that training of this shape gets. */
export async function measureShape(
  gpu: Gpu,
  layouts: Layouts,
  shape: StepShape,
  autocast: boolean,
): Promise<{ ms: number | null; product: string }> {
  const { product } = await layouts.for({ d_in: shape.d, d_sae: shape.F }, shape.rows, autocast);
  return { ms: await measureProduct(gpu, shape, product), product: nameOf(product) };
}

/** What software gets through in a few seconds. */
const SMALL: StepShape = { rows: 64, d: 64, F: 256 };

export async function measureDevice(gpu: Gpu, layouts: Layouts): Promise<DeviceMeasure> {
  const shape = gpu.description.software ? SMALL : GPU_SHAPE;
  const { rows, d, F } = shape;
  const { product } = await layouts.for({ d_in: d, d_sae: F }, rows, false);
  const ms = (await measureProduct(gpu, shape, product)) ?? Number.POSITIVE_INFINITY;
  const trainer = new DeviceTrainer(gpu, rateConfig(shape), gpu.largestBuffer, layouts);
  try {
    await trainer.prepare(1);
    trainer.add(rateMember(shape));
    const tokens = await tokensASecond(trainer, shape);
    return { gemm: (2 * rows * d * F) / ms / 1e6, product: nameOf(product), tokens, shape };
  } finally {
    await trainer.close();
  }
}

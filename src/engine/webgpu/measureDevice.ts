// How fast a device is, for `doctor` and the choice of a device: its matrix product and whole training steps.
import { newMemberState } from "../memberState.ts";
import { DeviceTrainer } from "./deviceTrainer.ts";
import type { Gpu } from "./gpu.ts";
import type { Layouts } from "./layouts.ts";
import { measureProduct, type ProductShape } from "./productRate.ts";
import { nameOf } from "./products.ts";

export interface DeviceMeasure {
  /** GFLOP/s of the encoder's matrix product, float32. */
  readonly gemm: number;
  /** How it was computed. */
  readonly product: string;
  /** Tokens a second of training a topk SAE of this shape. */
  readonly tokens: number;
  readonly shape: ProductShape;
}

/** Milliseconds of the encoder's product alone at its quickest, by the product that training of this shape gets. */
export async function measureShape(
  gpu: Gpu,
  layouts: Layouts,
  shape: ProductShape,
  autocast: boolean,
): Promise<{ ms: number | null; product: string }> {
  const { product } = await layouts.for({ d_in: shape.d, d_sae: shape.F }, shape.rows, autocast);
  return { ms: await measureProduct(gpu, shape, product), product: nameOf(product) };
}

/** Large enough for a GPU to show what it can, small enough for software in a few seconds. */
const LARGE: ProductShape = { rows: 2048, d: 512, F: 8192 };
const SMALL: ProductShape = { rows: 64, d: 64, F: 256 };
const STEPS = 5;

export async function measureDevice(gpu: Gpu, layouts: Layouts): Promise<DeviceMeasure> {
  const shape = gpu.description.software ? SMALL : LARGE;
  const { rows, d, F } = shape;
  const { product } = await layouts.for({ d_in: d, d_sae: F }, rows, false);
  const ms = (await measureProduct(gpu, shape, product)) ?? Number.POSITIVE_INFINITY;
  const config = {
    sae: {
      architecture: "topk",
      d_in: d,
      d_sae: F,
      k: 32,
      apply_b_dec_to_input: true,
      normalize_activations: "none",
      rescale_acts_by_decoder_norm: true,
      dtype: "float32",
      metadata: {},
    },
    lp_norm: 1,
    aux_loss_coefficient: 1,
    aux_loss_form: "sae_lens",
    topk_threshold_lr: 0.01,
    jumprelu_bandwidth: 0.05,
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_eps: 1e-8,
    max_grad_norm: 1,
    decoder_norm: "free",
    dead_feature_window: 1000,
  } as const;
  const trainer = new DeviceTrainer(gpu, config, gpu.largestBuffer, layouts);
  try {
    // A fixed pattern without structure is all that a rate needs.
    const values = Float32Array.from({ length: F * d }, (_, at) => (((at * 7919) % 1009) / 1009 - 0.5) * 0.1);
    const weights = { W_enc: values, W_dec: values.slice(), b_dec: new Float32Array(d), b_enc: new Float32Array(F) };
    await trainer.prepare(1);
    trainer.add(newMemberState(weights, config.adam_beta1));
    const x = Float32Array.from({ length: rows * d }, (_, at) => ((at * 104_729) % 2011) / 2011 - 0.5);
    const input = { lr: 1e-4, sparsity_coefficient: 0 };
    await trainer.step(x, rows, input);
    const start = performance.now();
    for (let step = 0; step < STEPS; step++) await trainer.step(x, rows, input);
    const seconds = (performance.now() - start) / 1000 / STEPS;
    return { gemm: (2 * rows * d * F) / ms / 1e6, product: nameOf(product), tokens: rows / seconds, shape };
  } finally {
    await trainer.close();
  }
}

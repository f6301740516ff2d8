// One SAE on the device: its weights and optimiser state as the kernels keep them, written from and read back to the engine's own form.
import type { ParameterName, Sae, SaeConfig, SaeWeights } from "../../sae/sae.ts";
import { EngineError, type MemberState, type TrainerConfig } from "../engine.ts";
import type { Gpu } from "./gpu.ts";
import { vec4s } from "./kernels.ts";
import { checkSae, HEADER_BYTES, LATENT_BYTES, saeSizes } from "./memoryPlan.ts";

/** The latent's vectors by the component of a vec4 that holds each. */
function componentsOf(sae: SaeConfig): readonly ParameterName[] {
  switch (sae.architecture) {
    case "gated":
      return ["b_gate", "b_mag", "r_mag"];
    case "jumprelu":
      return ["b_enc", "threshold"];
    default:
      return ["b_enc"];
  }
}

/** Words of a Latent in shared.wgsl. */
const LATENT_WORDS = LATENT_BYTES / 4;
const SINCE = 1;

export class SaeBuffers {
  readonly config: SaeConfig;
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
  readonly #gpu: Gpu;
  readonly #V: number;

  private constructor(gpu: Gpu, config: SaeConfig, buffers: Record<string, GPUBuffer>) {
    this.#gpu = gpu;
    this.config = config;
    this.buffers = buffers;
    this.#V = vec4s(config.d_in);
  }

  static async ofState(
    gpu: Gpu,
    config: TrainerConfig,
    state: MemberState,
    largestBuffer: number,
  ): Promise<SaeBuffers> {
    const sae = await SaeBuffers.#allocate(gpu, config.sae, config, largestBuffer);
    sae.#writeWeights(state.weights, "parameters", 0);
    sae.#writeWeights(state.exp_avg_sq, "seconds", 2);
    if (config.adam_beta1 > 0 && state.exp_avg) sae.#writeWeights(state.exp_avg, "firsts", 1);
    const words = new Uint32Array(config.sae.d_sae * LATENT_WORDS);
    state.n_forward_passes_since_fired.forEach((steps, i) => {
      words[i * LATENT_WORDS + SINCE] = steps;
    });
    gpu.write(sae.buffers["latents"]!, words);
    return sae;
  }

  static async ofSae(gpu: Gpu, { config, weights }: Sae, largestBuffer: number): Promise<SaeBuffers> {
    const sae = await SaeBuffers.#allocate(gpu, config, undefined, largestBuffer);
    sae.#writeWeights(weights, "parameters", 0);
    return sae;
  }

  static async #allocate(
    gpu: Gpu,
    config: SaeConfig,
    training: TrainerConfig | undefined,
    largestBuffer: number,
  ): Promise<SaeBuffers> {
    checkSae(config, training, largestBuffer);
    const buffers = await gpu.allocate(saeSizes(config, training));
    if (!buffers) {
      throw new EngineError(
        `this GPU has no memory left for an SAE of ${config.d_sae} features of width ${config.d_in}: use a smaller d_sae or fewer members, or the device cpu`,
      );
    }
    return new SaeBuffers(gpu, config, buffers);
  }

  /** The state as it stands, but for what the caller counts itself. */
  async state(config: TrainerConfig): Promise<Omit<MemberState, "step" | "topk_threshold">> {
    const F = this.config.d_sae;
    const words = new Uint32Array(await this.#gpu.readBuffer(this.buffers["latents"]!, 0, F * LATENT_BYTES));
    return {
      weights: await this.#readWeights("parameters", 0),
      ...(config.adam_beta1 > 0 ? { exp_avg: await this.#readWeights("firsts", 1) } : {}),
      exp_avg_sq: await this.#readWeights("seconds", 2),
      n_forward_passes_since_fired: Uint32Array.from({ length: F }, (_, i) => words[i * LATENT_WORDS + SINCE]!),
    };
  }

  destroy(): void {
    for (const buffer of Object.values(this.buffers)) buffer.destroy();
  }

  /** `section`: 0 values, 1 first and 2 second moments, in the buffers that hold several. */
  #writeWeights(weights: SaeWeights, matrices: string, section: number): void {
    const { d_sae: F, d_in: d } = this.config;
    this.#writeRows(weights.W_enc, this.buffers[matrices]!, 0);
    this.#writeRows(weights.W_dec, this.buffers[matrices]!, F * this.#V * 16);
    const packed = new Float32Array(F * 4);
    for (const [component, name] of componentsOf(this.config).entries()) {
      const values = weights[name]!;
      for (let i = 0; i < F; i++) packed[i * 4 + component] = values[i]!;
    }
    this.#gpu.write(this.buffers["vectors"]!, packed, section * F * 16);
    const bias = new Float32Array(this.#V * 4);
    bias.set(weights.b_dec.subarray(0, d));
    this.#gpu.write(this.buffers["bias"]!, bias, HEADER_BYTES + section * this.#V * 16);
  }

  async #readWeights(matrices: string, section: number): Promise<SaeWeights> {
    const { d_sae: F, d_in: d } = this.config;
    const V = this.#V;
    const packed = new Float32Array(await this.#gpu.readBuffer(this.buffers["vectors"]!, section * F * 16, F * 16));
    const at = HEADER_BYTES + section * V * 16;
    const bias = new Float32Array(await this.#gpu.readBuffer(this.buffers["bias"]!, at, V * 16));
    return {
      W_enc: await this.#readRows(this.buffers[matrices]!, 0),
      W_dec: await this.#readRows(this.buffers[matrices]!, F * V * 16),
      b_dec: bias.slice(0, d),
      ...Object.fromEntries(
        componentsOf(this.config).map((name, component) => [
          name,
          Float32Array.from({ length: F }, (_, i) => packed[i * 4 + component]!),
        ]),
      ),
    };
  }

  #writeRows(rows: Float32Array, buffer: GPUBuffer, offset: number): void {
    this.#gpu.write(buffer, padded(rows, this.config.d_in), offset);
  }

  async #readRows(buffer: GPUBuffer, offset: number): Promise<Float32Array> {
    const { d_sae: F, d_in: d } = this.config;
    const width = this.#V * 4;
    const rows = new Float32Array(await this.#gpu.readBuffer(buffer, offset, F * width * 4));
    if (width === d) return rows;
    const result = new Float32Array(F * d);
    for (let i = 0; i < F; i++) result.set(rows.subarray(i * width, i * width + d), i * d);
    return result;
  }
}

/** Rows of d floats as rows of whole vec4s. */
export function padded(rows: Float32Array, d: number): Float32Array {
  const width = vec4s(d) * 4;
  if (width === d) return rows;
  const count = rows.length / d;
  const result = new Float32Array(count * width);
  for (let t = 0; t < count; t++) result.set(rows.subarray(t * d, (t + 1) * d), t * width);
  return result;
}

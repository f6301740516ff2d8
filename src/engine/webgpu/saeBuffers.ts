// SAEs of one shape on the device, one behind the other: their weights and optimiser states as the kernels keep them, written from and read back to the engine's own form.
import { innerWidths, type ParameterName, type Sae, type SaeConfig, type SaeWeights } from "../../sae/sae.ts";
import { EngineError, type MemberState, type TrainerConfig } from "../engine.ts";
import type { Gpu } from "./gpu.ts";
import { vec4s } from "./kernels.ts";
import { HEADER_BYTES, LATENT_BYTES, membersStacked, saeSizes } from "./memoryPlan.ts";

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
const LEVEL = 7;

export class SaeBuffers {
  readonly config: SaeConfig;
  readonly members: number;
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
  readonly #gpu: Gpu;
  readonly #V: number;
  /** Bytes of one member by buffer. */
  readonly #sizes: Readonly<Record<string, number>>;

  private constructor(
    gpu: Gpu,
    config: SaeConfig,
    members: number,
    sizes: Record<string, number>,
    buffers: Record<string, GPUBuffer>,
  ) {
    this.#gpu = gpu;
    this.config = config;
    this.members = members;
    this.buffers = buffers;
    this.#V = vec4s(config.d_in);
    this.#sizes = sizes;
  }

  /** Room for `members` in training, in as few sets of buffers as the device has memory for. */
  static async forTraining(
    gpu: Gpu,
    config: TrainerConfig,
    members: number,
    largestBuffer: number,
  ): Promise<SaeBuffers[]> {
    const groups: SaeBuffers[] = [];
    let stacked = membersStacked(config.sae, config, members, largestBuffer);
    for (let rest = members; rest > 0; ) {
      const own = Math.min(stacked, rest);
      const group = await SaeBuffers.#allocate(gpu, config.sae, config, own);
      if (group) {
        groups.push(group);
        rest -= own;
      } else if (own > 1) stacked = Math.ceil(own / 2);
      else {
        for (const one of groups) one.destroy();
        throw noMemory(config.sae);
      }
    }
    return groups;
  }

  static async ofSae(gpu: Gpu, { config, weights }: Sae, largestBuffer: number): Promise<SaeBuffers> {
    membersStacked(config, undefined, 1, largestBuffer);
    const sae = await SaeBuffers.#allocate(gpu, config, undefined, 1);
    if (!sae) throw noMemory(config);
    sae.#writeWeights(0, weights, "parameters", 0);
    return sae;
  }

  static async #allocate(
    gpu: Gpu,
    config: SaeConfig,
    training: TrainerConfig | undefined,
    members: number,
  ): Promise<SaeBuffers | null> {
    const buffers = await gpu.allocate(saeSizes(config, training, members));
    return buffers && new SaeBuffers(gpu, config, members, saeSizes(config, training), buffers);
  }

  writeState(member: number, config: TrainerConfig, state: MemberState): void {
    this.#writeWeights(member, state.weights, "parameters", 0);
    this.#writeWeights(member, state.exp_avg_sq, "seconds", 2);
    if (config.adam_beta1 > 0 && state.exp_avg) this.#writeWeights(member, state.exp_avg, "firsts", 1);
    const words = new Uint32Array(config.sae.d_sae * LATENT_WORDS);
    state.n_forward_passes_since_fired.forEach((steps, i) => {
      words[i * LATENT_WORDS + SINCE] = steps;
    });
    for (const width of innerWidths(config.sae)) {
      for (let i = width; i < config.sae.d_sae; i++) words[i * LATENT_WORDS + LEVEL]! += 1;
    }
    this.#gpu.write(this.buffers["latents"]!, words, this.startOf(member, "latents"));
  }

  /** The state as it stands, but for what the caller counts itself. */
  async state(member: number, config: TrainerConfig): Promise<Omit<MemberState, "step" | "topk_threshold">> {
    const F = this.config.d_sae;
    const start = this.startOf(member, "latents");
    const words = new Uint32Array(await this.#gpu.readBuffer(this.buffers["latents"]!, start, F * LATENT_BYTES));
    return {
      weights: await this.#readWeights(member, "parameters", 0),
      ...(config.adam_beta1 > 0 ? { exp_avg: await this.#readWeights(member, "firsts", 1) } : {}),
      exp_avg_sq: await this.#readWeights(member, "seconds", 2),
      n_forward_passes_since_fired: Uint32Array.from({ length: F }, (_, i) => words[i * LATENT_WORDS + SINCE]!),
    };
  }

  /** Where a member's part of a buffer begins, in bytes. */
  startOf(member: number, buffer: string): number {
    return member * this.#sizes[buffer]!;
  }

  destroy(): void {
    for (const buffer of Object.values(this.buffers)) buffer.destroy();
  }

  /** `section`: 0 values, 1 first and 2 second moments, in the buffers that hold several. */
  #writeWeights(member: number, weights: SaeWeights, matrices: string, section: number): void {
    const { d_sae: F, d_in: d } = this.config;
    const start = this.startOf(member, matrices);
    this.#writeRows(weights.W_enc, this.buffers[matrices]!, start);
    this.#writeRows(weights.W_dec, this.buffers[matrices]!, start + F * this.#V * 16);
    const packed = new Float32Array(F * 4);
    for (const [component, name] of componentsOf(this.config).entries()) {
      const values = weights[name]!;
      for (let i = 0; i < F; i++) packed[i * 4 + component] = values[i]!;
    }
    this.#gpu.write(this.buffers["vectors"]!, packed, this.startOf(member, "vectors") + section * F * 16);
    const bias = new Float32Array(this.#V * 4);
    bias.set(weights.b_dec.subarray(0, d));
    this.#gpu.write(this.buffers["bias"]!, bias, this.startOf(member, "bias") + HEADER_BYTES + section * this.#V * 16);
  }

  async #readWeights(member: number, matrices: string, section: number): Promise<SaeWeights> {
    const { d_sae: F, d_in: d } = this.config;
    const V = this.#V;
    const inVectors = this.startOf(member, "vectors") + section * F * 16;
    const packed = new Float32Array(await this.#gpu.readBuffer(this.buffers["vectors"]!, inVectors, F * 16));
    const inBias = this.startOf(member, "bias") + HEADER_BYTES + section * V * 16;
    const bias = new Float32Array(await this.#gpu.readBuffer(this.buffers["bias"]!, inBias, V * 16));
    const start = this.startOf(member, matrices);
    return {
      W_enc: await this.#readRows(this.buffers[matrices]!, start),
      W_dec: await this.#readRows(this.buffers[matrices]!, start + F * V * 16),
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

function noMemory({ d_sae, d_in }: SaeConfig): EngineError {
  return new EngineError(
    `this GPU has no memory left for an SAE of ${d_sae} features of width ${d_in}: use a smaller d_sae or fewer members, or the device cpu`,
  );
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

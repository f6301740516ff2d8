// The kernels of one SAE, or of members trained together, over one batch, bound to their buffers: forward over micro-batches, and the training step around it.
import type { SaeConfig } from "../../sae/sae.ts";
import type { StepInput, TrainerConfig } from "../engine.ts";
import type { Gpu, Run } from "./gpu.ts";
import { type Constants, LATENTS_EACH, vec4s } from "./kernels.ts";
import { type Layout, layoutConstants, withProduct } from "./layouts.ts";
import { type BatchPlan, groupsIn, HEADER_BYTES, type MicroBatch, mostListed } from "./memoryPlan.ts";
import { NUMBERS_BYTES, type Numbers, packNumbers } from "./numbers.ts";
import { groupsOf, kernelOf, type Product } from "./products.ts";
import type { SaeBuffers } from "./saeBuffers.ts";

/** What a batch needs beside the SAEs: shared by passes, which go one after the other. */
export interface BatchBuffers {
  readonly rows: number;
  readonly plan: BatchPlan;
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
}

/** A piece of work for Gpu.submit. */
export type Work = Run | ((encoder: GPUCommandEncoder) => void);

type Kernels = Readonly<Record<string, Run>>;

/** Members of one set of buffers that a pass trains: [first, first + count). */
export interface MemberRange {
  readonly first: number;
  readonly count: number;
}

export class MemberPass {
  readonly #gpu: Gpu;
  readonly #sae: SaeBuffers;
  readonly #batch: BatchBuffers;
  readonly #constants: Constants;
  readonly #training: TrainerConfig | undefined;
  readonly #members: MemberRange;
  readonly #numbers: readonly GPUBuffer[];
  readonly #parts: readonly { readonly micro: MicroBatch; readonly kernels: Kernels }[];
  readonly #product: Product;
  /** Of the batch, those that are in use: an encoder keeps buffers for more than it is given. */
  #rows: number;
  /** The micro-batches whose pre-activations, and whose rows' lists, are at hand while work is laid out. */
  #resident = -1;
  #listed = -1;

  constructor(
    gpu: Gpu,
    sae: SaeBuffers,
    batch: BatchBuffers,
    constants: Constants,
    layout: Layout,
    training?: TrainerConfig,
    members: MemberRange = { first: 0, count: 1 },
  ) {
    this.#gpu = gpu;
    this.#sae = sae;
    this.#batch = batch;
    this.#constants = {
      ...constants,
      ...layoutConstants(layout, sae.config.d_in),
    };
    this.#training = training;
    this.#members = members;
    this.#product = layout.product;
    this.#rows = batch.rows;
    this.#numbers = batch.plan.microBatches.map(() => gpu.uniform(NUMBERS_BYTES));
    this.#parts = batch.plan.microBatches.map((micro, part) => ({ micro, kernels: this.#bind(micro, part, layout) }));
  }

  destroy(): void {
    for (const buffer of this.#numbers) buffer.destroy();
  }

  /** Sends the numbers of the next pass. `count`: training steps taken once it is done. `rows`: of the batch's, in encoding. */
  prepare(
    step?: { readonly input: StepInput; readonly count: number },
    weight = 1,
    rows: number = this.#batch.rows,
  ): void {
    this.#rows = rows;
    const parts = this.microBatches;
    for (const [part, micro] of parts.entries()) {
      const numbers: Numbers = {
        ...this.#shape(micro),
        isFirst: Number(part === 0),
        isLast: Number(part === parts.length - 1),
        weight,
        ...(step && this.#training ? adamNumbers(this.#training, step.input, step.count, this.#batch.rows) : {}),
      };
      this.#gpu.write(this.#numbers[part]!, packNumbers(numbers));
    }
  }

  get microBatches(): readonly MicroBatch[] {
    return this.#batch.plan.microBatches;
  }

  /** The product of the first micro-batch as it will be computed, and as the plain kernel does, once its input is centred. They change nothing that is kept. */
  products(): { centre: Work[]; own: Work[]; plain: Work[] } {
    return { centre: [this.#first("centre")], own: [this.#first("gemm")], plain: [this.#first("plainGemm")] };
  }

  /** Bytes of pre-activations of the first micro-batch, of all members. */
  get productBytes(): number {
    return this.#members.count * this.#countOf(this.microBatches[0]!) * this.#sae.config.d_sae * 4;
  }

  /** And of how far its groups of latents reach. */
  get reachBytes(): number {
    return this.#members.count * this.#countOf(this.microBatches[0]!) * groupsIn(this.#sae.config.d_sae) * 4;
  }

  /** Where what the encoder multiplies lies: the first member's centred input, and its weights. */
  get centred(): { buffer: GPUBuffer; offset: number; bytes: number } {
    const row = vec4s(this.#sae.config.d_in) * 16;
    const buffer = this.#batch.buffers["activations"]!;
    return { buffer, offset: this.#batch.rows * row, bytes: this.#rows * row };
  }

  get encoder(): { buffer: GPUBuffer; offset: number; bytes: number } {
    const { d_in, d_sae } = this.#sae.config;
    const offset = this.#sae.startOf(this.#members.first, "parameters");
    return { buffer: this.#sae.buffers["parameters"]!, offset, bytes: d_sae * vec4s(d_in) * 16 };
  }

  /** Before the micro-batches of an encoding. */
  begin(): Work[] {
    return [this.#first("begin"), this.#first("centre")];
  }

  /** Encodes the rows of a micro-batch that are in use: its reconstruction is added up in the activations' buffer, unless nobody wants it. */
  encode(part: number, reconstructs = true): Work[] {
    const { micro, kernels } = this.#parts[part]!;
    const { gemm, listRows, decode } = kernels;
    // The product is what costs: kernels of a workgroup a row leave those that aren't in use at once.
    const [, y] = groupsOf(this.#product, this.#sae.config.d_sae, this.#countOf(micro));
    // The next member of a chain wants what this one leaves over.
    const decodes = reconstructs || this.#constants["CHAIN"] === "true";
    return [{ ...gemm!, y }, listRows!, ...(decodes ? [decode!] : [])];
  }

  #countOf({ first, count }: MicroBatch): number {
    return Math.max(0, Math.min(count, this.#rows - first));
  }

  /** The codes of the micro-batch that was encoded last, as compressed rows. */
  codes(part: number): Work[] {
    const { rowOffsets, rowCodes } = this.#parts[part]!.kernels;
    return [rowOffsets!, rowCodes!];
  }

  /** Σ(x − x̄)² of the targets, which all members share, into the first one's buffer. */
  targetDeviations(): Work {
    return this.#first("targetDeviations");
  }

  /** A training step, all but reading its numbers. */
  *step(): Generator<Work> {
    this.#resident = -1;
    this.#listed = -1;
    const { first, count } = this.#members;
    const training = this.#training!;
    const hasAux = this.#constants["AUX"] === "true";
    // dictionary_learning's AuxK is divided by the variance of the whole batch's residual.
    const waits = this.#constants["AUX_POSITIVE"] === "true";
    yield (encoder) => {
      for (let m = first; m < first + count; m++)
        encoder.clearBuffer(this.#sae.buffers["bias"]!, this.#sae.startOf(m, "bias"), HEADER_BYTES);
    };
    yield this.#first("begin");
    yield this.#first("centre");
    if (hasAux && !waits) yield this.#first("auxFactor");
    if (training.sae.architecture === "batchtopk") yield* this.#batchCut();
    for (const [part, { kernels }] of this.#parts.entries()) {
      yield* this.#lists(part);
      yield kernels["decode"]!;
      if (!waits) yield* this.#gradients(part);
    }
    if (waits) {
      yield this.#first("residualDeviations");
      yield this.#first("auxFactor");
      for (const part of this.#parts.keys()) {
        yield* this.#lists(part);
        yield* this.#gradients(part);
      }
    }
    yield this.#first("biasGradient");
    yield this.#first("clip");
    if (!this.#isFused) yield this.#first("adam");
    yield this.#first("stepBias");
  }

  get #isFused(): boolean {
    return this.#constants["FUSED"] === "true";
  }

  #first(name: string): Run {
    return this.#parts[0]!.kernels[name]!;
  }

  *#pre(part: number): Generator<Work> {
    if (this.#resident === part) return;
    this.#resident = part;
    this.#listed = -1;
    yield this.#parts[part]!.kernels["gemm"]!;
  }

  *#lists(part: number): Generator<Work> {
    yield* this.#pre(part);
    if (this.#listed === part) return;
    this.#listed = part;
    yield this.#parts[part]!.kernels["listRows"]!;
  }

  *#gradients(part: number): Generator<Work> {
    const { kernels } = this.#parts[part]!;
    yield (encoder) => encoder.clearBuffer(this.#batch.buffers["marks"]!);
    for (const name of ["pairMark", "pairWithin", "pairBetween", "pairPlace", "latentGradient"]) yield kernels[name]!;
  }

  *#batchCut(): Generator<Work> {
    for (const pass of [0, 1, 2, 3]) {
      for (const [part, { kernels }] of this.#parts.entries()) {
        yield* this.#pre(part);
        yield kernels[`batchHistogram${pass}`]!;
      }
      yield this.#first(`batchChoose${pass}`);
    }
    for (const [part, { kernels }] of this.#parts.entries()) {
      yield* this.#pre(part);
      yield kernels["batchTies"]!;
    }
    yield this.#first("batchShare");
  }

  #shape(micro: MicroBatch): Numbers {
    const { config } = this.#sae;
    return {
      rows: this.#batch.rows,
      ...micro,
      count: this.#countOf(micro),
      firstMember: this.#members.first,
      pairs: this.#batch.plan.pairs,
      room: mostListed(config, this.#training),
      groups: groupsIn(config.d_sae),
      F: config.d_sae,
      V: vec4s(config.d_in),
      d: config.d_in,
      k: Math.floor(config.k ?? 0),
      keep: Math.floor((config.k ?? 0) * this.#batch.rows),
    };
  }

  #bind({ count }: MicroBatch, part: number, { width, product, plain }: Layout): Kernels {
    const { config, buffers: sae } = this.#sae;
    const { buffers: batch, rows } = this.#batch;
    const F = config.d_sae;
    const numbers = this.#numbers[part]!;
    const parameters = sae["parameters"]!;
    const vectors = sae["vectors"]!;
    const latents = sae["latents"]!;
    const bias = sae["bias"]!;
    const activations = batch["activations"]!;
    const known = batch["rows"]!;
    const pre = batch["pre"]!;
    const lists = batch["lists"]!;
    const reach = batch["reach"]!;
    const bind = (
      name: Parameters<Gpu["bind"]>[0],
      buffers: readonly GPUBuffer[],
      groups: number | readonly [number, number],
      constants: Constants = this.#constants,
    ) => this.#gpu.bind(name, constants, [numbers, ...buffers], groups, this.#members.count);
    const multiply = (by: Product) =>
      bind(
        kernelOf(by),
        [activations, parameters, vectors, latents, pre, reach],
        groupsOf(by, F, count),
        withProduct(this.#constants, by),
      );
    const forward: Record<string, Run> = {
      begin: bind("begin", [parameters, latents, vectors, bias], F),
      centre: bind("centre", [activations, known, bias], rows),
      gemm: multiply(product),
      ...(product === plain ? {} : { plainGemm: multiply(plain) }),
      decode: bind("decode", [parameters, activations, pre, latents, vectors, known, bias, lists], count),
      listRows: bind("listRows", [pre, latents, vectors, known, bias, lists, reach], count),
    };
    if (!this.#training) {
      // A chain within training is not read.
      if (!batch["codes"]) return forward;
      const codes = [pre, latents, vectors, known, batch["starts"]!, batch["codes"], lists];
      return { ...forward, rowOffsets: bind("rowOffsets", codes, 1), rowCodes: bind("rowCodes", codes, count) };
    }
    const pairs = [pre, latents, known, lists, batch["marks"]!, batch["offsets"]!, batch["pairs"]!];
    const columns = Math.ceil(vec4s(config.d_in) / 4);
    const across = Math.ceil(F / width);
    // Where no first moments are kept the kernel doesn't touch them; something has to be bound.
    const firsts = sae["firsts"] ?? batch["bins"]!;
    const [rowsA, rowsB] = this.#isFused ? [firsts, sae["seconds"]!] : [batch["gradients"]!, batch["bins"]!];
    const training: Record<string, Run> = {
      pairMark: bind("pairMark", pairs, count),
      pairWithin: bind("pairWithin", pairs, [across, 1]),
      pairBetween: bind("pairBetween", pairs, 1),
      pairPlace: bind("pairPlace", pairs, count),
      latentGradient: bind(
        "latentGradient",
        [parameters, vectors, activations, batch["pairs"]!, latents, bias, rowsA, rowsB],
        Math.ceil(F / LATENTS_EACH),
      ),
      targetDeviations: this.#gpu.bind("targetDeviations", this.#constants, [numbers, activations, bias], [columns, 1]),
      residualDeviations: bind("residualDeviations", [activations, bias], [columns, 1]),
      biasGradient: bind("biasGradient", [activations, bias], [columns, 1]),
      auxFactor: bind("auxFactor", [latents, bias], 1),
      clip: bind("clip", [latents, bias], 1),
      stepBias: bind("stepBias", [latents, bias], 1),
    };
    if (!this.#isFused) {
      const buffers = [parameters, vectors, batch["gradients"]!, latents, bias, firsts, sae["seconds"]!];
      training["adam"] = bind("adam", buffers, F);
    }
    if (config.architecture === "batchtopk") {
      const cut = [pre, latents, known, bias, batch["bins"]!, reach];
      for (const pass of [0, 1, 2, 3]) {
        const constants = { ...this.#constants, PASS: `${pass}u` };
        training[`batchHistogram${pass}`] = bind("batchHistogram", cut, count, constants);
        training[`batchChoose${pass}`] = bind("batchChoose", cut, 1, constants);
      }
      training["batchTies"] = bind("batchTies", cut, count);
      training["batchShare"] = bind("batchShare", cut, 1);
    }
    return { ...forward, ...training };
  }
}

/** Adam's numbers at this step, bias corrections folded into lr and ε, and what the losses are weighted by. */
function adamNumbers(config: TrainerConfig, input: StepInput, count: number, rows: number): Numbers {
  const root = Math.sqrt(1 - config.adam_beta2 ** count);
  return {
    window: config.dead_feature_window,
    lr: (input.lr * root) / (1 - config.adam_beta1 ** count),
    eps: config.adam_eps * root,
    beta1: config.adam_beta1,
    beta2: config.adam_beta2,
    rest1: 1 - config.adam_beta1,
    rest2: 1 - config.adam_beta2,
    lambda: input.sparsity_coefficient / rows,
    lpNorm: config.lp_norm,
    bandwidth: config.jumprelu_bandwidth,
    maxNorm: config.max_grad_norm ?? 0,
    auxCoefficient: config.aux_loss_coefficient,
  };
}

/** The widths that a batch is planned for. */
export function configsOf(saes: readonly SaeBuffers[]): SaeConfig[] {
  return saes.map(({ config }) => config);
}

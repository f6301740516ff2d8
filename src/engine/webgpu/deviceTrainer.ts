// A trainer on the device: one batch after the other through all members, as many of them at once as there is memory for, reports read back while the next step may already be under way.
import type { Ensemble } from "../../sae/ensemble.ts";
import { innerWidths } from "../../sae/sae.ts";
import { EngineError, type MemberState, type StepInput, type StepReport, type TrainerConfig } from "../engine.ts";
import { allocateBatch } from "./batchMemory.ts";
import type { Gpu } from "./gpu.ts";
import { constantsFor, vec4s } from "./kernels.ts";
import { type Layouts, withPlainProduct } from "./layouts.ts";
import { type BatchBuffers, configsOf, MemberPass } from "./memberPass.ts";
import { HEADER_BYTES, innerErrorBytes, innerErrorStart, ROW_BYTES } from "./memoryPlan.ts";
import { provesItself } from "./productCheck.ts";
import { padded, SaeBuffers } from "./saeBuffers.ts";

/** Words of a Row and of the header in shared.wgsl. */
const ROW_WORDS = ROW_BYTES / 4;
const ERROR = 4;
const AUX_ERROR = 5;
const ACTIVE = 6;
const PENALTY = 7;
const LEAST = 8;
const DEAD_COUNT = 0;
const GRADIENT_NORM = 2;
const AUX_FACTOR = 3;
/** What `least` is where nothing is active. */
const NOTHING = 1e38;

interface Member {
  /** The buffers that it lies in, and its place there. */
  readonly sae: SaeBuffers;
  readonly place: number;
  step: number;
  topk_threshold: number;
}

/** Members that are trained by one set of dispatches: [first, first + count) of all. */
interface Together {
  readonly first: number;
  readonly count: number;
  readonly pass: MemberPass;
}

export class DeviceTrainer {
  readonly #gpu: Gpu;
  readonly #config: TrainerConfig;
  readonly #largestBuffer: number;
  readonly #layouts: Layouts;
  readonly #autocast: boolean;
  readonly #members: Member[] = [];
  #room: SaeBuffers[] = [];
  #together: Together[] = [];
  readonly #frozen: { readonly sae: SaeBuffers; pass: MemberPass | undefined }[] = [];
  readonly #stagings: GPUBuffer[] = [];
  #batch: BatchBuffers | undefined;
  /** Work is given to the device in order, and read in the same order. */
  #issued: Promise<unknown> = Promise.resolve();
  #read: Promise<unknown> = Promise.resolve();

  constructor(gpu: Gpu, config: TrainerConfig, largestBuffer: number, layouts: Layouts, autocast = false) {
    this.#gpu = gpu;
    this.#config = config;
    this.#largestBuffer = largestBuffer;
    this.#layouts = layouts;
    this.#autocast = autocast;
  }

  /** The finished members of a boosting run, on whose residual this one trains. */
  async freeze(ensemble: Ensemble): Promise<void> {
    for (const member of ensemble.members) {
      this.#frozen.push({ sae: await SaeBuffers.ofSae(this.#gpu, member, this.#largestBuffer), pass: undefined });
    }
  }

  /** Before any member is added: their buffers. */
  async prepare(members: number): Promise<void> {
    this.#room = await SaeBuffers.forTraining(this.#gpu, this.#config, members, this.#largestBuffer);
  }

  add(state: MemberState): void {
    let place = this.#members.length;
    const sae = this.#room.find(({ members }) => {
      if (place < members) return true;
      place -= members;
      return false;
    });
    if (!sae) throw new EngineError(`there is room for ${this.#members.length} members and no more`);
    sae.writeState(place, this.#config, state);
    this.#members.push({ sae, place, step: state.step, topk_threshold: state.topk_threshold });
  }

  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    const before = this.#read;
    const issued = this.#issued.then(() => this.#issue(x, rows, input, before));
    this.#issued = issued.catch(() => {});
    const reports = issued.then(async (staging) => {
      await before;
      return this.#reports(staging, rows, input);
    });
    this.#read = reports.catch(() => {});
    return reports;
  }

  async state(member: number): Promise<MemberState> {
    await this.#issued;
    await this.#read;
    const { sae, place, step, topk_threshold } = this.#members[member]!;
    return { ...(await sae.state(place, this.#config)), topk_threshold, step };
  }

  async close(): Promise<void> {
    await this.#issued;
    await this.#read;
    this.#release();
    for (const sae of [...this.#room, ...this.#frozen.map((one) => one.sae)]) sae.destroy();
  }

  /** `before`: the reports of the step before. */
  async #issue(x: Float32Array, rows: number, input: StepInput, before: Promise<unknown>): Promise<GPUBuffer> {
    const { sae: config } = this.#config;
    const { d_in } = config;
    if (x.length !== rows * d_in || rows === 0) {
      throw new EngineError(`a batch of ${x.length} values is not ${rows} rows of d_in ${d_in}`);
    }
    if (this.#batch?.rows !== rows) {
      await before;
      await this.#lay(rows, padded(x, d_in));
    }
    const { buffers } = this.#batch!;
    this.#gpu.write(buffers["activations"]!, padded(x, d_in));
    for (const { pass } of this.#frozen) {
      pass!.prepare();
      this.#gpu.submit([...pass!.begin(), ...pass!.microBatches.flatMap((_, part) => pass!.encode(part))]);
    }
    const staging = this.#stagings.pop() ?? this.#gpu.staging(this.#stagingBytes(rows));
    const headers = this.#members.length * rows * ROW_BYTES;
    const V = vec4s(d_in);
    for (const { first, count, pass } of this.#together) {
      const members = this.#members.slice(first, first + count);
      for (const member of members) member.step += 1;
      pass.prepare({ input, count: members[0]!.step });
      this.#gpu.submit([
        ...(first === 0 ? [pass.targetDeviations()] : []),
        ...pass.step(),
        (encoder) => {
          encoder.copyBufferToBuffer(buffers["rows"]!, 0, staging, first * rows * ROW_BYTES, count * rows * ROW_BYTES);
          for (const [m, { sae, place }] of members.entries()) {
            const innerBytes = innerErrorBytes(config, rows);
            if (innerBytes > 0) {
              const from = innerErrorStart(config, rows, m);
              const to = this.#innerErrorsAt(rows) + (first + m) * innerBytes;
              encoder.copyBufferToBuffer(buffers["activations"]!, from, staging, to, innerBytes);
            }
            const bias = sae.startOf(place, "bias");
            encoder.copyBufferToBuffer(
              sae.buffers["bias"]!,
              bias,
              staging,
              headers + (first + m) * HEADER_BYTES,
              HEADER_BYTES,
            );
          }
          if (first > 0) return;
          const columns = headers + this.#members.length * HEADER_BYTES;
          encoder.copyBufferToBuffer(
            members[0]!.sae.buffers["bias"]!,
            HEADER_BYTES + 4 * V * 16,
            staging,
            columns,
            V * 16,
          );
        },
      ]);
    }
    return staging;
  }

  #stagingBytes(rows: number): number {
    return this.#innerErrorsAt(rows) + this.#members.length * innerErrorBytes(this.#config.sae, rows);
  }

  /** In a staging buffer, behind what every SAE has. */
  #innerErrorsAt(rows: number): number {
    return this.#members.length * (rows * ROW_BYTES + HEADER_BYTES) + vec4s(this.#config.sae.d_in) * 16;
  }

  /** `first`: the first of the batches of this many rows, on which the product proves itself. */
  async #lay(rows: number, first: Float32Array, isPlain = false): Promise<void> {
    this.#release();
    const { sae, max_grad_norm } = this.#config;
    const frozen = this.#frozen.map((one) => one.sae);
    const best = await this.#layouts.for(sae, rows, this.#autocast);
    const layout = isPlain ? withPlainProduct(best) : best;
    const batch = await allocateBatch(this.#gpu, {
      saes: [sae, ...configsOf(frozen)],
      rows,
      members: Math.max(...this.#room.map(({ members }) => members)),
      training: this.#config,
      keepsGradients: max_grad_norm !== null,
      largestBuffer: this.#largestBuffer,
      mostRows: layout.mostRows,
    });
    const fused = batch.buffers["gradients"] === undefined;
    const constants = constantsFor(sae, { training: this.#config, fused });
    for (const { first, count } of this.#sharedPasses(batch.plan.together)) {
      const { sae: buffers, place } = this.#members[first]!;
      const range = { first: place, count };
      const pass = new MemberPass(this.#gpu, buffers, batch, constants, layout, this.#config, range);
      this.#together.push({ first, count, pass });
    }
    this.#batch = batch;
    await this.#layFrozen(rows, batch, first);
    if (isPlain) return;
    for (const { pass } of this.#together) {
      if (await provesItself(this.#gpu, this.#layouts, layout, pass, batch.buffers, first)) continue;
      return this.#lay(rows, first, true);
    }
  }

  /** What the finished members leave over is what evaluation will see of them: their products are never rounded to float16, and each one proves itself. */
  async #layFrozen(rows: number, batch: BatchBuffers, first: Float32Array): Promise<void> {
    for (const one of this.#frozen) {
      const chain = constantsFor(one.sae.config, { chain: true });
      const layout = await this.#layouts.for(one.sae.config, rows, false);
      one.pass = new MemberPass(this.#gpu, one.sae, batch, chain, layout);
      if (await provesItself(this.#gpu, this.#layouts, layout, one.pass, batch.buffers, first)) continue;
      one.pass.destroy();
      one.pass = new MemberPass(this.#gpu, one.sae, batch, chain, withPlainProduct(layout));
    }
  }

  /** Neighbours in the same buffers that have taken the same number of steps, at most so many. */
  #sharedPasses(most: number): { first: number; count: number }[] {
    const passes: { first: number; count: number }[] = [];
    for (const [m, member] of this.#members.entries()) {
      const last = passes.at(-1);
      const before = last && this.#members[last.first]!;
      if (last && last.count < most && before!.sae === member.sae && before!.step === member.step) last.count += 1;
      else passes.push({ first: m, count: 1 });
    }
    return passes;
  }

  #release(): void {
    for (const { pass } of [...this.#together.splice(0), ...this.#frozen]) pass?.destroy();
    for (const buffer of Object.values(this.#batch?.buffers ?? {})) buffer.destroy();
    for (const staging of this.#stagings.splice(0)) staging.destroy();
    this.#batch = undefined;
  }

  async #reports(staging: GPUBuffer, rows: number, input: StepInput): Promise<StepReport[]> {
    const bytes = await this.#gpu.read(staging, this.#stagingBytes(rows));
    this.#stagings.push(staging);
    const headers = this.#members.length * rows * ROW_BYTES;
    const { sae } = this.#config;
    const columns = new Float32Array(bytes, headers + this.#members.length * HEADER_BYTES, vec4s(sae.d_in) * 4);
    const innerBytes = innerErrorBytes(sae, rows);
    const deviation = columns.reduce((sum, value) => sum + value, 0);
    return this.#members.map((member, m) => {
      const known = new Float32Array(bytes, m * rows * ROW_BYTES, rows * ROW_WORDS);
      const header = new Float32Array(bytes, headers + m * HEADER_BYTES, HEADER_BYTES / 4);
      const n_dead = new Uint32Array(bytes, headers + m * HEADER_BYTES, 1)[DEAD_COUNT]!;
      const inner = new Float32Array(bytes, this.#innerErrorsAt(rows) + m * innerBytes, innerBytes / 4);
      return this.#report(member, known, header, n_dead, inner, deviation, rows, input);
    });
  }

  #report(
    member: Member,
    known: Float32Array,
    header: Float32Array,
    n_dead: number,
    inner: Float32Array,
    deviation: number,
    rows: number,
    input: StepInput,
  ): StepReport {
    const { sae, max_grad_norm, topk_threshold_lr: rate } = this.#config;
    let [error, auxError, active, penalty, least] = [0, 0, 0, 0, Number.POSITIVE_INFINITY];
    for (let at = 0; at < known.length; at += ROW_WORDS) {
      error += known[at + ERROR]!;
      auxError += known[at + AUX_ERROR]!;
      active += known[at + ACTIVE]!;
      penalty += known[at + PENALTY]!;
      least = Math.min(least, known[at + LEAST]!);
    }
    if (sae.architecture === "batchtopk" && least < NOTHING)
      member.topk_threshold = (1 - rate) * member.topk_threshold + rate * least;
    const coefficient = input.sparsity_coefficient / rows;
    const losses: Record<string, number> = { mse_loss: error / rows };
    switch (sae.architecture) {
      case "standard":
        losses["l1_loss"] = coefficient * penalty;
        break;
      case "jumprelu":
        losses["l0_loss"] = coefficient * active;
        break;
      case "gated":
        losses["l1_loss"] = coefficient * penalty;
        losses["auxiliary_reconstruction_loss"] = auxError / rows;
        break;
      default: {
        const factor = header[AUX_FACTOR]!;
        losses["auxiliary_reconstruction_loss"] = factor === 0 ? 0 : (factor * auxError) / rows;
      }
    }
    for (const [level, width] of innerWidths(sae).entries()) {
      let squares = 0;
      for (let at = level; at < inner.length; at += inner.length / rows) squares += inner[at]!;
      losses[`inner_mse_loss_${width}`] = squares / rows;
    }
    return {
      loss: Object.values(losses).reduce((sum, loss) => sum + loss, 0),
      losses,
      l0: active / rows,
      explained_variance: deviation > 0 ? 1 - error / deviation : Number.NaN,
      grad_norm: max_grad_norm === null ? Number.NaN : header[GRADIENT_NORM]!,
      n_dead,
    };
  }
}

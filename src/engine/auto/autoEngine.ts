// The device chosen by trial: the first batches go to the processor and to the GPU, and the GPU goes on alone where it agrees and is quicker.
import type { Ensemble } from "../../sae/ensemble.ts";
import type {
  Encoded,
  Encoder,
  Engine,
  MemberState,
  StepInput,
  StepReport,
  Trainer,
  TrainerConfig,
} from "../engine.ts";
import { copyMemberState } from "../memberState.ts";

/** Steps that both take. The first of each isn't timed: it compiles, allocates and warms up. */
const TRIAL_STEPS = 4;
/** Relative, for losses of the first steps and for reconstructions: float32 summed in another order is far nearer. */
const AGREEMENT = 1e-3;
/** Where the GPU may round the operands of products to float16. */
const AGREEMENT_OF_HALVES = 2e-2;

export type Say = (level: "info" | "warning", message: string) => void;

/** One trial decides for the engine's whole life. */
export class AutoEngine implements Engine {
  readonly #cpu: Engine;
  readonly #gpu: Engine;
  readonly #say: Say;
  readonly #agreement: number;
  #chosen: Engine | undefined;

  constructor(cpu: Engine, gpu: Engine, say: Say, autocast = false) {
    this.#cpu = cpu;
    this.#gpu = gpu;
    this.#say = say;
    this.#agreement = autocast ? AGREEMENT_OF_HALVES : AGREEMENT;
  }

  /** "auto" until the trial is over. */
  get name(): string {
    return this.#chosen?.name ?? "auto";
  }

  get description(): string {
    return this.#chosen?.description ?? `${this.#gpu.description}, or ${this.#cpu.description}, by trial`;
  }

  async createTrainer(config: TrainerConfig, members: MemberState[], frozen?: Ensemble): Promise<Trainer> {
    if (this.#chosen) return this.#chosen.createTrainer(config, members, frozen);
    let onGpu: Trainer;
    try {
      onGpu = await this.#gpu.createTrainer(config, members.map(copyMemberState), frozen);
    } catch (error) {
      this.#choose(this.#cpu, `the GPU cannot train this (${(error as Error).message})`, "warning");
      return this.#cpu.createTrainer(config, members, frozen);
    }
    const onCpu = await this.#cpu.createTrainer(config, members, frozen);
    return new TrialTrainer(onCpu, onGpu, (outcome) => this.#decide(outcome), this.#agreement);
  }

  async createEncoder(ensemble: Ensemble): Promise<Encoder> {
    if (this.#chosen) return this.#chosen.createEncoder(ensemble);
    let onGpu: Encoder;
    try {
      onGpu = await this.#gpu.createEncoder(ensemble);
    } catch (error) {
      this.#choose(this.#cpu, `the GPU cannot encode with this (${(error as Error).message})`, "warning");
      return this.#cpu.createEncoder(ensemble);
    }
    const onCpu = await this.#cpu.createEncoder(ensemble);
    return new TrialEncoder(onCpu, onGpu, (outcome) => this.#decide(outcome));
  }

  async close(): Promise<void> {
    await this.#cpu.close();
    await this.#gpu.close();
  }

  /** True where the GPU has won. */
  #decide({ cpuMs, gpuMs, apart, failure }: Outcome): boolean {
    const times = `${gpuMs.toFixed(0)} ms against the processor's ${cpuMs.toFixed(0)}`;
    if (failure !== undefined) this.#choose(this.#cpu, `the GPU failed in its first batches (${failure})`, "warning");
    else if (!(apart <= this.#agreement))
      this.#choose(
        this.#cpu,
        `the GPU's results differ from the processor's by ${apart.toExponential(1)} (allowed ${this.#agreement})`,
        "warning",
      );
    else if (gpuMs >= cpuMs) this.#choose(this.#cpu, `the GPU agrees and takes ${times} a batch`);
    else this.#choose(this.#gpu, `it agrees with the processor and takes ${times} a batch`);
    return this.#chosen === this.#gpu;
  }

  #choose(engine: Engine, why: string, level: "info" | "warning" = "info"): void {
    if (this.#chosen) return;
    this.#chosen = engine;
    this.#say(level, `device ${engine.name} (${engine.description}): ${why}`);
  }
}

interface Outcome {
  /** Of a batch, at the quickest. */
  readonly cpuMs: number;
  readonly gpuMs: number;
  /** Largest relative difference. */
  readonly apart: number;
  readonly failure?: string;
}

class TrialTrainer implements Trainer {
  #onCpu: Trainer | undefined;
  #onGpu: Trainer | undefined;
  readonly #decide: (outcome: Outcome) => boolean;
  readonly #agreement: number;
  readonly #cpuMs: number[] = [];
  readonly #gpuMs: number[] = [];
  #apart = 0;
  /** Steps are taken one after the other, also where a caller doesn't wait. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(onCpu: Trainer, onGpu: Trainer, decide: (outcome: Outcome) => boolean, agreement: number) {
    this.#onCpu = onCpu;
    this.#onGpu = onGpu;
    this.#decide = decide;
    this.#agreement = agreement;
  }

  get takesAhead(): boolean {
    return this.#only()?.takesAhead ?? false;
  }

  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    const only = this.#only();
    if (only) return only.step(x, rows, input);
    return this.#next(() => this.#try(x, rows, input));
  }

  state(): Promise<MemberState[]> {
    return this.#next(() => (this.#onCpu ?? this.#onGpu)!.state());
  }

  async close(): Promise<void> {
    await this.#next(async () => {
      await this.#onCpu?.close();
      await this.#onGpu?.close();
    });
  }

  /** The trainer that goes on alone. */
  #only(): Trainer | undefined {
    return this.#onCpu && this.#onGpu ? undefined : (this.#onCpu ?? this.#onGpu);
  }

  async #try(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    const only = this.#only();
    if (only) return only.step(x, rows, input);
    const [reports, cpuMs] = await timed(() => this.#onCpu!.step(x, rows, input));
    let theirs: StepReport[];
    try {
      const [own, gpuMs] = await timed(() => this.#onGpu!.step(x, rows, input));
      theirs = own;
      this.#gpuMs.push(gpuMs);
    } catch (error) {
      await this.#end({ cpuMs, gpuMs: 0, apart: 0, failure: (error as Error).message });
      return reports;
    }
    this.#cpuMs.push(cpuMs);
    for (const [m, { loss }] of reports.entries()) this.#apart = larger(this.#apart, apart(theirs[m]!.loss, loss));
    if (!(this.#apart <= this.#agreement) || this.#cpuMs.length === TRIAL_STEPS) {
      const quickest = (times: number[]) => Math.min(...(times.length > 1 ? times.slice(1) : times));
      await this.#end({ cpuMs: quickest(this.#cpuMs), gpuMs: quickest(this.#gpuMs), apart: this.#apart });
    }
    return reports;
  }

  async #end(outcome: Outcome): Promise<void> {
    if (this.#decide(outcome)) {
      await this.#onCpu?.close();
      this.#onCpu = undefined;
    } else {
      await this.#onGpu?.close();
      this.#onGpu = undefined;
    }
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

class TrialEncoder implements Encoder {
  #onCpu: Encoder | undefined;
  #onGpu: Encoder | undefined;
  readonly #decide: (outcome: Outcome) => boolean;
  #last: Promise<unknown> = Promise.resolve();

  constructor(onCpu: Encoder, onGpu: Encoder, decide: (outcome: Outcome) => boolean) {
    this.#onCpu = onCpu;
    this.#onGpu = onGpu;
    this.#decide = decide;
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    const result = this.#last.then(() => this.#encode(x, rows));
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#onCpu?.close();
    await this.#onGpu?.close();
  }

  async #encode(x: Float32Array, rows: number): Promise<Encoded> {
    if (!this.#onCpu || !this.#onGpu) return (this.#onCpu ?? this.#onGpu)!.encode(x, rows);
    // Once for warmth, once for the clock.
    await this.#onCpu.encode(x, rows);
    const [ours, cpuMs] = await timed(() => this.#onCpu!.encode(x, rows));
    let outcome: Outcome;
    try {
      await this.#onGpu.encode(x, rows);
      const [theirs, gpuMs] = await timed(() => this.#onGpu!.encode(x, rows));
      outcome = { cpuMs, gpuMs, apart: distance(theirs.reconstruction, ours.reconstruction) };
    } catch (error) {
      outcome = { cpuMs, gpuMs: 0, apart: 0, failure: (error as Error).message };
    }
    if (this.#decide(outcome)) {
      await this.#onCpu.close();
      this.#onCpu = undefined;
    } else {
      await this.#onGpu.close();
      this.#onGpu = undefined;
    }
    return ours;
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

function apart(a: number, b: number): number {
  return a === b ? 0 : Math.abs(a - b) / Math.max(Math.abs(b), 1e-12);
}

/** ‖a − b‖ / ‖b‖ */
function distance(a: Float32Array, b: Float32Array): number {
  let squares = 0;
  let scale = 0;
  for (let at = 0; at < b.length; at++) {
    squares += (a[at]! - b[at]!) ** 2;
    scale += b[at]! ** 2;
  }
  return squares === 0 ? 0 : Math.sqrt(squares / scale);
}

/** NaN wins: a result that is no number does not agree. */
function larger(a: number, b: number): number {
  return Number.isNaN(b) || b > a ? b : a;
}

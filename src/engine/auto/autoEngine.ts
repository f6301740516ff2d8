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
import { type Difference, encodedDifferences, reportDifferences, stateDifferences, worst } from "./agreement.ts";

/** Steps that both take. The first of each isn't timed: it compiles, allocates and warms up. */
const TRIAL_STEPS = 4;
/** Relative, for losses of the first steps, codes and reconstructions (agreement.ts has what the rest may differ by): float32 summed in another order is far nearer. */
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
    // Taken before the processor's engine owns the states.
    const start = copyMemberState(members[0]!);
    const onCpu = await this.#cpu.createTrainer(config, members, frozen);
    return new TrialTrainer(onCpu, onGpu, { config, start }, (outcome) => this.#decide(outcome), this.#agreement);
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
  #decide({ cpuMs, gpuMs, difference, failure }: Outcome): boolean {
    const { what, apart, allowed } = difference;
    const most = allowed * this.#agreement;
    const times = `${gpuMs.toFixed(0)} ms against the processor's ${cpuMs.toFixed(0)}`;
    if (failure !== undefined) this.#choose(this.#cpu, `the GPU failed in its first batches (${failure})`, "warning");
    else if (!(apart <= most))
      this.#choose(
        this.#cpu,
        `the GPU's results differ from the processor's by ${apart.toExponential(1)} (${what}; allowed ${most})`,
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
  /** The largest, for what is allowed of it. */
  readonly difference: Difference;
  readonly failure?: string;
}

const NONE: Difference = { what: "nothing", apart: 0, allowed: 1 };

class TrialTrainer implements Trainer {
  #onCpu: Trainer | undefined;
  #onGpu: Trainer | undefined;
  /** How they train, and the first member before its first step; not kept once the trial is over. */
  #given: { readonly config: TrainerConfig; readonly start: MemberState } | undefined;
  readonly #decide: (outcome: Outcome) => boolean;
  readonly #agreement: number;
  readonly #cpuMs: number[] = [];
  readonly #gpuMs: number[] = [];
  #difference = NONE;
  /** Steps are taken one after the other, also where a caller doesn't wait. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    onCpu: Trainer,
    onGpu: Trainer,
    given: { readonly config: TrainerConfig; readonly start: MemberState },
    decide: (outcome: Outcome) => boolean,
    agreement: number,
  ) {
    this.#onCpu = onCpu;
    this.#onGpu = onGpu;
    this.#given = given;
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

  state(member?: number): Promise<MemberState[]> {
    return this.#next(() => (this.#onCpu ?? this.#onGpu)!.state(member));
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
      await this.#end({ cpuMs, gpuMs: 0, difference: NONE, failure: (error as Error).message });
      return reports;
    }
    this.#cpuMs.push(cpuMs);
    this.#difference = worst([
      this.#difference,
      ...reports.flatMap((report, m) => reportDifferences(theirs[m]!, report, rows)),
    ]);
    if (!this.#agrees() || this.#cpuMs.length === TRIAL_STEPS) await this.#judge();
    return reports;
  }

  #agrees(): boolean {
    return this.#difference.apart <= this.#difference.allowed * this.#agreement;
  }

  /** Reports say nothing of what a step did to the weights: at the end of a warm-up's first steps they hardly moved. So the first member's state is compared too. */
  async #judge(): Promise<void> {
    const quickest = (times: number[]) => Math.min(...(times.length > 1 ? times.slice(1) : times));
    const [cpuMs, gpuMs] = [quickest(this.#cpuMs), quickest(this.#gpuMs)];
    if (this.#agrees() && gpuMs < cpuMs) {
      const { config, start } = this.#given!;
      try {
        const [[found], [expected]] = [await this.#onGpu!.state(0), await this.#onCpu!.state(0)];
        this.#difference = worst([this.#difference, ...stateDifferences(found!, expected!, start, config)]);
      } catch (error) {
        return this.#end({ cpuMs, gpuMs, difference: NONE, failure: (error as Error).message });
      }
    }
    await this.#end({ cpuMs, gpuMs, difference: this.#difference });
  }

  async #end(outcome: Outcome): Promise<void> {
    this.#given = undefined;
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
      outcome = { cpuMs, gpuMs, difference: worst(encodedDifferences(theirs, ours)) };
    } catch (error) {
      outcome = { cpuMs, gpuMs: 0, difference: NONE, failure: (error as Error).message };
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

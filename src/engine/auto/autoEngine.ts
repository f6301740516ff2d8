// The device chosen by trial: the first batches go to the processor and to the GPU, and the GPU goes on alone where it agrees and is quicker.
import { Turns } from "../../formats/turns.ts";
import type { Ensemble } from "../../sae/ensemble.ts";
import type {
  Encoded,
  Encoder,
  Engine,
  MemberState,
  SparseCodes,
  StepInput,
  StepReport,
  Trainer,
  TrainerConfig,
} from "../engine.ts";
import { copyMemberState } from "../memberState.ts";
import {
  agrees,
  type Difference,
  encodedDifferences,
  mostAllowed,
  reportDifferences,
  stateDifferences,
  worst,
} from "./agreement.ts";

/** Steps that both take. The first of each isn't timed: it compiles, allocates and warms up. */
const TRIAL_STEPS = 4;
/** Relative, for losses of the first steps, codes and reconstructions (agreement.ts has what the rest may differ by): float32 summed in another order is far nearer. */
const AGREEMENT = 1e-3;
/** Where the GPU may round the operands of products to float16, which it never does in encoding. */
const AGREEMENT_OF_HALVES = 2e-2;

export type Say = (level: "info" | "warning", message: string) => void;

/** The first trial decides for the engine's whole life; where that is the GPU, each encoder still compares its first batch, and one that differs goes to the processor by itself. */
export class AutoEngine implements Engine {
  readonly #cpu: Engine;
  readonly #gpu: Engine;
  readonly #say: Say;
  readonly #agreement: number;
  #chosen: Engine | undefined;
  /** Trials take turns, so that none is timed beside another. */
  #trials: Promise<unknown> = Promise.resolve();
  #gpuEnds: Promise<void> | undefined;

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
    if (this.#chosen === this.#cpu) return this.#cpu.createEncoder(ensemble);
    let onGpu: Encoder;
    try {
      onGpu = await this.#gpu.createEncoder(ensemble);
    } catch (error) {
      this.#encodeOnCpu(ensemble, `the GPU cannot encode with this (${(error as Error).message})`);
      return this.#cpu.createEncoder(ensemble);
    }
    return new TrialEncoder(onGpu, (first, x, rows) => {
      const trial = this.#trials.then(() => this.#tryEncoder(ensemble, first, x, rows));
      this.#trials = trial.catch(() => {});
      return trial;
    });
  }

  async close(): Promise<void> {
    await this.#cpu.close();
    await (this.#gpuEnds ?? this.#gpu.close());
  }

  /** An encoder's first batch, by both. What comes of it is the winner's, as all that follows: a job that goes on in another process has the same bits. */
  async #tryEncoder(ensemble: Ensemble, onGpu: Encoder, x: Float32Array, rows: number): ReturnType<TryBoth> {
    const onCpu = await this.#cpu.createEncoder(ensemble);
    const isDecided = this.#chosen !== undefined;
    // Once for warmth, once for the clock; where nothing is left to be decided by it, once.
    if (!isDecided) await onCpu.encode(x, rows);
    const [expected, cpuMs] = await timed(() => onCpu.encode(x, rows));
    if (this.#chosen === this.#cpu) {
      await onGpu.close();
      return { encoded: expected, encoder: onCpu };
    }
    let found: Encoded | undefined;
    let outcome: Outcome;
    try {
      if (!isDecided) await onGpu.encode(x, rows);
      const [own, gpuMs] = await timed(() => onGpu.encode(x, rows));
      found = own;
      outcome = { cpuMs, gpuMs, difference: worst(encodedDifferences(found, expected), AGREEMENT) };
    } catch (error) {
      outcome = { cpuMs, gpuMs: 0, difference: NONE, failure: (error as Error).message };
    }
    const why = whyNot(outcome, AGREEMENT);
    if (why !== undefined) this.#encodeOnCpu(ensemble, why);
    else if (!isDecided) this.#decideByTime(outcome);
    if (found && why === undefined && this.#chosen === this.#gpu) {
      await onCpu.close();
      return { encoded: found, encoder: onGpu };
    }
    await onGpu.close();
    return { encoded: expected, encoder: onCpu };
  }

  /** True where the GPU has won. */
  #decide(outcome: Outcome): boolean {
    const why = whyNot(outcome, this.#agreement);
    if (why === undefined) this.#decideByTime(outcome);
    else this.#choose(this.#cpu, why, "warning");
    return this.#chosen === this.#gpu;
  }

  #decideByTime({ cpuMs, gpuMs }: Outcome): void {
    const times = `${gpuMs.toFixed(0)} ms against the processor's ${cpuMs.toFixed(0)}`;
    if (gpuMs >= cpuMs) this.#choose(this.#cpu, `the GPU agrees and takes ${times} a batch`);
    else this.#choose(this.#gpu, `it agrees with the processor and takes ${times} a batch`);
  }

  /** Where the GPU has been chosen already it goes on with all else. */
  #encodeOnCpu({ members, seeds }: Ensemble, why: string): void {
    const which = members.length === 1 ? `the SAE of seed ${seeds[0]}` : `the ensemble of ${members.length} SAEs`;
    if (this.#chosen !== this.#gpu) this.#choose(this.#cpu, why, "warning");
    else this.#say("warning", `device ${this.#cpu.name} for encoding with ${which}: ${why}`);
  }

  #choose(engine: Engine, why: string, level: "info" | "warning" = "info"): void {
    if (this.#chosen) return;
    this.#chosen = engine;
    this.#say(level, `device ${engine.name} (${engine.description}): ${why}`);
    // Nothing is asked of it any more: its process and its memory go. One that is dead already has nothing to close.
    if (engine === this.#cpu) this.#gpuEnds = this.#gpu.close().catch(() => {});
  }
}

/** Why the GPU is not taken for what it computed; undefined where it agrees. */
function whyNot({ difference, failure }: Outcome, agreement: number): string | undefined {
  if (failure !== undefined) return `the GPU failed in its first batches (${failure})`;
  if (agrees(difference, agreement)) return undefined;
  const { what, apart } = difference;
  return `the GPU's results differ from the processor's by ${apart.toExponential(1)} (${what}; allowed ${mostAllowed(difference, agreement)})`;
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
  readonly #turns = new Turns();

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
    return this.#turns.take(() => this.#try(x, rows, input));
  }

  state(member?: number): Promise<MemberState[]> {
    return this.#turns.take(() => (this.#onCpu ?? this.#onGpu)!.state(member));
  }

  async close(): Promise<void> {
    await this.#turns.take(async () => {
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
    const own = reports.flatMap((report, m) => reportDifferences(theirs[m]!, report, rows));
    this.#difference = worst([this.#difference, ...own], this.#agreement);
    if (!this.#agrees() || this.#cpuMs.length === TRIAL_STEPS) await this.#judge();
    return reports;
  }

  #agrees(): boolean {
    return agrees(this.#difference, this.#agreement);
  }

  /** Reports say nothing of what a step did to the weights: at the end of a warm-up's first steps they hardly moved. So the first member's state is compared too. */
  async #judge(): Promise<void> {
    const quickest = (times: number[]) => Math.min(...(times.length > 1 ? times.slice(1) : times));
    const [cpuMs, gpuMs] = [quickest(this.#cpuMs), quickest(this.#gpuMs)];
    if (this.#agrees() && gpuMs < cpuMs) {
      const { config, start } = this.#given!;
      try {
        const [[found], [expected]] = [await this.#onGpu!.state(0), await this.#onCpu!.state(0)];
        const own = stateDifferences(found!, expected!, start, config);
        this.#difference = worst([this.#difference, ...own], this.#agreement);
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
}

/** What a first batch comes to, and who goes on. */
type TryBoth = (onGpu: Encoder, x: Float32Array, rows: number) => Promise<{ encoded: Encoded; encoder: Encoder }>;

/** Compares its first batch with rows in it; from then on the encoder that won is asked. */
class TrialEncoder implements Encoder {
  #encoder: Encoder;
  #isTried = false;
  readonly #try: TryBoth;
  readonly #turns = new Turns();

  constructor(onGpu: Encoder, tryBoth: TryBoth) {
    this.#encoder = onGpu;
    this.#try = tryBoth;
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    return this.#turns.take(async () => (await this.#tried(x, rows)) ?? this.#encoder.encode(x, rows));
  }

  codes(x: Float32Array, rows: number): Promise<SparseCodes> {
    return this.#turns.take(async () => (await this.#tried(x, rows))?.codes ?? this.#encoder.codes(x, rows));
  }

  async close(): Promise<void> {
    await this.#turns.over();
    await this.#encoder.close();
  }

  /** What the trial came to, where this batch is the one. */
  async #tried(x: Float32Array, rows: number): Promise<Encoded | undefined> {
    if (this.#isTried || rows === 0) return;
    const { encoded, encoder } = await this.#try(this.#encoder, x, rows);
    this.#encoder = encoder;
    this.#isTried = true;
    return encoded;
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

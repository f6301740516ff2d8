// The CPU engine's Trainer: members' states in shared memory, steps by the worker threads.
import { Turns } from "../../formats/turns.ts";
import { parameterNames } from "../../sae/sae.ts";
import {
  type Encoder,
  EngineError,
  type MemberState,
  type StepInput,
  type StepReport,
  type Trainer,
  type TrainerConfig,
} from "../engine.ts";
import { newMemberState } from "../memberState.ts";
import type { Memories } from "./memories.ts";
import type { Team } from "./team.ts";
import type { StepOutcome } from "./trainStep.ts";

const SPARSE_FIRST = ["step", "denseStep"] as const;
const DENSE_FIRST = ["denseStep", "step"] as const;

export class CpuTrainer implements Trainer {
  readonly #config: TrainerConfig;
  readonly #team: Team;
  readonly #memories: Memories;
  readonly #job: number;
  readonly #frozen: Encoder | undefined;
  readonly #steps: number[];
  /** Which members took their last step by dense products. */
  readonly #dense: boolean[] = [];
  /** Steps are taken one after the other, also where a caller doesn't wait. */
  readonly #turns = new Turns();

  private constructor(
    config: TrainerConfig,
    team: Team,
    memories: Memories,
    job: number,
    frozen: Encoder | undefined,
    steps: number[],
  ) {
    this.#config = config;
    this.#team = team;
    this.#memories = memories;
    this.#job = job;
    this.#frozen = frozen;
    this.#steps = steps;
  }

  static async open(
    config: TrainerConfig,
    members: readonly MemberState[],
    frozen: Encoder | undefined,
    team: Team,
    memories: Memories,
    job: number,
  ): Promise<CpuTrainer> {
    for (const [m, state] of members.entries()) putState(memories, m, state, config);
    await team.call({ kind: "open", job, description: memories.description });
    return new CpuTrainer(
      config,
      team,
      memories,
      job,
      frozen,
      members.map((state) => state.step),
    );
  }

  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    return this.#turns.take(() => this.#step(x, rows, input));
  }

  state(member?: number): Promise<MemberState[]> {
    const own = (m: number) => getState(this.#memories, m, this.#steps[m]!, this.#config);
    return this.#turns.take(async () => (member === undefined ? this.#steps.map((_, m) => own(m)) : [own(member)]));
  }

  async close(): Promise<void> {
    await this.#turns.take(async () => {
      await this.#frozen?.close();
      await this.#team.call({ kind: "close", job: this.#job });
    });
  }

  async #step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    const { d_in, normalize_activations } = this.#config.sae;
    if (x.length !== rows * d_in || rows === 0) {
      throw new EngineError(`a batch of ${x.length} values is not ${rows} rows of d_in ${d_in}`);
    }
    let target = x;
    if (this.#frozen) {
      const { reconstruction } = await this.#frozen.encode(x, rows);
      target = x.map((value, at) => value - reconstruction[at]!);
    }
    await this.#memories.lay(rows, this.#team, this.#job);
    this.#memories.putBatch(target, rows, d_in, normalize_activations);
    const reports: StepReport[] = [];
    for (let member = 0; member < this.#steps.length; member++) {
      const count = this.#steps[member]! + 1;
      reports.push(await this.#stepMember(member, rows, count, input));
      this.#steps[member] = count;
    }
    return reports;
  }

  /** By lists or by dense products: the batch decides, and the way of the step before is only tried first. */
  async #stepMember(member: number, rows: number, count: number, input: StepInput): Promise<StepReport> {
    const native = this.#memories.description.dense;
    const ways = !native ? ["step" as const] : this.#dense[member] ? DENSE_FIRST : SPARSE_FIRST;
    for (const kind of ways) {
      const step = { job: this.#job, member, count, input };
      const call =
        kind === "step" ? { ...step, kind } : { ...step, kind, buffers: this.#memories.denseBuffers(member, rows) };
      const outcomes = (await this.#team.call(call)) as StepOutcome[];
      for (const { laps } of outcomes) if (laps) this.#team.addLaps(laps);
      const report = outcomes.find((outcome) => outcome.report)?.report;
      if (!report) continue;
      this.#dense[member] = kind === "denseStep";
      return report;
    }
    throw new EngineError(
      "more latents are active than the lists hold: with onnxruntime-node such a batch is done by dense products; without it use a smaller batch",
    );
  }
}

function putState(memories: Memories, m: number, state: MemberState, config: TrainerConfig): void {
  memories.putWeights(m, "", state.weights);
  memories.putWeights(m, "v.", state.exp_avg_sq);
  if (config.adam_beta1 > 0) memories.putWeights(m, "m.", (state.exp_avg ?? newMemberState(state.weights, 1).exp_avg)!);
  memories.lasting[m * 2] = state.topk_threshold;
  for (const slab of memories.saes[m]!.slabs) {
    const last = memories.words(slab.bank, slab.at.last!, slab.padded).fill(state.step);
    if (state.last_updated) last.set(state.last_updated.subarray(slab.lo, slab.lo + slab.n));
    memories
      .words(slab.bank, slab.at.silent!, slab.n)
      .set(state.n_forward_passes_since_fired.subarray(slab.lo, slab.lo + slab.n));
  }
}

function getState(memories: Memories, m: number, step: number, config: TrainerConfig): MemberState {
  const names = parameterNames(config.sae.architecture);
  const F = config.sae.d_sae;
  const silent = new Uint32Array(F);
  const last = new Uint32Array(F);
  for (const slab of memories.saes[m]!.slabs) {
    silent.set(memories.words(slab.bank, slab.at.silent!, slab.n), slab.lo);
    last.set(memories.words(slab.bank, slab.at.last!, slab.n), slab.lo);
  }
  return {
    weights: memories.getWeights(m, "", names),
    ...(config.adam_beta1 > 0 ? { exp_avg: memories.getWeights(m, "m.", names) } : {}),
    exp_avg_sq: memories.getWeights(m, "v.", names),
    n_forward_passes_since_fired: silent,
    last_updated: last,
    topk_threshold: memories.lasting[m * 2]!,
    step,
  };
}

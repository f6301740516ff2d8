// Trains one SAE, a bagging ensemble, a boosting ensemble or the expanded baseline: the loop of steps over an engine and a stream of activations. No files (checkpoint.ts) and no arithmetic of SAEs (engine/).
import type { ActivationSource } from "../data/activationSource.ts";
import type { Engine, MemberState, StepReport, Trainer } from "../engine/engine.ts";
import { copyWeights, newMemberState } from "../engine/memberState.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { foldActivationScale, inferenceSae } from "../sae/fold.ts";
import { geometricMedian } from "../sae/geometricMedian.ts";
import { initialiseSae } from "../sae/initialise.ts";
import type { Sae } from "../sae/sae.ts";
import {
  expandedConfig,
  sparsityCoefficient,
  type TrainingSaeConfig,
  trainingSaeToConfig,
} from "../sae/trainingConfig.ts";
import { estimateScalingFactor, scaled } from "./activationScale.ts";
import { continues, planFingerprint, planIdentity } from "./planIdentity.ts";
import { learningRate, warmedUpCoefficient } from "./schedules.ts";
import { trainerConfig } from "./trainerConfig.ts";
import {
  type FinishedMember,
  type OpenActivations,
  TrainingError,
  type TrainingHooks,
  type TrainingOutcome,
  type TrainingPlan,
  type TrainingState,
  type TrainingStepEvent,
} from "./trainingRun.ts";
import { totalSteps } from "./trainingSettings.ts";

/**
 * Runs a plan to its end, or to where `hooks.signal` stops it, from its start or from `resume` (a state that
 * `hooks.checkpoint.save` was given), to the same bits either way.
 *
 * single, expanded: one SAE. bagging: all members on the same batches in one pass. boosting: member by member, each over
 * its own pass of the same data in the same order, on what the finished ones leave over.
 * Throws TrainingError (no data, a loss that is no number, a state of another plan) and whatever engine, source or hooks throw.
 */
export async function trainEnsemble(
  engine: Engine,
  plan: TrainingPlan,
  openActivations: OpenActivations,
  hooks: TrainingHooks = {},
  resume?: TrainingState,
): Promise<TrainingOutcome> {
  const sae = checkedSae(plan);
  const fingerprint = planFingerprint(plan);
  if (resume && !continues(plan, resume)) {
    throw new TrainingError(
      "the checkpoint belongs to another experiment: its settings or seeds differ from this one's",
    );
  }
  const scaling_factor = resume ? resume.scaling_factor : await scalingFactor(plan, openActivations, hooks);
  if (scaling_factor === "stopped") return { finished: false, stepsDone: 0 };
  const run: Run = { engine, plan, sae, openActivations, hooks, fingerprint, scaling_factor };
  const finished: FinishedMember[] = [...(resume?.finished ?? [])];
  const phases = plan.method === "boosting" ? plan.n_members : 1;
  let stepsDone = 0;
  for (let phase = resume?.member ?? 0; phase < phases; phase++) {
    const start = phase === resume?.member ? resume : undefined;
    const outcome = await trainPhase(run, phase, finished, start);
    stepsDone = phase * totalSteps(plan.settings) + outcome.step;
    if (outcome.members === null) return { finished: false, stepsDone };
    for (const { weights, topk_threshold } of outcome.members) finished.push({ weights, topk_threshold });
  }
  return { finished: true, ensemble: finishedEnsemble(run, finished), stepsDone };
}

interface Run {
  readonly engine: Engine;
  readonly plan: TrainingPlan;
  /** One trained SAE's settings: of a member, or of the expanded whole. */
  readonly sae: TrainingSaeConfig;
  readonly openActivations: OpenActivations;
  readonly hooks: TrainingHooks;
  readonly fingerprint: string;
  readonly scaling_factor: number | null;
}

function checkedSae(plan: TrainingPlan): TrainingSaeConfig {
  const trained = plan.method === "bagging" || plan.method === "boosting" ? plan.n_members : 1;
  if (!Number.isInteger(plan.n_members) || plan.n_members < 1)
    throw new RangeError(`n_members is ${plan.n_members}, not a whole number from 1`);
  if (plan.method === "single" && plan.n_members !== 1)
    throw new RangeError(`a single SAE has n_members 1, not ${plan.n_members}`);
  if (plan.seeds.length !== trained) throw new RangeError(`${plan.seeds.length} seeds for ${trained} SAEs to train`);
  return plan.method === "expanded" ? expandedConfig(plan.sae, plan.n_members) : plan.sae;
}

/** Null where activations are not scaled. Stopped on the way there is nothing to save yet. */
async function scalingFactor(
  plan: TrainingPlan,
  openActivations: OpenActivations,
  hooks: TrainingHooks,
): Promise<number | null | "stopped"> {
  if (plan.sae.normalize_activations !== "expected_average_only_in") return null;
  const source = await openActivations();
  try {
    const { train_batch_size_tokens: rows, n_batches_for_norm_estimate: batches } = plan.settings;
    return (await estimateScalingFactor(source, rows, batches, hooks)) ?? "stopped";
  } finally {
    await source.close();
  }
}

/** Trains the members of one phase; `members` is null where the run was stopped. */
async function trainPhase(
  run: Run,
  phase: number,
  finished: readonly FinishedMember[],
  start: TrainingState | undefined,
): Promise<{ step: number; members: MemberState[] | null }> {
  const { engine, plan, sae } = run;
  const frozen = phase === 0 ? undefined : frozenEnsemble(run, finished);
  const source = await run.openActivations(start?.cursor);
  let trainer: Trainer | undefined;
  try {
    if (source.d_in !== sae.d_in)
      throw new TrainingError(`the activations have width ${source.d_in}, the SAE has d_in ${sae.d_in}`);
    const members = start ? [...start.members] : freshMembers(run, phase);
    const first = (start?.step ?? 0) === 0 ? await initialiseBias(run, source, members, frozen) : null;
    trainer = await engine.createTrainer(trainerConfig(sae, plan.settings, plan.metadata), members, frozen);
    return await trainSteps(run, {
      phase,
      finished,
      source,
      trainer,
      first,
      step: start?.step ?? 0,
      tokens: start?.tokens ?? 0,
    });
  } finally {
    await trainer?.close();
    await source.close();
  }
}

function freshMembers(run: Run, phase: number): MemberState[] {
  const { plan, sae } = run;
  const seeds = plan.method === "boosting" ? [plan.seeds[phase]!] : plan.seeds;
  return seeds.map((seed) => newMemberState(initialiseSae(sae, seed), plan.settings.adam_beta1));
}

type Batch = { x: Float32Array; rows: number };

/** b_dec_init geometric_median: b_dec starts at the median of the first batch's targets. Returns that batch, which the first step then uses. */
async function initialiseBias(
  run: Run,
  source: ActivationSource,
  members: MemberState[],
  frozen: Ensemble | undefined,
): Promise<Batch | null> {
  // Stopped already: the run is saved at step 0 and comes here again when it goes on.
  if (run.sae.b_dec_init === "zeros" || run.hooks.signal?.aborted) return null;
  const batch = await source.next(run.plan.settings.train_batch_size_tokens);
  if (!batch) return null;
  let target = scaled(batch.x, run.scaling_factor);
  if (frozen) {
    const encoder = await run.engine.createEncoder(frozen);
    const { reconstruction } = await encoder.encode(target, batch.rows);
    await encoder.close();
    target = target.map((value, at) => value - reconstruction[at]!);
  }
  const median = geometricMedian(target, batch.rows, source.d_in);
  for (const { weights } of members) weights.b_dec.set(median);
  return batch;
}

interface Phase {
  readonly phase: number;
  readonly finished: readonly FinishedMember[];
  readonly source: ActivationSource;
  readonly trainer: Trainer;
  /** The first batch, if it was already needed. */
  readonly first: Batch | null;
  step: number;
  tokens: number;
}

async function trainSteps(run: Run, state: Phase): Promise<{ step: number; members: MemberState[] | null }> {
  const { plan, hooks } = run;
  const { source, trainer } = state;
  const total = totalSteps(plan.settings);
  const size = plan.settings.train_batch_size_tokens;
  const coefficient = sparsityCoefficient(run.sae);
  let savedAt = -1;
  const save = async (): Promise<void> => {
    if (!hooks.checkpoint || savedAt === state.step) return;
    await hooks.checkpoint.save(await currentState(run, state));
    savedAt = state.step;
  };

  // The next batch is made while a step is computed, and where the device takes it, given before that step's numbers are
  // waited for; but never across a point where the run may be saved: there source and members must stand exactly behind
  // the last step's batch.
  let pending: Promise<Batch | null> | null = state.first ? Promise.resolve(state.first) : null;
  let given = state.step;
  let underWay: { reports: Promise<StepReport[]>; rows: number; lr: number } | null = null;
  const settle = async (): Promise<void> => {
    if (underWay === null) return;
    const { reports, rows, lr } = underWay;
    underWay = null;
    const numbers = await reports;
    checkFinite(run, state, numbers, lr);
    state.step += 1;
    state.tokens += rows;
    hooks.onStep?.(stepEvent(run, state, numbers, lr));
  };
  try {
    while (given < total) {
      if (pending === null && hooks.signal?.aborted) {
        await settle();
        await save();
        return { step: state.step, members: null };
      }
      const batch: Batch | null = await (pending ?? source.next(size));
      pending = null;
      if (batch === null) break;
      const isDue = hooks.checkpoint?.due(state.phase * total + given + 1) ?? false;
      if (given + 1 < total && !isDue && !hooks.signal?.aborted) {
        pending = source.next(size);
        // A failure is thrown where it is awaited; without this it would end the process when the step fails first.
        pending.catch(() => {});
      }
      const lr = learningRate(plan.settings, given);
      const sparsity_coefficient = warmedUpCoefficient(coefficient, given);
      const reports = trainer.step(scaled(batch.x, run.scaling_factor), batch.rows, { lr, sparsity_coefficient });
      reports.catch(() => {});
      given += 1;
      await settle();
      underWay = { reports, rows: batch.rows, lr };
      if (isDue || !trainer.takesAhead) await settle();
      if (isDue) await save();
    }
    await settle();
  } finally {
    await pending?.catch(() => {});
  }
  if (state.step === 0)
    throw new TrainingError("there are no activations to train on: the text is empty or all of it was left out");
  if (state.step < total) {
    const seen = `after ${state.tokens} of ${plan.settings.training_tokens} tokens (step ${state.step} of ${total})`;
    hooks.onWarning?.(
      `the activations ended ${seen}: give more text or passes, or fewer training_tokens, so that the schedules end where the data does`,
    );
  }
  return { step: state.step, members: await trainer.state() };
}

async function currentState(run: Run, state: Phase): Promise<TrainingState> {
  return {
    fingerprint: run.fingerprint,
    plan: planIdentity(run.plan),
    members: await state.trainer.state(),
    member: state.phase,
    finished: state.finished,
    step: state.step,
    tokens: state.tokens,
    cursor: await state.source.cursor(),
    scaling_factor: run.scaling_factor,
    engine: run.engine.name,
    engine_description: run.engine.description,
  };
}

function checkFinite(run: Run, state: Phase, reports: readonly StepReport[], lr: number): void {
  reports.forEach((report, index) => {
    if (Number.isFinite(report.loss)) return;
    const member = run.plan.method === "boosting" ? state.phase : index;
    throw new TrainingError(
      `the loss of member ${member} is ${report.loss} at step ${state.step + 1} (lr ${lr}): lower lr, or look for activations that are no finite numbers`,
    );
  });
}

function stepEvent(run: Run, state: Phase, reports: readonly StepReport[], lr: number): TrainingStepEvent {
  const total = totalSteps(run.plan.settings);
  const phases = run.plan.method === "boosting" ? run.plan.n_members : 1;
  // Counted before the step. Until then nothing was silent long enough, and 0 would say that nothing is dead.
  const canBeDead = state.step - 1 > run.plan.settings.dead_feature_window;
  return {
    method: run.plan.method,
    step: state.step,
    totalSteps: total,
    tokens: state.tokens,
    stepsDone: state.phase * total + state.step,
    stepsInAll: phases * total,
    members: reports.map((report, index) => ({
      member: run.plan.method === "boosting" ? state.phase : index,
      loss: report.loss,
      mse: report.losses["mse_loss"] ?? Number.NaN,
      l0: report.l0,
      explained_variance: report.explained_variance,
      dead: canBeDead ? report.n_dead / run.sae.d_sae : Number.NaN,
      lr,
    })),
  };
}

/** A finished member as it is used, in the space in which it was trained. */
function trainedSae(run: Run, member: FinishedMember): Sae {
  const config = trainingSaeToConfig(run.sae, run.plan.metadata);
  return {
    config,
    // A copy: the checkpoint's members must not change under an engine that takes its arrays over.
    weights: copyWeights(member.weights),
    ...(config.architecture === "batchtopk" ? { topk_threshold: member.topk_threshold } : {}),
  };
}

/** The earlier members of a boosting run. They stay in the scaled space of training: one factor serves the whole chain. */
function frozenEnsemble(run: Run, finished: readonly FinishedMember[]): Ensemble {
  const members = finished.map((member) => inferenceSae(trainedSae(run, member)));
  const { seeds, hook } = run.plan;
  return {
    method: "boosting",
    members,
    weights: members.map(() => 1),
    seeds: seeds.slice(0, members.length),
    hook,
    provenance: {},
  };
}

function finishedEnsemble(run: Run, finished: readonly FinishedMember[]): Ensemble {
  const { plan, scaling_factor } = run;
  const members = finished.map((member) => {
    const sae = trainedSae(run, member);
    return inferenceSae(scaling_factor === null ? sae : foldActivationScale(sae, scaling_factor));
  });
  const { method, n_members, sae, settings } = plan;
  return {
    method: method === "expanded" ? "single" : method,
    members,
    weights: members.map(() => (method === "bagging" ? 1 / members.length : 1)),
    seeds: plan.seeds,
    hook: plan.hook,
    provenance: { ...plan.provenance, training: { method, n_members, sae, settings } },
  };
}

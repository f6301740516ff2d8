// What a training run is given, what it says while it runs, and what it needs to go on after a break. The running itself is trainEnsemble.ts.
import type { ActivationCursor, ActivationSource } from "../data/activationSource.ts";
import type { MemberState } from "../engine/engine.ts";
import type { TrainMemberNumbers } from "../protocol/runEvents.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import type { SaeMetadata, SaeWeights } from "../sae/sae.ts";
import type { TrainingSaeConfig } from "../sae/trainingConfig.ts";
import type { TrainingSettings } from "./trainingSettings.ts";

/** "expanded": the baseline, one SAE of n_members·d_sae features (k·n_members for the topk family). */
export type TrainingMethod = "single" | "bagging" | "boosting" | "expanded";

export interface TrainingPlan {
  readonly method: TrainingMethod;
  /** 1 for single. expanded: how many members' worth of features the one SAE has. */
  readonly n_members: number;
  /** One member's SAE. */
  readonly sae: TrainingSaeConfig;
  readonly settings: TrainingSettings;
  /** Seed of each member's initial weights; one for single and expanded. */
  readonly seeds: readonly number[];
  /** Hook point by TransformerLens' name. */
  readonly hook: string;
  /** model_name, context_size, …: goes into every member's cfg.json. */
  readonly metadata: SaeMetadata;
  /** JSON that goes into ensemble.json. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/**
 * Opens the stream of activations: at its beginning, or where a cursor stands. Opened once for single, bagging and
 * expanded, and once a member for boosting, always with the same order of the data; once more before training for
 * expected_average_only_in.
 */
export type OpenActivations = (cursor?: ActivationCursor) => Promise<ActivationSource>;

/** Numbers of one step, for a log, a bar or a dashboard. */
export interface TrainingStepEvent {
  readonly method: TrainingMethod;
  /** Steps that these members have taken, this one included. */
  readonly step: number;
  /** Steps that each member takes in all. */
  readonly totalSteps: number;
  /** Tokens seen by these members. */
  readonly tokens: number;
  /** Over the whole run, all members of a boosting run together. */
  readonly stepsDone: number;
  readonly stepsInAll: number;
  /** Those trained in this step: all of bagging, one of boosting. */
  readonly members: readonly TrainMemberNumbers[];
}

/** A member of a boosting run whose training is over, in its training form. */
export interface FinishedMember {
  readonly weights: SaeWeights;
  readonly topk_threshold: number;
}

/** Everything that a run needs to go on to the same bits. */
export interface TrainingState {
  /** Of the plan; a state is not continued with another plan. */
  readonly fingerprint: string;
  /** What of the plan the fingerprint is of; unknown for checkpoints of before. */
  readonly plan?: Readonly<Record<string, unknown>>;
  /** Members in training, in order; one for boosting. */
  readonly members: readonly MemberState[];
  /** Index of the first of them: 0, or for boosting the member in training. */
  readonly member: number;
  readonly finished: readonly FinishedMember[];
  /** Steps and tokens of the members in training. */
  readonly step: number;
  readonly tokens: number;
  /** Where the data stands. */
  readonly cursor: ActivationCursor;
  /** √d / mean‖x‖ of expected_average_only_in, else null. */
  readonly scaling_factor: number | null;
  /** Name of the engine that it was trained on last; unknown for checkpoints of before. */
  readonly engine?: string;
  /** What that engine says of its device: the same engine may go on on another one. */
  readonly engine_description?: string;
}

export interface TrainingHooks {
  readonly onStep?: (event: TrainingStepEvent) => void;
  /** Batches read of those from which the activations' mean norm is estimated, before the first step (expected_average_only_in). */
  readonly onEstimate?: (batches: number, of: number) => void;
  /** What a person should know and nothing else says: data that ended early, … */
  readonly onWarning?: (message: string) => void;
  readonly checkpoint?: {
    /** Asked before a step with the number of steps that will then have been done over the whole run. */
    readonly due: (stepsDone: number) => boolean;
    /** Awaited; training goes on when it is written. Called as well when `signal` stops the run. */
    readonly save: (state: TrainingState) => Promise<void>;
  };
  /** Stops at a step's boundary: at once after the step in hand, at most one more. Before the first step, while activations' norms are estimated, it stops without a state. */
  readonly signal?: AbortSignal;
}

export type TrainingOutcome =
  | {
      readonly finished: true;
      /** In inference form: ready to encode and to save. */
      readonly ensemble: Ensemble;
      readonly stepsDone: number;
    }
  | { readonly finished: false; readonly stepsDone: number };

/** Training went wrong in itself: a loss that is no number, no data. The message says what to do. */
export class TrainingError extends Error {
  override name = "TrainingError";
}

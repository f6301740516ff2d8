// Events that a job writes to its run folder, one JSON a line, and everyone who watches it reads: terminal, tree, dashboard.

/** Jobs in the order in which they build on each other. */
export const jobKinds = ["harvest", "train", "evaluate", "index", "debias", "concepts"] as const;
export type JobKind = (typeof jobKinds)[number];
export type RunState = "queued" | "running" | "stopped" | "failed" | "done";

/** Progress of one stage of a job. */
export interface ProgressEvent {
  readonly type: "progress";
  /** What is going on, for people: "harvest", "train bagging", … */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** What is counted: "tokens", "features", … */
  readonly unit: string;
  /** Units a second, of late; null while unknown. */
  readonly rate: number | null;
  /** Seconds left; null while unknown. */
  readonly eta: number | null;
}

/** Numbers of one training step, one entry a member. */
export interface TrainEvent {
  readonly type: "train";
  readonly stage: string;
  readonly step: number;
  /** Tokens seen so far by these members. */
  readonly tokens: number;
  readonly members: readonly TrainMemberNumbers[];
}

export interface TrainMemberNumbers {
  readonly member: number;
  readonly loss: number;
  readonly mse: number;
  readonly l0: number;
  readonly explained_variance: number;
  /** Share of dead latents. */
  readonly dead: number;
  readonly lr: number;
}

export interface LogEvent {
  readonly type: "log";
  readonly level: "info" | "warning" | "error";
  readonly message: string;
}

export interface StateEvent {
  readonly type: "state";
  readonly state: RunState;
  readonly reason?: string;
}

/** `time` is milliseconds since 1970. */
export type RunEvent = { readonly time: number } & (ProgressEvent | TrainEvent | LogEvent | StateEvent);

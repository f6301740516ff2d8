// Events that a job writes to its run folder, one JSON a line, and everyone who watches it reads: terminal, tree, dashboard. Shapes only.
import * as z from "zod";

/** Jobs in the order in which they build on each other. */
export const jobKinds = ["harvest", "train", "evaluate", "index", "debias", "concepts"] as const;
export type JobKind = (typeof jobKinds)[number];
export const runStates = ["queued", "running", "stopped", "failed", "done"] as const;
export type RunState = (typeof runStates)[number];

/** How far one stage of a job is. */
export const progress = z.object({
  /** What is going on, for people: "harvest", "train bagging", … */
  stage: z.string(),
  done: z.number(),
  total: z.number(),
  /** What is counted: "tokens", "features", … */
  unit: z.string(),
  /** Units a second, of late; null while unknown. */
  rate: z.number().nullable(),
  /** Seconds left; null while unknown. */
  eta: z.number().nullable(),
});
const progressEvent = progress.extend({ type: z.literal("progress") });
export type ProgressEvent = z.infer<typeof progressEvent>;

/** A number of a training: null where it was no number any more, which JSON can't say otherwise. */
const number = z.number().nullable();
const trainMemberNumbers = z.object({
  member: z.number().int(),
  loss: number,
  mse: number,
  l0: number,
  explained_variance: number,
  /** Share of dead latents; null before a latent can be dead. */
  dead: number,
  lr: number,
});
export type TrainMemberNumbers = Readonly<z.infer<typeof trainMemberNumbers>>;

/** Numbers of one training step, one entry a member. */
const trainEvent = z.object({
  type: z.literal("train"),
  stage: z.string(),
  step: z.number(),
  /** Tokens seen so far by these members. */
  tokens: z.number(),
  members: z.array(trainMemberNumbers).readonly(),
});
export type TrainEvent = z.infer<typeof trainEvent>;

const logEvent = z.object({
  type: z.literal("log"),
  level: z.enum(["info", "warning", "error"]),
  message: z.string(),
});

const stateEvent = z.object({ type: z.literal("state"), state: z.enum(runStates), reason: z.string().optional() });

/** `time` is milliseconds since 1970. */
const time = z.object({ time: z.number() });
export const runEvent = z.discriminatedUnion("type", [
  time.extend(progressEvent.shape),
  time.extend(trainEvent.shape),
  time.extend(logEvent.shape),
  time.extend(stateEvent.shape),
]);
export type RunEvent = z.infer<typeof runEvent>;

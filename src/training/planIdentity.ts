// What of a plan decides a training's bits, and whether a state may be gone on with by it.
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { completeTrainingSaeConfig, trainingSaeSchema } from "../sae/trainingConfig.ts";
import type { TrainingPlan, TrainingState } from "./trainingRun.ts";
import { trainingSettingsSchema } from "./trainingSettings.ts";

/** As JSON, keys by their names in an experiment. */
export type PlanIdentity = Readonly<Record<string, unknown>>;

export function planIdentity(plan: TrainingPlan): PlanIdentity {
  const { method, n_members, sae, settings, seeds, hook } = plan;
  return { method, n_members, sae, settings, seeds, hook };
}

export function planFingerprint(plan: TrainingPlan): string {
  return createHash("sha256")
    .update(JSON.stringify(planIdentity(plan)))
    .digest("hex");
}

/** Whether the plan goes on to the bits that the state's own plan would have come to. */
export function continues(plan: TrainingPlan, state: Pick<TrainingState, "fingerprint" | "plan">): boolean {
  if (state.fingerprint === planFingerprint(plan)) return true;
  return state.plan !== undefined && isDeepStrictEqual(completed(state.plan), asJson(planIdentity(plan)));
}

/** What an earlier version kept of a plan, with the defaults of keys that have come since. */
export function completed(before: PlanIdentity): PlanIdentity {
  const { d_in, ...options } = before["sae"] as Record<string, unknown>;
  const sae = trainingSaeSchema.safeParse(options);
  const settings = trainingSettingsSchema.safeParse(before["settings"]);
  // A key that is no more makes another plan of it.
  if (!sae.success || !settings.success) return before;
  return asJson({
    ...before,
    sae: completeTrainingSaeConfig(sae.data, d_in as number),
    settings: settings.data,
  });
}

function asJson(identity: PlanIdentity): PlanIdentity {
  return JSON.parse(JSON.stringify(identity)) as PlanIdentity;
}

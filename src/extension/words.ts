// How runs are put into words: durations, shares, one line for a run.
import { sep } from "node:path";
import type { NamedFeature } from "../protocol/inspection.ts";
import type { RunEntry } from "../protocol/service.ts";
import { withSigns } from "../protocol/whiteSpace.ts";

/** "12 s", "4 min", "1 h 20 min". */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A message in which files of the workspace's folders are called as they are there. */
export function namedFrom(folders: readonly string[], message: string): string {
  return folders.reduce((text, folder) => text.replaceAll(folder + sep, ""), message);
}

/** Whether a process has the run: at work, or in the queue. */
export function isAtWork(state: RunEntry["state"]): boolean {
  return state === "running" || state === "queued";
}

/** The one number that matters: "63% · 12 min left", "done in 4 min", why it stopped. */
export function describeRun(run: RunEntry): string {
  const { progress } = run;
  switch (run.state) {
    case "running": {
      if (!progress || progress.total === 0) return "starting";
      const percent = Math.floor((100 * progress.done) / progress.total);
      const left = progress.eta === null ? "" : ` · ${duration(progress.eta)} left`;
      return `${progress.stage} ${percent}%${left}`;
    }
    case "done":
      return run.started !== null && run.ended !== null
        ? `done in ${duration((run.ended - run.started) / 1000)}`
        : "done";
    case "queued":
      return run.ahead ? `queued, place ${run.ahead} · ${run.reason}` : "starting";
    default:
      return run.state;
  }
}

/** A token as it stands in running words: without its space, and white space alone made visible. */
export function tokenWords(text: string): string {
  return withSigns(text.trim() || text);
}

/** A feature's label or, without one, its three strongest tokens. */
export function featureWords({ label, tokens }: Pick<NamedFeature, "label" | "tokens">): string {
  return (
    label ||
    tokens
      .slice(0, 3)
      .map(({ text }) => tokenWords(text))
      .join(" ")
  );
}

/** Five blocks for a value over the feature's maximum. */
export function strengthBar(value: number, max: number | null): string {
  const filled = max ? Math.max(1, Math.round(5 * Math.min(1, value / max))) : 0;
  return "▰".repeat(filled) + "▱".repeat(5 - filled);
}

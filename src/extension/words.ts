// How runs, ensembles and features are put into words: durations, shares, one line each.
import { basename, dirname, sep } from "node:path";
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

/** "/long/way/to/file, field: found X, expected Y" → "Found X, expected Y (to/file, field)": a toast cuts what is long at its end. */
export function foundFirst(message: string): string {
  const [, file, where = "", found] = /^(.+?)(, .+?)?: found (.+)$/s.exec(message) ?? [];
  if (!file) return message;
  return `Found ${found} (${file.split(/[\\/]/).slice(-2).join("/")}${where})`;
}

/** Whether a process has the run: at work, or in the queue. */
export function isAtWork(state: RunEntry["state"]): boolean {
  return state === "running" || state === "queued";
}

function percentDone({ done, total }: NonNullable<RunEntry["progress"]>): number {
  return total > 0 ? Math.floor((100 * done) / total) : 0;
}

/** The one number that matters: "63% · 12 min left", "done in 4 min", why it stopped. */
export function describeRun(run: RunEntry): string {
  const { progress } = run;
  switch (run.state) {
    case "running": {
      if (!progress || progress.total === 0) return "starting";
      const left = progress.eta === null ? "" : ` · ${duration(progress.eta)} left`;
      return `${progress.stage} ${percentDone(progress)}%${left}`;
    }
    case "done":
      return run.worked === null ? "done" : `done in ${duration(run.worked / 1000)}`;
    case "stopped":
      return progress ? `stopped · ${progress.stage} ${percentDone(progress)}%` : "stopped";
    case "queued":
      return run.ahead ? `queued, place ${run.ahead} · ${run.reason}` : "starting";
    default:
      return run.state;
  }
}

/** An ensemble by its folder: "demo · bagging". */
export function ensembleWords(folder: string): string {
  return `${basename(dirname(dirname(folder)))} · ${basename(folder)}`;
}

/** What the Features view shows: whose features, and by which search. */
export function shownFeatures(ensemble: string | undefined, filter: string): string {
  if (!ensemble) return "";
  return filter ? `${ensembleWords(ensemble)} · ${filter}` : ensembleWords(ensemble);
}

/** Member stability as signs, one a member; empty for a member alone. */
export function foundInDots(foundIn: readonly boolean[]): string {
  return foundIn.length > 1 ? foundIn.map((there) => (there ? "●" : "○")).join("") : "";
}

/** What the signs mean, in the words of the feature browser. */
export function foundInLegend(foundIn: readonly boolean[]): string {
  const members = foundIn.filter(Boolean).length;
  return `${foundInDots(foundIn)} found in ${members} of ${foundIn.length} members (decoder cosine at least 0.7)\nOne dot a member, in their order: filled where it was found`;
}

/** A feature's label or, without one, its three strongest tokens, written as in every view. */
export function featureWords({ label, tokens }: Pick<NamedFeature, "label" | "tokens">): string {
  return (
    label ||
    tokens
      .slice(0, 3)
      .map(({ text }) => withSigns(text))
      .join(" ")
  );
}

/** Five blocks for a value over the feature's maximum. */
export function strengthBar(value: number, max: number | null): string {
  const filled = max ? Math.max(1, Math.round(5 * Math.min(1, value / max))) : 0;
  return "▰".repeat(filled) + "▱".repeat(5 - filled);
}

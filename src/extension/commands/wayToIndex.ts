// Where there is no feature index, in the workspace or of one ensemble: what is missing, and the button that leads on. No VS Code in here.
import { pathToFileURL } from "node:url";
import { seedSetOf } from "../../protocol/seedSet.ts";
import type { EnsembleEntry, RunEntry } from "../../protocol/service.ts";
import { commands, manageTrust } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import { isAtWork } from "../words.ts";

export interface WayToIndex {
  readonly message: string;
  readonly button: string;
  readonly command: string;
  readonly argument?: unknown;
}

type Button = Omit<WayToIndex, "message">;

const dashboardOf = (run: RunEntry): Button => ({
  button: "Open Dashboard",
  command: commands.openDashboard,
  argument: run,
});
const trustWorkspace: Button = { button: "Manage Workspace Trust", command: manageTrust };
const indexOf = ({ folder }: EnsembleEntry): Button => ({
  button: "Build Feature Index",
  command: commands.buildIndex,
  argument: folder,
});

/** What is missing where there is no feature index, and a button that leads to one. */
export function wayToIndex({ runs, ensembles }: Pick<RunStore, "runs" | "ensembles">, trusted: boolean): WayToIndex {
  const atWork = runs.find(({ state }) => isAtWork(state));
  if (atWork)
    return {
      message: `Texts are read with an ensemble's feature index. There is none in this workspace yet; the run “${atWork.name}” is at work.`,
      ...dashboardOf(atWork),
    };
  if (!trusted)
    return {
      message:
        "There is no ensemble with a feature index in this workspace. A run makes one, and runs start only in a trusted workspace.",
      ...trustWorkspace,
    };
  const trained = ensembles.find(({ ensemble }) => ensemble.indexable && !ensemble.damage);
  if (trained)
    return {
      message: "No ensemble in this workspace has a feature index yet, which texts are read with.",
      ...indexOf(trained.ensemble),
    };
  return {
    message:
      "There is no ensemble with a feature index in this workspace yet. A run makes one; the demo takes a few minutes.",
    button: "Run the Demo",
    command: commands.runDemo,
  };
}

/** Why the experiment makes no index of an ensemble, and what to change; empty where it does. */
export function notIndexed({ name, indexable, replaced }: EnsembleEntry): string {
  if (indexable) return "";
  if (replaced) return "Training put another ensemble in its place.";
  const { method, seedSet } = seedSetOf(name);
  return seedSet > 1
    ? "Only ensembles of the first seed set get one."
    : `Add "${method}" to index.methods of its experiment, and run that again.`;
}

/** The same as `wayToIndex` for one ensemble; where nothing leads to an index of it, without a button. */
export function wayToIndexOf(
  { run, ensemble }: { readonly run: RunEntry; readonly ensemble: EnsembleEntry },
  trusted: boolean,
): { readonly message: string } & Partial<WayToIndex> {
  const name = `${run.name} · ${ensemble.name}`;
  const lacks = `“${name}” has no feature index${ensemble.indexDamage ? " that can be read" : ""}.`;
  const advice = notIndexed(ensemble);
  if (advice) {
    const message = `${lacks} ${advice}`;
    if (ensemble.replaced || seedSetOf(ensemble.name).seedSet > 1 || run.experiment === null) return { message };
    const argument = pathToFileURL(run.experiment).href;
    return { message, button: "Open Experiment", command: "vscode.open", argument };
  }
  if (isAtWork(run.state)) return { message: `${lacks} Its run is at work.`, ...dashboardOf(run) };
  if (!trusted)
    return {
      message: `${lacks} A run makes it, and runs start only in a trusted workspace.`,
      ...trustWorkspace,
    };
  return { message: lacks, ...indexOf(ensemble) };
}

// Where no ensemble has a feature index to read texts with: what is missing, and the button that leads on. No VS Code in here.
import { commands, manageTrust } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import { isAtWork } from "../words.ts";

export interface WayToIndex {
  readonly message: string;
  readonly button: string;
  readonly command: string;
  readonly argument?: unknown;
}

/** What is missing where there is no feature index, and a button that leads to one. */
export function wayToIndex({ runs, ensembles }: Pick<RunStore, "runs" | "ensembles">, trusted: boolean): WayToIndex {
  const atWork = runs.find(({ state }) => isAtWork(state));
  if (atWork)
    return {
      message: `Texts are read with an ensemble's feature index. There is none in this workspace yet; the run “${atWork.name}” is at work.`,
      button: "Open Dashboard",
      command: commands.openDashboard,
      argument: atWork,
    };
  if (!trusted)
    return {
      message:
        "There is no ensemble with a feature index in this workspace. A run makes one, and runs start only in a trusted workspace.",
      button: "Manage Workspace Trust",
      command: manageTrust,
    };
  const trained = ensembles.find(({ ensemble }) => ensemble.indexable && !ensemble.damage);
  if (trained)
    return {
      message: "No ensemble in this workspace has a feature index yet, which texts are read with.",
      button: "Build Feature Index",
      command: commands.buildIndex,
      argument: trained.ensemble.folder,
    };
  return {
    message:
      "There is no ensemble with a feature index in this workspace yet. A run makes one; the demo takes a few minutes.",
    button: "Run the Demo",
    command: commands.runDemo,
  };
}

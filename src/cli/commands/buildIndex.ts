// `index`: the feature index of the experiment's ensembles.
import type { Command } from "commander";
import { experimentCommand } from "../experimentCommand.ts";

export function indexCommand(): Command {
  return experimentCommand("index", ["index"])
    .summary("build the feature index: which tokens and contexts fire each feature")
    .description(
      "Runs text through the trained ensembles (index.methods of the experiment) and builds their feature indexes, which `features` and the editor browse.",
    );
}

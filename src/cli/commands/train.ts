// `train`: every ensemble of the experiment.
import type { Command } from "commander";
import { experimentCommand } from "../experimentCommand.ts";

export function trainCommand(): Command {
  return experimentCommand("train", ["harvest", "train"])
    .summary("train every ensemble of the experiment (harvests first where needed)")
    .description(
      "Trains every method and seed set of an experiment, after harvesting what is not harvested yet. Finished ensembles lie in ensembles/ of the run folder, each member a folder that SAELens loads.",
    );
}

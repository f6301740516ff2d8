// `harvest`: text through the language model, activations to the run folder.
import type { Command } from "commander";
import { experimentCommand } from "../experimentCommand.ts";

export function harvestCommand(): Command {
  return experimentCommand("harvest", ["harvest"])
    .summary("run the language model over the text and store its activations")
    .description(
      "Runs the language model of an experiment over its text and stores the activations at the hook, for training and for the metrics, in the run folder.",
    );
}

// The command line as a whole: its commands, and what becomes of errors. Exit codes: 0 done, 1 failed, 2 wrong input or usage, 130 stopped.
import { Command, CommanderError } from "commander";
import { QueryError } from "../features/featureIndex.ts";
import { InputError } from "../formats/inputError.ts";
import { failureWords } from "../jobs/failureWords.ts";
import { RunRefusedError } from "../jobs/launch.ts";
import { productVersion } from "../jobs/versions.ts";
import { indexCommand } from "./commands/buildIndex.ts";
import { conceptsCommand } from "./commands/concepts.ts";
import { debiasCommand } from "./commands/debias.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { featuresCommand } from "./commands/features.ts";
import { harvestCommand } from "./commands/harvest.ts";
import { importCommand } from "./commands/import.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { nextTokenCommand } from "./commands/nextToken.ts";
import { resumeCommand } from "./commands/resume.ts";
import { runCommand } from "./commands/run.ts";
import { schemaCommand } from "./commands/schema.ts";
import { statusCommand } from "./commands/status.ts";
import { stopCommand } from "./commands/stop.ts";
import { trainCommand } from "./commands/train.ts";

export const exitCodes = { done: 0, failed: 1, input: 2, stopped: 130 } as const;

export async function runProgram(argv: readonly string[]): Promise<void> {
  const program = new Command("sae-ensembles")
    .description("Train, evaluate and browse ensembles of sparse autoencoders, from text to features.")
    .version(productVersion())
    .showHelpAfterError("(--help shows what there is)")
    .showSuggestionAfterError()
    .exitOverride()
    .helpCommand(false)
    .addHelpText(
      "after",
      `
Begin with:
  sae-ensembles demo                    everything once, on a small model, in ./demo-run
  sae-ensembles run my.sae.jsonc        the same for an experiment of your own
  sae-ensembles features runs/my        what it found

Ctrl-C saves a checkpoint; the same command, or resume, goes on from there.`,
    );
  program.commandsGroup("Whole runs:");
  for (const command of [demoCommand(), runCommand(), resumeCommand(), statusCommand(), stopCommand()])
    program.addCommand(command);
  program.commandsGroup("Single steps:");
  for (const command of [harvestCommand(), trainCommand(), evaluateCommand(), indexCommand()])
    program.addCommand(command);
  program.commandsGroup("In and out:");
  for (const command of [importCommand(), exportCommand()]) program.addCommand(command);
  program.commandsGroup("Using features:");
  for (const command of [inspectCommand(), nextTokenCommand(), debiasCommand(), conceptsCommand()])
    program.addCommand(command);
  program.commandsGroup("Looking:");
  for (const command of [featuresCommand(), doctorCommand(), schemaCommand()]) program.addCommand(command);
  for (const command of program.commands) command.exitOverride().showHelpAfterError("(--help shows what there is)");
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error, argv.includes("--json"));
  }
}

/** Says what went wrong, once and in one line, and returns the exit code. */
function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done;
    // Commander has said it in words already.
    if (json) console.log(JSON.stringify({ type: "error", message: error.message.replace(/^error: /, "") }));
    return exitCodes.input;
  }
  const message = failureWords(error);
  const others = error instanceof InputError ? error.others : [];
  if (json) {
    const { file, where, found, expected } = error instanceof InputError ? error : ({} as Partial<InputError>);
    const more = others.length > 0 && { others: others.map((other) => other.message) };
    console.log(JSON.stringify({ type: "error", message, file, where, found, expected, ...more }));
  } else {
    for (const line of [message, ...others.map((other) => other.message)]) console.error(`error: ${line}`);
  }
  const wrongInput = [InputError, QueryError, RunRefusedError].some((kind) => error instanceof kind);
  return wrongInput ? exitCodes.input : exitCodes.failed;
}

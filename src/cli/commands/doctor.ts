// `doctor`: what this machine has, and whether everything here runs on it; with an experiment, also what that would need.
import { Command } from "commander";
import { examineExperiment } from "../../jobs/examineExperiment.ts";
import { readExperiment } from "../../jobs/experiment.ts";
import { examineMachine, type Finding, findingLines, measureProducts } from "../../jobs/machine.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("what this machine has and can run; with an experiment, what that would need")
    .argument(
      "[experiment]",
      "experiment file (*.sae.jsonc): checked, and disk, memory and time estimated; nothing runs",
    )
    .option("--json", "one JSON object on standard output")
    .action(async (file: string | undefined, options: { json?: boolean }) => {
      const findings: Finding[] = [];
      if (file === undefined) findings.push(...(await examineMachine(process.cwd())));
      else findings.push(...(await examineExperiment(readExperiment(file), await measureProducts().catch(() => null))));
      if (options.json) console.log(JSON.stringify(findings));
      else for (const line of findingLines(findings)) console.log(line);
      const problems = findings.filter(({ state }) => state === "problem");
      // As a run would end: by wrong input, unless there is too little of the machine.
      const wrong = file !== undefined && problems.some(({ name }) => !name.endsWith(" needed"));
      if (problems.length > 0) process.exitCode = wrong ? 2 : 1;
    });
}

// `doctor`: what this machine has, and whether everything here runs on it.
import { Command } from "commander";
import { examineMachine, findingLines } from "../../jobs/machine.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("what this machine has and can run")
    .option("--json", "one JSON object on standard output")
    .action(async (options: { json?: boolean }) => {
      const findings = await examineMachine(process.cwd());
      if (options.json) console.log(JSON.stringify(findings));
      else for (const line of findingLines(findings)) console.log(line);
      if (findings.some(({ state }) => state === "problem")) process.exitCode = 1;
    });
}

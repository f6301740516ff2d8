// `doctor`: what this machine has, and whether everything here runs on it.
import { Command } from "commander";
import { examineMachine } from "../../jobs/machine.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("what this machine has and can run")
    .option("--json", "one JSON object on standard output")
    .action(async (options: { json?: boolean }) => {
      const findings = await examineMachine(process.cwd());
      if (options.json) console.log(JSON.stringify(findings));
      else {
        const width = Math.max(...findings.map(({ name }) => name.length));
        const mark = { ok: "✓", warning: "!", problem: "✗" };
        for (const { name, state, value, advice } of findings) {
          console.log(`${mark[state]} ${name.padEnd(width)}  ${value}`);
          if (advice) console.log(`  ${"".padEnd(width)}  → ${advice}`);
        }
      }
      if (findings.some(({ state }) => state === "problem")) process.exitCode = 1;
    });
}

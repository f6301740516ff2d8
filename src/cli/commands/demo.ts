// `demo`: everything once, on the small model that comes with the product, in ./demo-run.
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { distinctSequences } from "../../features/distinctSequences.ts";
import { openRunIndex } from "../../jobs/buildIndex.ts";
import { readDebiasSummary } from "../../jobs/debiasSummary.ts";
import { demoPath } from "../../jobs/demoData.ts";
import { readReportTable } from "../../jobs/evaluate.ts";
import { type Experiment, readExperiment } from "../../jobs/experiment.ts";
import { makeFolders } from "../../jobs/runFolder.ts";
import { jobsOf } from "../../jobs/runJobs.ts";
import { addRunOptions } from "../experimentCommand.ts";
import { distinctLine, featureName } from "../featureText.ts";
import { type ForegroundOptions, runInForeground, shortPath } from "../foreground.ts";
import { density, tokenShown } from "../words.ts";

const CLEAREST = 10;

export function demoCommand(): Command {
  const command = new Command("demo")
    .summary("everything once, on a small model that comes along, in ./demo-run")
    .description(
      "Harvests activations of the small language model that comes with SAE Ensembles, trains a single SAE, a bagging ensemble, a boosting ensemble and the expanded SAE of equal width, compares them by the paper's metrics, builds the feature index, shows the ten clearest features, and uses the features to take a bias out of a classifier. Needs no network.",
    )
    .option("--folder <folder>", "where everything goes", "demo-run");
  return addRunOptions(command).action(demo);
}

async function demo(options: ForegroundOptions & { folder: string }): Promise<void> {
  const file = join(options.folder, "demo.sae.jsonc");
  if (!existsSync(file)) {
    makeFolders(options.folder);
    copyFileSync(demoPath("experiment"), file);
  }
  const experiment = readExperiment(file);
  const say = options.json ? () => {} : (text: string) => process.stderr.write(`${text}\n`);
  say(introduction(experiment, file));
  const outcome = await runInForeground(experiment, jobsOf(experiment), options, "the same command again");
  if (outcome === "stopped" || options.json) return;
  const { runFolder } = experiment.paths;
  console.log(`\n${readReportTable(runFolder)}\n`);
  console.log(await clearest(runFolder));
  console.log(downstream(runFolder));
  console.log(next(runFolder, file));
}

function introduction({ settings, paths }: Experiment, file: string): string {
  const { n_members, methods } = settings.ensembles;
  return `Four ways to spend ${n_members} SAEs on ${settings.hook_name} of the demo model (arXiv 2505.16077): ${methods.join(", ")}.
Experiment: ${shortPath(file)}   Run folder: ${shortPath(paths.runFolder)}
Ctrl-C saves a checkpoint; the same command goes on.
`;
}

/** The ten clearest features with their tokens and two contexts each. */
async function clearest(runFolder: string): Promise<string> {
  const { name, index } = await openRunIndex(runFolder);
  try {
    const color = process.stdout.isTTY === true;
    const width = Math.min(100, process.stdout.columns ?? 100);
    const lines = [`The ten clearest features of ${name}`];
    for (const feature of index.summaries([...index.clearest().subarray(0, CLEAREST)])) {
      const detail = index.detail(feature.id);
      const found = feature.found.filter((flag) => flag).length;
      const tokens = feature.tokens
        .slice(0, 6)
        .map((token) => tokenShown(token.text))
        .join("  ");
      lines.push(
        "",
        `${featureName(feature).padEnd(8)} ${tokens}   (${density(feature.density)} of tokens, found in ${found} of ${feature.found.length} members)`,
      );
      const top = detail.bands.find((band) => band.kind === "top")?.sequences ?? [];
      for (const distinct of distinctSequences(top).slice(0, 2))
        lines.push(distinctLine(distinct, detail.max, color, width));
    }
    return `${lines.join("\n")}\n`;
  } finally {
    index.close();
  }
}

/** What the classifier of the debias job loses and gains, in a few lines; all of it is in debias.md and concepts.md. */
function downstream(runFolder: string): string {
  const report = readDebiasSummary(join(runFolder, "debias.json"));
  const lines = report.rows.map(
    ({ title, accuracy, worst_group }) =>
      `  ${title.padEnd(52)} ${accuracy.toFixed(2).padStart(8)} ${worst_group.toFixed(2).padStart(11)}`,
  );
  return [
    `A classifier that learnt ${report.biased}, on texts where the two don't go together`,
    `  ${"".padEnd(52)} accuracy worst group`,
    ...lines,
    "",
  ].join("\n");
}

function next(runFolder: string, file: string): string {
  const run = shortPath(runFolder);
  return `What next:
  sae-ensembles features ${run} --token she    features with it among their strongest tokens
  sae-ensembles features ${run} --text "once upon"    features by their contexts
  sae-ensembles features ${run} --show 0/0    everything about one feature
Files:
  ${shortPath(file)}    the experiment: change it, or copy it for a model and a text of your own
  ${run}/report.md    the tables above; report.csv and report.json beside it
  ${run}/debias.md    the classifier in full, with figures: SCR, SHIFT, baselines; concepts.md beside it
  ${run}/ensembles    each member is a folder that SAELens loads

From the repository, "npm run sae-ensembles --" stands for "sae-ensembles".`;
}

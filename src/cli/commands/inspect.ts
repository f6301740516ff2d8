// `inspect`: a text through the model and an ensemble of a run, from the terminal: each token with its features and how likely it was, or the features that stand out.
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { FeatureIndex } from "../../features/featureIndex.ts";
import { InputError } from "../../formats/inputError.ts";
import { describeText } from "../../inspection/describeText.ts";
import type { Ranking } from "../../inspection/featuresHere.ts";
import { type Inspection, strongest } from "../../inspection/inspection.ts";
import { openRunIndex } from "../../jobs/buildIndex.ts";
import { openInspection } from "../../jobs/openInspection.ts";
import { runPaths } from "../../jobs/runFolder.ts";
import { wholeNumber } from "../options.ts";
import { metric, tokenShown } from "../words.ts";

interface InspectOptions {
  readonly ensemble?: string;
  readonly file?: string;
  readonly by: Ranking;
  readonly tokens?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("which features fire on a text")
    .description("Reads a text through the model and an ensemble of a run, and says which features fire where.")
    .argument("<run>", "run folder")
    .argument("[text]", "the text; or --file, or standard input")
    .option("--ensemble <name>", "which ensemble, e.g. bagging; default the first that has an index")
    .option("--file <path>", "read the text from a file")
    .addOption(
      new Option("--by <ranking>", "order of the features")
        .choices(["specificity", "sum", "max"])
        .default("specificity"),
    )
    .option("--tokens", "token by token instead: probability, rank, strongest features")
    .option("--limit <number>", "features shown", wholeNumber, 20)
    .option("--json", "a JSON line a token on standard output")
    .action(async (run: string, text: string | undefined, options: InspectOptions) => {
      const read = textOf(text, options.file);
      if (read === "") throw new InputError({ file: options.file ?? "the text", found: "nothing", expected: "a text" });
      await withInspection(run, options.ensemble, async (inspection, index) => {
        if (options.json || options.tokens) {
          for (const line of await tokenLines(inspection, index, read, options)) console.log(line);
        } else {
          console.log(await describeText(inspection, index, read, { ranking: options.by, count: options.limit }));
        }
      });
    });
}

/** Opens a run's indexed ensemble with its model, and closes both afterwards. */
export async function withInspection(
  run: string,
  ensemble: string | undefined,
  work: (inspection: Inspection, index: FeatureIndex) => Promise<void>,
): Promise<void> {
  const { name, index } = await openRunIndex(run, ensemble);
  try {
    const opened = await openInspection(runPaths(run).ensemble(name));
    try {
      await work(opened.inspection, index);
    } finally {
      await opened.close();
    }
  } finally {
    index.close();
  }
}

/** An argument's text, a file's, or what comes in. */
export function textOf(text: string | undefined, file: string | undefined): string {
  if (text !== undefined) return text;
  try {
    return readFileSync(file ?? 0, "utf8");
  } catch (error) {
    throw new InputError({ file: file ?? "standard input", found: (error as Error).message, expected: "a text" });
  }
}

async function tokenLines(
  inspection: Inspection,
  index: FeatureIndex,
  text: string,
  { json, limit }: InspectOptions,
): Promise<string[]> {
  const { tokens } = await inspection.read(text);
  const { tokenizer } = inspection.model;
  const names = new Map<number, string>();
  for (const { id, member, index: number } of index.summaries([...new Set(tokens.flatMap((t) => [...t.features]))]))
    names.set(id, `${member}/${number}`);
  return tokens.map((token) => {
    const features = strongest(token, limit).map(({ feature, value }) => ({ feature: names.get(feature)!, value }));
    const { start, end, id, logprob, rank } = token;
    if (json) return JSON.stringify({ start, end, id, text: tokenizer.tokenText(id), logprob, rank, features });
    const likely = logprob === null ? "–" : `${metric(100 * Math.exp(logprob))}% #${rank! + 1}`;
    const shown = features.slice(0, 4).map(({ feature, value }) => `${feature} ${metric(value)}`);
    return `${tokenShown(tokenizer.tokenText(id)).padEnd(16)} ${likely.padEnd(16)} ${shown.join("  ")}`.trimEnd();
  });
}

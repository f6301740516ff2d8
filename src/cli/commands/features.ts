// `features`: the feature index of a run, from the terminal: list, search, one feature in full.
import { Command, Option } from "commander";
import type { FeatureIndex, FeaturePage, FeatureQuery, FeatureSort } from "../../features/featureIndex.ts";
import { InputError } from "../../formats/inputError.ts";
import { openRunIndex } from "../../jobs/buildIndex.ts";
import { featureDetail, featureList, featureName } from "../featureText.ts";
import { shortPath } from "../foreground.ts";
import { wholeNumber } from "../options.ts";
import { integer } from "../words.ts";

interface FeaturesOptions {
  readonly ensemble?: string;
  readonly show?: string;
  readonly token?: string;
  readonly text?: string;
  readonly pattern?: string;
  readonly member?: number;
  readonly found?: number;
  readonly dead?: boolean;
  readonly clearest?: boolean;
  readonly sort?: FeatureSort;
  readonly ascending?: boolean;
  readonly limit: number;
  readonly offset: number;
  readonly json?: boolean;
}

export function featuresCommand(): Command {
  return new Command("features")
    .summary("browse the feature index: list, search, show one feature")
    .description("Looks features up in the feature index of a run. Without options: those that fire most.")
    .argument("<run>", "run folder")
    .option("--ensemble <name>", "which ensemble's index, e.g. bagging; default the first that has one")
    .option("--show <member/index>", "everything about one feature, e.g. 2/1047")
    .option("--clearest", "those that are easiest to understand at a glance")
    .option("--token <text>", "features that fire on this token (case and surrounding space do not matter)")
    .option("--pattern <regex>", "features that fire on tokens that match")
    .option("--text <phrase>", "features with this phrase in a context that fires them")
    .option("--member <number>", "features of one member", wholeNumber)
    .option("--found <members>", "found in at least this many members", wholeNumber)
    .option("--dead", "features that never fired")
    .addOption(
      new Option("--sort <by>", "order, largest first; with --token or --pattern the default is relevance").choices([
        "density",
        "max",
        "mean",
        "found",
        "relevance",
        "id",
      ]),
    )
    .option("--ascending", "smallest first")
    .option("--limit <number>", "how many", wholeNumber, 20)
    .option("--offset <number>", "how many to pass over", wholeNumber, 0)
    .option("--json", "JSON lines on standard output")
    .action((run: string, options: FeaturesOptions) => {
      const { name, index } = openRunIndex(run, options.ensemble);
      try {
        console.log(
          options.show === undefined ? list(run, name, index, options) : show(run, index, options.show, options),
        );
      } finally {
        index.close();
      }
    });
}

function show(run: string, index: FeatureIndex, feature: string, options: FeaturesOptions): string {
  const [member, number] = /^(\d+)\/(\d+)$/.exec(feature)?.slice(1).map(Number) ?? [];
  const range = member === undefined ? undefined : index.info.members[member];
  if (range === undefined || number! >= range.size) {
    const last = index.info.members.length - 1;
    const expected = `member/index from 0/0 to ${last}/${index.info.members[last]!.size - 1}`;
    throw new InputError({ file: run, where: "--show", found: `"${feature}"`, expected });
  }
  const detail = index.detail(range.first + number!);
  if (options.json) return JSON.stringify(detail);
  return featureDetail(detail, index.info, process.stdout.isTTY === true, columns());
}

function list(run: string, name: string, index: FeatureIndex, options: FeaturesOptions): string {
  const { info } = index;
  const { rows, total } = options.clearest ? clearest(index, options.limit) : index.page(query(options));
  if (options.json) return rows.map((row) => JSON.stringify(row)).join("\n");
  if (rows.length === 0) return `No feature of ${name} ${options.dead ? "is dead" : "matches"}.`;
  const from = options.clearest ? 1 : options.offset + 1;
  const shown = `${integer(from)} to ${integer(from + rows.length - 1)} of ${integer(total)}${options.clearest ? "" : " that match"}`;
  return `${featureList(rows, info, columns())}

${shown} (${name}, ${integer(info.features)} features in all)
One in full: sae-ensembles features ${shortPath(run)} --show ${featureName(rows[0]!)}`;
}

function clearest(index: FeatureIndex, limit: number): FeaturePage {
  const rows = index.summaries([...index.clearest().subarray(0, limit)]);
  return { rows, total: index.info.features };
}

function query(options: FeaturesOptions): FeatureQuery {
  const searched = options.token !== undefined || options.pattern !== undefined;
  return {
    filter: {
      alive: !options.dead,
      ...(options.token !== undefined && { token: { text: options.token, match: "word" } }),
      ...(options.pattern !== undefined && { tokenPattern: options.pattern }),
      ...(options.text !== undefined && { text: options.text }),
      ...(options.member !== undefined && { member: options.member }),
      ...(options.found !== undefined && { minFound: options.found }),
    },
    sort: options.sort ?? (searched ? "relevance" : "density"),
    descending: !options.ascending,
    offset: options.offset,
    limit: Math.min(1000, options.limit),
  };
}

function columns(): number {
  return Math.min(140, process.stdout.columns ?? 100);
}

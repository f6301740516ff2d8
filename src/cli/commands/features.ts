// `features`: the feature index of a run, from the terminal: list, search, one feature in full.
import { Command, Option } from "commander";
import {
  type FeatureIndex,
  type FeaturePage,
  type FeatureQuery,
  type FeatureSort,
  QueryError,
} from "../../features/featureIndex.ts";
import { defaultFeatureIndexOptions } from "../../features/featureIndexOptions.ts";
import { InputError } from "../../formats/inputError.ts";
import { openRunIndex } from "../../jobs/buildIndex.ts";
import { modelsOwnName } from "../../jobs/experiment.ts";
import { experimentOfRun } from "../../jobs/runRecord.ts";
import { featureDetail, featureList, featureName } from "../featureText.ts";
import { shortPath } from "../foreground.ts";
import { pageSize, wholeNumber } from "../options.ts";
import { integer } from "../words.ts";

/** What narrows or orders the list; one feature, or the clearest, are not asked for with it. */
const narrowing = ["token", "pattern", "text", "label", "flagged", "member", "found", "dead", "sort", "ascending"];

interface FeaturesOptions {
  readonly ensemble?: string;
  readonly show?: string;
  readonly token?: string;
  readonly text?: string;
  readonly label?: string;
  readonly flagged?: boolean;
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

/** Tokens that an index keeps of a feature. */
const kept = defaultFeatureIndexOptions.tokensPerFeature;

export function featuresCommand(): Command {
  return new Command("features")
    .summary("browse the feature index: list, search, show one feature")
    .description("Looks features up in the feature index of a run. Without options: those that fire most.")
    .argument("<run>", "run folder")
    .option("--ensemble <name>", "which ensemble's index, e.g. bagging; default the first that has one")
    .addOption(
      new Option("--show <member/index>", "everything about one feature, e.g. 2/1047").conflicts([
        ...narrowing,
        "clearest",
      ]),
    )
    .addOption(
      new Option("--clearest", "those that are easiest to understand at a glance, of all").conflicts(narrowing),
    )
    .option(
      "--token <text>",
      `features that have it among their ${kept} strongest tokens (case and surrounding space do not matter)`,
    )
    .option("--pattern <regex>", `features with a match among their ${kept} strongest tokens`)
    .option("--text <phrase>", "features with this phrase in a context that fires them")
    .option("--label <phrase>", "features with this phrase in their label or note")
    .option("--flagged", "features that are flagged for removal")
    .option("--member <number>", "features of one member", wholeNumber)
    .option("--found <members>", "found in at least this many members", wholeNumber)
    .option("--dead", "features that never fired")
    .addOption(
      new Option("--sort <by>", "order, largest first; with --token or --pattern the default is relevance").choices([
        "density",
        "max",
        "mean",
        "found",
        "label",
        "relevance",
        "id",
      ]),
    )
    .option("--ascending", "smallest first")
    .option("--limit <number>", "how many, at most 1000", pageSize, 20)
    .option("--offset <number>", "how many to pass over", wholeNumber, 0)
    .option("--json", "JSON lines on standard output")
    .action(async (run: string, options: FeaturesOptions) => {
      const { name, index } = await openRunIndex(run, options.ensemble);
      try {
        const text =
          options.show === undefined ? list(run, name, index, options) : show(run, index, options.show, options);
        if (text !== "") console.log(text);
      } catch (error) {
        if (!(error instanceof QueryError) || options.pattern === undefined) throw error;
        throw new InputError({
          file: run,
          where: "--pattern",
          found: `"${options.pattern}" (${error.message})`,
          expected: "a regular expression of JavaScript that is quick to match",
        });
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
  const modelName = modelsOwnName(experimentOfRun(run)) ?? index.info.modelName;
  return featureDetail(detail, { ...index.info, modelName }, process.stdout.isTTY === true, columns());
}

function list(run: string, name: string, index: FeatureIndex, options: FeaturesOptions): string {
  const { info } = index;
  checkMembers(run, info.members.length, options);
  const { offset } = options;
  const { rows, total } = options.clearest ? clearest(index, options) : index.page(query(options));
  if (options.json) return rows.map((row) => JSON.stringify(row)).join("\n");
  if (total > 0 && rows.length === 0)
    return `${integer(total)} ${options.clearest ? "are clear" : "match"}, and --offset ${integer(offset)} passes over all of them.`;
  if (rows.length === 0)
    return `No feature of ${name} ${options.dead ? "is dead" : options.clearest ? "is clear enough to be named" : "matches"}.`;
  const from = offset + 1;
  const byRelevance = !options.clearest && query(options).sort === "relevance";
  const shown = `${integer(from)} to ${integer(from + rows.length - 1)} of ${integer(total)}${options.clearest ? "" : " that match"}${byRelevance ? ", by the share of their mass on what was searched for" : ""}`;
  return `${featureList(rows, info, columns())}

${shown} (${name}, ${integer(info.features)} features in all)
One in full: sae-ensembles features ${shortPath(run)} --show ${featureName(rows[0]!)}`;
}

/** A member that is not there would be an empty list, as if nothing had been found. */
function checkMembers(run: string, members: number, { member, found }: FeaturesOptions): void {
  if (member !== undefined && member >= members)
    throw new InputError({ file: run, where: "--member", found: `${member}`, expected: `0 to ${members - 1}` });
  if (found !== undefined && found > members)
    throw new InputError({
      file: run,
      where: "--found",
      found: `${found}`,
      expected: `at most ${members}, all members`,
    });
}

function clearest(index: FeatureIndex, { limit, offset }: FeaturesOptions): FeaturePage {
  const ids = index.clearest();
  return { rows: index.summaries([...ids.subarray(offset, offset + limit)]), total: ids.length };
}

function query(options: FeaturesOptions): FeatureQuery {
  const searched = options.token !== undefined || options.pattern !== undefined;
  return {
    filter: {
      // What a person flagged or named is shown whether it fired or not.
      ...(options.flagged || options.label !== undefined ? {} : { alive: !options.dead }),
      ...(options.token !== undefined && { token: { text: options.token, match: "word" } }),
      ...(options.pattern !== undefined && { tokenPattern: options.pattern }),
      ...(options.text !== undefined && { text: options.text }),
      ...(options.label !== undefined && { label: options.label }),
      ...(options.flagged && { flagged: true }),
      ...(options.member !== undefined && { member: options.member }),
      ...(options.found !== undefined && { minFound: options.found }),
    },
    sort: options.sort ?? (searched ? "relevance" : "density"),
    descending: !options.ascending,
    offset: options.offset,
    limit: options.limit,
  };
}

function columns(): number {
  return Math.min(140, process.stdout.columns ?? 100);
}

// `next-token`: what the model would say next, with and without interventions on features; one token's distribution, or a text.
import { Command, InvalidArgumentError } from "commander";
import type { FeatureIndex } from "../../features/featureIndex.ts";
import { InputError } from "../../formats/inputError.ts";
import type { ChangedProbability } from "../../inspection/distributions.ts";
import { generate } from "../../inspection/generate.ts";
import type { Inspection } from "../../inspection/inspection.ts";
import type { Intervention } from "../../inspection/interventions.ts";
import { firingNowhere, nextToken } from "../../inspection/nextToken.ts";
import { featureName } from "../featureText.ts";
import { positiveNumber, wholeNumber } from "../options.ts";
import { metric, tokenShown } from "../words.ts";
import { textOf, withInspection } from "./inspect.ts";

/** An intervention whose feature has a name yet, not an index. */
type Named = Omit<Intervention, "features"> & { readonly feature: string };

interface NextTokenOptions {
  readonly ensemble?: string;
  readonly file?: string;
  readonly intervene: readonly Named[];
  readonly here?: boolean;
  readonly limit: number;
  readonly generate?: number;
  readonly temperature: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function nextTokenCommand(): Command {
  return new Command("next-token")
    .summary("what comes next, with and without interventions")
    .description("The model's next token after a text, and what interventions on features make of it.")
    .argument("<run>", "run folder")
    .argument("[text]", "the text; or --file, or standard input")
    .option("--ensemble <name>", "which ensemble, e.g. bagging; default the first that has an index")
    .option("--file <path>", "read the text from a file")
    .option(
      "--intervene <member/index=change>",
      'ablate, or *2 (scale), or =3 (set), or +1 (add), behind an "=": "2/1047=ablate", "0/5=*2", "0/5==3", "0/5=+1"; as often as you like',
      intervention,
      [],
    )
    .option("--here", "intervene from the last token on instead of everywhere")
    .option("--limit <number>", "tokens shown", wholeNumber, 10)
    .option("--generate <tokens>", "go on for so many tokens as well (with --json: only that)", wholeNumber)
    .option("--temperature <number>", "0: always the most probable token", positiveNumber, 0)
    .option("--seed <number>", "of what is drawn", wholeNumber, 42)
    .option("--json", "JSON on standard output")
    .action(async (run: string, text: string | undefined, options: NextTokenOptions) => {
      const prompt = textOf(text, options.file);
      await withInspection(run, options.ensemble, async (inspection, index) => {
        const list = options.intervene.map(({ feature, ...rest }) => ({
          ...rest,
          from: options.here ? ("here" as const) : rest.from,
          features: [featureId(index, run, feature)],
        }));
        if (!options.json) await sayWhatIsSilent(inspection, index, prompt, list);
        if (options.generate === undefined || !options.json) await distribution(inspection, prompt, list, options);
        if (options.generate !== undefined) await continuation(inspection, prompt, list, options);
      });
    });
}

/** Numbers that don't change have their reason said. */
async function sayWhatIsSilent(
  inspection: Inspection,
  index: FeatureIndex,
  prompt: string,
  list: readonly Intervention[],
): Promise<void> {
  const silent = list.length > 0 ? await firingNowhere(inspection, prompt, list) : [];
  const where = list.some(({ from }) => from === "here") ? "the last token" : "this text";
  for (const feature of index.summaries(silent))
    console.error(`note: ${featureName(feature)} doesn't fire on ${where}: there is nothing to ablate or scale`);
}

async function distribution(
  inspection: Inspection,
  prompt: string,
  list: readonly Intervention[],
  { limit, json }: NextTokenOptions,
): Promise<void> {
  const { tokens, kl, gains, loses } = await nextToken(inspection, prompt, list, limit);
  const { tokenizer } = inspection.model;
  const named = (token: ChangedProbability) => ({ text: tokenizer.tokenText(token.id), ...token });
  if (json) {
    console.log(
      JSON.stringify({ tokens: tokens.map(named), kl, gains: gains && named(gains), loses: loses && named(loses) }),
    );
    return;
  }
  const percent = (value: number) => `${metric(100 * value)}%`.padStart(8);
  for (const { text, original, changed } of tokens.map(named))
    console.log(`${tokenShown(text).padEnd(20)}${percent(original)}${list.length > 0 ? ` → ${percent(changed)}` : ""}`);
  if (list.length > 0) console.log(`KL(original ‖ changed) ${metric(kl)} nats`);
}

async function continuation(
  inspection: Inspection,
  prompt: string,
  list: readonly Intervention[],
  { generate: tokens, temperature, seed, json }: NextTokenOptions,
): Promise<void> {
  const said = { original: "", changed: "" };
  const settings = { tokens: tokens!, temperature, seed };
  for await (const { side, text, ended } of generate(inspection, prompt, list, settings))
    said[side] = ended && !json ? `${text} (the model ended the text)` : text;
  if (json) {
    console.log(JSON.stringify(list.length > 0 ? said : { original: said.original }));
    return;
  }
  console.log(`\n${list.length > 0 ? `original: ${said.original}\nchanged:  ${said.changed}` : said.original}`);
}

function intervention(text: string, before: readonly Named[]): Named[] {
  const [, feature, change] = /^(\d+\/\d+)=(.+)$/.exec(text) ?? [];
  const [, sign, number] = /^([*=+])(-?[\d.]+(?:e-?\d+)?)$/.exec(change ?? "") ?? [];
  const value = Number(number ?? 0);
  if (!feature || (change !== "ablate" && (!sign || !Number.isFinite(value))))
    throw new InvalidArgumentError('Expected "member/index=ablate", "…=*2", "…==3" or "…=+1".');
  const kind = change === "ablate" ? "ablate" : sign === "*" ? "scale" : sign === "=" ? "set" : "add";
  return [...before, { feature, kind, value, from: "everywhere" }];
}

function featureId(index: FeatureIndex, run: string, name: string): number {
  const [member, number] = name.split("/").map(Number) as [number, number];
  const range = index.info.members[member];
  if (range && number < range.size) return range.first + number;
  const last = index.info.members.length - 1;
  const expected = `member/index from 0/0 to ${last}/${index.info.members[last]!.size - 1}`;
  throw new InputError({ file: run, where: "--intervene", found: `"${name}"`, expected });
}

// The command line that does what a view did, for the reports that name it.
import type { ConceptsChoice } from "../protocol/concepts.ts";
import type { DebiasChoice, ValuePair } from "../protocol/debias.ts";

export interface ReportMade {
  /** Path of the report, without an ending. */
  readonly report: string;
  /** Suggested features that stand in for flags. */
  readonly shift: number;
  /** "member/index", where there is one ensemble; several have their own, in annotations.json. */
  readonly flags: readonly string[] | null;
  /** Folder of the debiased probe; null: none. */
  readonly probe: string | null;
}

export function debiasCommand(
  runFolder: string,
  ensembles: readonly string[],
  choice: DebiasChoice,
  { report, shift, flags, probe }: ReportMade,
): string {
  const { trainFile, testFile, columns, label, attribute, seeds, perCell } = choice;
  const pair = ({ positive, negative }: ValuePair): string => `${positive.join(",")}/${negative.join(",")}`;
  return words([
    "debias",
    runFolder,
    ["--data", trainFile],
    ["--test", testFile],
    ["--text", columns.text],
    ["--label", columns.label],
    ["--attribute", columns.attribute],
    ["--labels", pair(label)],
    ["--attributes", pair(attribute)],
    ["--ensemble", ensembles.join(",")],
    ["--flags", flags === null || flags.length === 0 ? null : flags.join(",")],
    ["--seeds", seeds.join(",")],
    ["--shift", String(shift)],
    ["--per-cell", perCell === null ? null : String(perCell)],
    ["--report", report],
    ["--probe", probe],
  ]);
}

/** `report`: its path, without an ending; null where it is not written yet. */
export function conceptsCommand(
  runFolder: string,
  ensemble: string,
  choice: ConceptsChoice,
  report: string | null,
): string {
  const { trainFile, testFile, columns, seeds, perClass } = choice;
  return words([
    "concepts",
    runFolder,
    ["--data", trainFile],
    ["--test", testFile],
    ["--text", columns.text],
    ["--label", columns.label],
    ["--ensemble", ensemble],
    ["--seeds", seeds.join(",")],
    ["--per-class", String(perClass)],
    ["--report", report],
  ]);
}

/** Options without a value are left out; what a shell would take apart is quoted. */
function words(parts: readonly (string | readonly [string, string | null])[]): string {
  const given = parts.flatMap((part) => (typeof part === "string" ? [part] : part[1] === null ? [] : [...part]));
  const quoted = given.map((word) => (/^[\w@%+=:,./-]+$/.test(word!) ? word : `'${word!.replaceAll("'", "'\\''")}'`));
  return ["sae-ensembles", ...quoted].join(" ");
}

// The command line that does what a view did, for the reports that name it.
import type { ConceptsChoice } from "../protocol/concepts.ts";
import type { DebiasChoice, ValuePair } from "../protocol/debias.ts";

export function debiasCommand(runFolder: string, ensembles: readonly string[], choice: DebiasChoice): string {
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
    ["--seeds", seeds.join(",")],
    ["--per-cell", perCell === null ? null : String(perCell)],
  ]);
}

export function conceptsCommand(runFolder: string, ensemble: string, choice: ConceptsChoice): string {
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
  ]);
}

/** Options without a value are left out; what a shell would take apart is quoted. */
function words(parts: readonly (string | readonly [string, string | null])[]): string {
  const given = parts.flatMap((part) => (typeof part === "string" ? [part] : part[1] === null ? [] : [...part]));
  const quoted = given.map((word) => (/^[\w@%+=:,./-]+$/.test(word!) ? word : `'${word!.replaceAll("'", "'\\''")}'`));
  return ["sae-ensembles", ...quoted].join(" ");
}

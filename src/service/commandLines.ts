// The command line that does what a view did, for the reports that name it.
import { commandLine } from "../jobs/sections.ts";
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
  return commandLine(["debias", runFolder], {
    data: trainFile,
    test: testFile,
    text: columns.text,
    label: columns.label,
    attribute: columns.attribute,
    labels: pair(label),
    attributes: pair(attribute),
    ensemble: ensembles.join(","),
    flags: flags === null || flags.length === 0 ? null : flags.join(","),
    seeds: seeds.join(","),
    shift,
    "per-cell": perCell,
    report,
    probe,
  });
}

/** `report`: its path, without an ending; null where it is not written yet. */
export function conceptsCommand(
  runFolder: string,
  ensemble: string,
  choice: ConceptsChoice,
  report: string | null,
): string {
  const { trainFile, testFile, columns, seeds, perClass } = choice;
  return commandLine(["concepts", runFolder], {
    data: trainFile,
    test: testFile,
    text: columns.text,
    label: columns.label,
    ensemble,
    seeds: seeds.join(","),
    "per-class": perClass,
    tpp: "none",
    report,
  });
}

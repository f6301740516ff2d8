// Which texts of an experiment go where: trained on, held out for the metrics, indexed.
import { dataFormat } from "../data/records.ts";
import { readTexts, type SourceText } from "../data/texts.ts";
import { InputError } from "../formats/inputError.ts";
import type { Experiment } from "./experiment.ts";

/** What makes documents of a .txt file. */
export const SEPARATORS = "in a .txt file, blank lines or <|endoftext|> lines separate them";

export type TextPart = "train" | "test" | "index";

/** The texts of a part, in the order of their file. */
export function experimentTexts(experiment: Experiment, part: TextPart): AsyncGenerator<SourceText> {
  const { settings, paths } = experiment;
  const { evaluation, index } = settings;
  if (part === "index") return readTexts(paths.indexDataset, { column: index.column ?? settings.column });
  if (paths.testDataset === undefined) {
    const texts = readTexts(paths.dataset, { column: settings.column });
    return documents(texts, (document) => isHeldOut(document, evaluation.test_share) === (part === "test"));
  }
  return part === "train"
    ? readTexts(paths.dataset, { column: settings.column })
    : readTexts(paths.testDataset, { column: evaluation.column ?? settings.column });
}

/** Reads the first text of a part. Throws InputError where there is none or it cannot be read. */
export async function checkTexts(experiment: Experiment, part: TextPart): Promise<void> {
  for await (const _ of experimentTexts(experiment, part)) return;
  const { settings, paths } = experiment;
  const { test_share } = settings.evaluation;
  const separated = dataFormat(paths.dataset) === "txt" ? ` (${SEPARATORS})` : "";
  throw part === "test"
    ? new InputError({
        file: paths.dataset,
        found: "too few documents: none is held out for the metrics",
        expected: `at least ${Math.ceil(1 / test_share)} documents${separated} for evaluation.test_share ${test_share}, or a file of held-out text in evaluation.dataset_path`,
      })
    : new InputError({
        file: paths.dataset,
        found: "no document that is not held out",
        expected: `documents to train on${separated}, beside evaluation.test_share ${test_share} of them`,
      });
}

/** Whether a document (counted from 0) is held out: every so many, evenly over the file, whatever its length. */
export function isHeldOut(document: number, share: number): boolean {
  return Math.floor((document + 1) * share) > Math.floor(document * share);
}

async function* documents(
  texts: AsyncGenerator<SourceText>,
  wanted: (document: number) => boolean,
): AsyncGenerator<SourceText> {
  let document = 0;
  for await (const text of texts) if (wanted(document++)) yield text;
}

// Which texts of an experiment go where: trained on, held out for the metrics, indexed.
import { readTexts, type SourceText } from "../data/texts.ts";
import type { Experiment } from "./experiment.ts";

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

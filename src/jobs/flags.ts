// Which features of an ensemble a person has flagged: those that a command names, or those of annotations.json beside the ensemble.
import { existsSync } from "node:fs";
import { Annotations } from "../features/annotations.ts";
import { memberRanges } from "../features/decoderRows.ts";
import { InputError } from "../formats/inputError.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { featureNumber } from "../sae/featureName.ts";

export interface Flags {
  /** Global numbers, ascending. */
  readonly features: readonly number[];
  /** Where they were read; null where a command named them or nothing is flagged. */
  readonly file: string | null;
}

/** `given`: names as "member/index". Throws InputError for one that is no feature of the ensemble. */
export async function readFlags(
  ensemble: Ensemble,
  annotationFile: string,
  given: readonly string[] | undefined,
): Promise<Flags> {
  if (given !== undefined) {
    const features = given.map((name) => {
      const feature = featureNumber(ensemble, name);
      if (feature !== null) return feature;
      const expected = "member/index, from 0/0 on, of every ensemble that is scored (--ensemble names one)";
      throw new InputError({ file: annotationFile, where: "--flags", found: `"${name}"`, expected });
    });
    return { features: [...new Set(features)].sort((a, b) => a - b), file: null };
  }
  if (!existsSync(annotationFile)) return { features: [], file: null };
  const annotations = (await Annotations.open(annotationFile)).byId(memberRanges(ensemble));
  const features = [...annotations].flatMap(([feature, { flagged }]) => (flagged ? [feature] : []));
  return { features: features.sort((a, b) => a - b), file: features.length > 0 ? annotationFile : null };
}

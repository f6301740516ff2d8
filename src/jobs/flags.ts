// Which features of an ensemble a person has flagged: those that a command names, or those of annotations.json beside the ensemble.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { Annotations } from "../features/annotations.ts";
import { memberRanges } from "../features/decoderRows.ts";
import { InputError } from "../formats/inputError.ts";
import { type Ensemble, memberOffsets } from "../sae/ensemble.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import { featureName, featureNumber } from "../sae/featureName.ts";
import { runPaths } from "./runFolder.ts";

export interface Flags {
  /** Global numbers, ascending. */
  readonly features: readonly number[];
  /** The annotations.json in which they are flagged, and no others; null where a command named others or nothing is flagged. */
  readonly file: string | null;
}

/**
 * Flags of trained ensembles of a run, by their names. Throws InputError for a name among `flags` that is no feature of one
 * of them, and where a probe is to be saved and nothing is flagged: either would otherwise be said after all the work.
 */
export async function flagsOf(
  runFolder: string,
  ensembles: readonly string[],
  { flags, probeFolder }: { readonly flags?: readonly string[]; readonly probeFolder?: string },
): Promise<Map<string, Flags>> {
  const found = new Map<string, Flags>();
  const paths = runPaths(runFolder);
  for (const name of ensembles)
    found.set(name, await readFlags(await loadEnsemble(paths.ensemble(name)), paths.annotations(name), flags));
  if (probeFolder === undefined || [...found.values()].some(({ features }) => features.length > 0)) return found;
  throw new InputError({
    file: runFolder,
    found: "no flagged feature, so no debiased probe",
    expected: "flags in an ensemble's annotations.json, or named with --flags",
  });
}

/** `given`: names as "member/index". */
async function readFlags(
  ensemble: Ensemble,
  annotationFile: string,
  given: readonly string[] | undefined,
): Promise<Flags> {
  let flagged: readonly number[] = [];
  try {
    if (existsSync(annotationFile)) flagged = await flaggedIn(annotationFile, ensemble);
  } catch (error) {
    // Flags that are named do without the file.
    if (given === undefined || !(error instanceof InputError)) throw error;
  }
  if (given !== undefined) {
    const named = given.map((name) => {
      const feature = featureNumber(ensemble, name);
      if (feature !== null) return feature;
      const last = featureName(ensemble, memberOffsets(ensemble).at(-1)! - 1);
      const expected = `member/index from 0/0 to ${last}, and so in every ensemble that is scored (--ensemble names one)`;
      throw new InputError({ file: dirname(annotationFile), where: "--flags", found: `"${name}"`, expected });
    });
    const features = [...new Set(named)].sort((a, b) => a - b);
    return { features, file: features.length > 0 && features.join() === flagged.join() ? annotationFile : null };
  }
  return { features: flagged, file: flagged.length > 0 ? annotationFile : null };
}

/** Ascending. */
async function flaggedIn(annotationFile: string, ensemble: Ensemble): Promise<number[]> {
  const annotations = (await Annotations.open(annotationFile)).byId(memberRanges(ensemble));
  return [...annotations].flatMap(([feature, { flagged }]) => (flagged ? [feature] : [])).sort((a, b) => a - b);
}

// `export`: an ensemble and its index in forms that others read. What is exact is written, what is not is refused with the reason.
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { Annotations } from "../features/annotations.ts";
import { writeNeuronpediaBatches } from "../features/exports/neuronpedia.ts";
import { writeIndexParquet } from "../features/exports/parquet.ts";
import type { FeatureIndex } from "../features/featureIndex.ts";
import { openFeatureIndex } from "../features/openFeatureIndex.ts";
import { InputError } from "../formats/inputError.ts";
import { normalisingMember } from "../sae/combine.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import { flatSae, whyNotFlat } from "../sae/flatSae.ts";
import { PYTHON_FILE, savePythonEnsemble } from "../sae/pythonExport.ts";
import { saveSae } from "../sae/saeLensFolder.ts";
import { lyingIn } from "./targetFolder.ts";

/** saelens: one flat SAE. python: the ensemble with a module of SAEBench's contract. neuronpedia, parquet: the feature index. */
export const exportForms = ["saelens", "python", "neuronpedia", "parquet"] as const;
export type ExportForm = (typeof exportForms)[number];

/**
 * `ensemble`: an ensemble's folder; its index, if the form needs one, lies in it. `to` must not hold anything yet.
 * Returns one line on what was written, of which ensemble. Throws InputError, also where a form would not be exact.
 */
export async function exportEnsemble(
  ensemble: string,
  form: ExportForm,
  to: string,
  onProgress?: (done: number, total: number) => void,
): Promise<string> {
  const folder = resolve(ensemble);
  const target = resolve(to);
  const wanted = "a new folder (--to)";
  if (lyingIn(target, wanted).length > 0) {
    throw new InputError({ file: target, found: "a folder with something in it", expected: wanted });
  }
  switch (form) {
    case "saelens": {
      const loaded = await loadEnsemble(folder);
      const reason = whyNotFlat(loaded);
      if (reason) {
        const expected = `an ensemble with an exact flat form (--ensemble names another): ${reason}. Each member is a SAELens folder, and the form "python" is exact`;
        throw new InputError({ file: folder, found: `${loaded.method} of ${loaded.members.length}`, expected });
      }
      const sae = flatSae(loaded);
      await saveSae(target, sae);
      return `${ensembleWords(folder, loaded.method, sizes(loaded))}: one ${sae.config.architecture} SAE of ${sae.config.d_sae.toLocaleString("en")} features: SAE.load_from_disk reads it`;
    }
    case "python": {
      const loaded = await loadEnsemble(folder);
      const normalising = normalisingMember(loaded);
      if (normalising) {
        throw new InputError({
          file: folder,
          where: "normalize_activations",
          found: normalising.how,
          expected: "members that don't normalise each token: what their W_dec adds depends on the token",
        });
      }
      await savePythonEnsemble(target, loaded);
      return `${ensembleWords(folder, loaded.method, sizes(loaded))}: ${PYTHON_FILE}, whose EnsembleSAE has SAEBench's contract`;
    }
    case "neuronpedia":
      return withIndex(folder, async (index) => {
        const sae_set = `${basename(dirname(dirname(folder)))}-${basename(folder)}`;
        const contextSize = longestSequence(index);
        const progress = onProgress ? { onProgress } : {};
        const files = await writeNeuronpediaBatches(index, target, { sae_set, contextSize, ...progress });
        return `${indexWords(folder, index)}: ${files} ${files === 1 ? "batch" : "batches"} of features as SAEDashboard writes them`;
      });
    case "parquet":
      return withIndex(folder, async (index) => {
        const { features, sequences } = await writeIndexParquet(index, target, onProgress);
        return `${indexWords(folder, index)}: features.parquet (${features.toLocaleString("en")} rows) and sequences.parquet (${sequences.toLocaleString("en")} rows)`;
      });
  }
}

/** "bagging, 4 members, 2,560 features"; the method as well where the folder is called otherwise. */
function ensembleWords(folder: string, method: string, sizes: readonly number[]): string {
  const name = basename(folder);
  const features = sizes.reduce((sum, size) => sum + size, 0).toLocaleString("en");
  const members = `${sizes.length} member${sizes.length === 1 ? "" : "s"}`;
  return `${name === method ? name : `${name} (${method})`}, ${members}, ${features} features`;
}

function sizes({ members }: Ensemble): number[] {
  return members.map(({ config }) => config.d_sae);
}

function indexWords(folder: string, { info }: FeatureIndex): string {
  return ensembleWords(
    folder,
    info.method,
    info.members.map(({ size }) => size),
  );
}

/** The ensemble's index with what people said about its features. */
async function withIndex<T>(folder: string, use: (index: FeatureIndex) => Promise<T>): Promise<T> {
  const path = join(folder, "index.sqlite");
  if (!existsSync(path)) {
    throw new InputError({
      file: folder,
      found: "no index.sqlite",
      expected: "an ensemble with a feature index: run index first",
    });
  }
  const index = openFeatureIndex(path);
  try {
    const annotations = await Annotations.open(join(folder, "annotations.json"));
    index.setAnnotations(annotations.byId(index.info.members));
    return await use(index);
  } finally {
    index.close();
  }
}

/** Tokens of the longest stored sequence of the most frequent feature: all windows of an index have one size. */
function longestSequence(index: FeatureIndex): number {
  const { rows } = index.page({ filter: { alive: true }, sort: "density", descending: true, limit: 1 });
  const bands = rows[0] ? index.detail(rows[0].id).bands : [];
  return Math.max(0, ...bands.flatMap(({ sequences }) => sequences.map(({ tokens }) => tokens.length)));
}

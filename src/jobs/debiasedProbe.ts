// The result to take away: a debiased probe as a folder of its own, with what it needs to be applied elsewhere. How it is applied is media/probe/.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { writeSafetensors } from "../formats/safetensors.ts";
import { CELLS, type CellScores } from "../probing/cells.ts";
import type { Probe } from "../probing/probe.ts";
import type { GroupedExamples } from "../probing/scr.ts";
import type { Spread } from "../probing/spread.ts";
import { productFolder } from "./demoData.ts";

export interface DebiasedProbe {
  /** For activations without the features. */
  readonly probe: Probe;
  /** Global numbers of the features that are taken out, and their names. */
  readonly features: readonly number[];
  readonly nameOf: (feature: number) => string;
  /** [F, d], the ensemble's decoder rows. */
  readonly W_dec: Float32Array;
  /** What it was scored on, as rows of `pooledFile`, and the scores. */
  readonly test: Omit<GroupedExamples, "x">;
  readonly scores: CellScores;
  /** The seed that it comes from, and what the report gives: means over all of them. */
  readonly seed: number;
  readonly over: { readonly seeds: readonly number[]; readonly accuracy: Spread; readonly worst_group: Spread };
  readonly pooledFile: string;
  /** What the cells are called, in the order of CELLS; a logit above 0 is the label of the first two. */
  readonly cellNames: readonly string[];
  /** What made it: data, ensemble, command, versions. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/**
 * Writes `probe.safetensors` (w [d], b [1], features [n], directions [n, d], and the test rows), `probe.json` that says what
 * it is and what it scored, and the two modules that apply it.
 */
export async function saveDebiasedProbe(folder: string, saved: DebiasedProbe): Promise<void> {
  const { probe, nameOf, W_dec, test, scores, cellNames, pooledFile, provenance, seed, over } = saved;
  const features = Uint32Array.from(new Set(saved.features)).sort();
  const d = probe.w.length;
  const directions = new Float32Array(features.length * d);
  for (const [at, feature] of features.entries())
    directions.set(W_dec.subarray(feature * d, (feature + 1) * d), at * d);
  await writeSafetensors(join(folder, "probe.safetensors"), {
    w: { shape: [d], data: probe.w },
    b: { shape: [1], data: Float64Array.of(probe.b) },
    features: { shape: [features.length], data: features },
    directions: { shape: [features.length, d], data: directions },
    "test.rows": { shape: [test.rows.length], data: test.rows },
    "test.labels": { shape: [test.labels.length], data: test.labels },
    "test.attributes": { shape: [test.attributes.length], data: test.attributes },
  });
  const description = {
    format_version: 1,
    formula: "logit = (x - f @ directions) @ w + b; x: mean activation of a text, f: its mean codes of the features",
    d_in: d,
    ablated_features: Array.from(features, nameOf),
    pooled_texts: pooledFile,
    seed,
    scores_are: `those of this probe, of seed ${seed}, on its test rows; the report and the debias view show means over seeds ${over.seeds.join(", ")}`,
    scores: {
      accuracy: scores.accuracy,
      worst_group: scores.worst_group,
      cells: Object.fromEntries(
        CELLS.map((cell, at) => [cell, { name: cellNames[at], accuracy: scores.cells[at], texts: scores.counts[at] }]),
      ),
    },
    over_seeds: over,
    ...provenance,
  };
  await writeFileAtomic(join(folder, "probe.json"), `${JSON.stringify(description, null, 2)}\n`);
  for (const module of ["debiased_probe.py", "debiasedProbe.ts"])
    await writeFileAtomic(join(folder, module), readFileSync(join(productFolder(), "media", "probe", module), "utf8"));
}

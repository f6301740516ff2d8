// SCR and sparse probing of one ensemble, recomputed here: SCR from the activations that SAEBench pooled and the very probes that it trained, sparse probing from the pooled codes that it drew.
import { join } from "node:path";
import type { Engine } from "../../src/engine/engine.ts";
import { readSafetensors, type Safetensors, tensorEntryOf, tensorFloat32 } from "../../src/formats/safetensors.ts";
import { ablatedLogits, encodedPadding } from "../../src/probing/ablation.ts";
import { codeColumns } from "../../src/probing/codeColumns.ts";
import { detectConcepts } from "../../src/probing/conceptDetection.ts";
import { classDifference, decoderProjection, scrEffects, topFeaturesSaeBench } from "../../src/probing/effects.ts";
import type { Rows } from "../../src/probing/examples.ts";
import { denseTable } from "../../src/probing/featureTable.ts";
import { codesOfZero, type PooledTexts, TextPooler } from "../../src/probing/pool.ts";
import { accuracyOf, logits, type Probe } from "../../src/probing/probe.ts";
import { scrScore } from "../../src/probing/scr.ts";
import { combinedDecoder } from "../../src/sae/combine.ts";
import { type Ensemble, ensembleWidth } from "../../src/sae/ensemble.ts";
import type { Compared } from "./saeBenchCore.ts";

/** SAEBench's names of the sets and of the probes that are trained on them, with the set of the other label. */
const SETS = {
  "professor / nurse": "nurse_data_only",
  "male / female": "female_data_only",
  "male_professor / female_nurse": "female_nurse_data_only",
} as const;
type SetName = keyof typeof SETS;
const LABEL: SetName = "professor / nurse";
const ATTRIBUTE: SetName = "male / female";
const BIASED: SetName = "male_professor / female_nurse";

export interface ProbingTask {
  readonly context_size: number;
  readonly scr: { readonly n_values: readonly number[] };
  readonly sparse_probing: { readonly k_values: readonly number[]; readonly classes: readonly string[] };
}

export async function compareProbing(
  engine: Engine,
  ensemble: Ensemble,
  method: string,
  folder: string,
  task: ProbingTask,
  // biome-ignore lint/suspicious/noExplicitAny: SAEBench's own results
  answer: any,
): Promise<Compared[]> {
  const acts = await readSafetensors(join(folder, "scr.safetensors"));
  const probed = await readSafetensors(join(folder, `${method}.probing.safetensors`));
  return [
    ...(await compareScr(engine, ensemble, acts, task, answer.scr)),
    ...(await compareSparseProbing(probed, task, answer.sparse_probing)),
  ];
}

async function compareScr(
  engine: Engine,
  ensemble: Ensemble,
  acts: Safetensors,
  { context_size, scr: { n_values } }: ProbingTask,
  theirs: Readonly<Record<string, number>>,
): Promise<Compared[]> {
  const { W_dec } = combinedDecoder(ensemble);
  const encoder = await engine.createEncoder(ensemble);
  const [probes, effects, tests] = [
    new Map<SetName, Probe>(),
    new Map<SetName, Float64Array>(),
    new Map<SetName, Set>(),
  ];
  let ofZero: Float64Array;
  try {
    const d = ensemble.members[0]!.config.d_in;
    const width = ensembleWidth(ensemble);
    ofZero = await codesOfZero(encoder, d, width);
    const pool = async (part: string, name: SetName): Promise<Set> => {
      const pooler = new TextPooler(encoder, d, width);
      const counts: number[] = [];
      for (const key of [name, SETS[name]]) {
        const { x, lengths } = await realTokens(acts, `${part}.${key}`);
        await pooler.add(x, lengths);
        counts.push(lengths.length);
      }
      const pooled = pooler.result();
      const rows = Uint32Array.from({ length: pooled.activations.rows }, (_, row) => row);
      return { pooled, rows, labels: Uint8Array.from(rows, (row) => (row < counts[0]! ? 1 : 0)) };
    };
    for (const name of Object.keys(SETS) as SetName[]) {
      const w = Float64Array.from(await tensorFloat32(acts, `${name}.w`));
      probes.set(name, { w, b: (await tensorFloat32(acts, `${name}.b`))[0]! });
      if (name === BIASED) continue;
      const learnt = await pool("train", name);
      effects.set(name, scrEffects(classDifference(learnt.pooled.codes, learnt), decoderProjection(W_dec, w)));
      tests.set(name, await pool("test", name));
    }
  } finally {
    await encoder.close();
  }

  const biased = probes.get(BIASED)!;
  const projection = decoderProjection(W_dec, biased.w);
  /** SCR on one label when the features of the other's probe are taken out; with SAEBench's padding, or as we define it. */
  const score = (on: SetName, of: SetName, n: number, padded: boolean): number => {
    const { pooled, rows, labels } = tests.get(on)!;
    const base = logits(biased, pooled.activations, rows);
    const padding = padded ? encodedPadding(context_size, pooled.tokens, ofZero) : undefined;
    const chosen = topFeaturesSaeBench(effects.get(of)!, n);
    const ablated = ablatedLogits(base, codeColumns(pooled.codes, rows), projection, chosen, padding);
    return scrScore({
      A_ablated: accuracyOf(ablated, labels),
      A_biased: accuracyOf(base, labels),
      A_clean: accuracyOf(logits(probes.get(on)!, pooled.activations, rows), labels),
    });
  };
  const directions = [
    { name: "dir1", on: LABEL, of: ATTRIBUTE },
    { name: "dir2", on: ATTRIBUTE, of: LABEL },
  ] as const;
  return directions.flatMap(({ name, on, of }) =>
    n_values.map((n): Compared => {
      const key = `scr_${name}_threshold_${n}`;
      return {
        name: key,
        theirs: theirs[key]!,
        same: score(on, of, n, true),
        ours: score(on, of, n, false),
        tolerance: 1e-5,
      };
    }),
  );
}

interface Set {
  readonly pooled: PooledTexts;
  readonly rows: Uint32Array;
  readonly labels: Uint8Array;
}

/** The tokens of each text that are not masked (masked ones are zero vectors), one text after the other. */
async function realTokens(file: Safetensors, name: string): Promise<{ x: Float32Array; lengths: Uint32Array }> {
  const [texts, length, d] = tensorEntryOf(file, name).shape as [number, number, number];
  const all = await tensorFloat32(file, name);
  const lengths = new Uint32Array(texts);
  let kept = 0;
  for (let token = 0; token < texts * length; token++) {
    const row = all.subarray(token * d, (token + 1) * d);
    if (row.every((value) => value === 0)) continue;
    all.copyWithin(kept * d, token * d, (token + 1) * d);
    lengths[Math.floor(token / length)]!++;
    kept++;
  }
  return { x: all.subarray(0, kept * d), lengths };
}

async function compareSparseProbing(
  file: Safetensors,
  { sparse_probing: { k_values, classes } }: ProbingTask,
  theirs: Readonly<Record<string, number>>,
): Promise<Compared[]> {
  const results: Compared[] = [];
  for (const k of k_values) {
    let sum = 0;
    for (const one of classes) {
      const [train, test] = [await drawn(file, `${k}.${one}.train`), await drawn(file, `${k}.${one}.test`)];
      sum += detectConcepts(denseTable(train.x), denseTable(test.x), [{ train, test }], k).mean;
    }
    const name = `sae_top_${k}_test_accuracy`;
    // scikit-learn stops short of the optimum that ours goes to: a text at the border may fall on the other side.
    results.push({ name, theirs: theirs[name]!, same: sum / classes.length, ours: null, tolerance: 5e-3 });
  }
  return results;
}

async function drawn(file: Safetensors, name: string): Promise<{ x: Rows; rows: Uint32Array; labels: Uint8Array }> {
  const [count, d] = tensorEntryOf(file, `${name}.x`).shape as [number, number];
  const values = Float64Array.from(await tensorFloat32(file, `${name}.x`));
  const labels = Uint8Array.from(await tensorFloat32(file, `${name}.labels`));
  return { x: { rows: count, d, values }, rows: Uint32Array.from({ length: count }, (_, row) => row), labels };
}

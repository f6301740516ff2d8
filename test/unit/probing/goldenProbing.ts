// The planted set of test/golden/probing, pooled once by the reference engine, and its stored probes. Not a test.
import { readFileSync } from "node:fs";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { readSafetensors, tensorData, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { Rows } from "../../../src/probing/examples.ts";
import { codesOfZero, type PooledTexts, TextPooler } from "../../../src/probing/pool.ts";
import type { Probe } from "../../../src/probing/probe.ts";
import { combinedDecoder } from "../../../src/sae/combine.ts";
import { type Ensemble, ensembleWidth } from "../../../src/sae/ensemble.ts";
import { loadSae } from "../../../src/sae/saeLensFolder.ts";
import { golden } from "../fixtures.ts";

export type ModelName = "relu" | "topk" | "bagging" | "boosting";
export const modelNames: readonly ModelName[] = ["relu", "topk", "bagging", "boosting"];

const folders: Record<ModelName, readonly string[]> = {
  relu: ["sae_relu"],
  topk: ["sae_topk"],
  bagging: ["bagging/member0", "bagging/member1", "bagging/member2"],
  boosting: ["boosting/member0", "boosting/member1"],
};

export async function goldenEnsemble(name: ModelName): Promise<Ensemble> {
  const members = await Promise.all(folders[name].map((folder) => loadSae(golden("probing", folder))));
  return {
    method: name === "bagging" || name === "boosting" ? name : "single",
    members,
    weights: members.map(() => (name === "bagging" ? 1 / members.length : 1)),
    seeds: members.map((_, j) => j),
    hook: "blocks.0.hook_resid_post",
    provenance: {},
  };
}

export interface GoldenPart {
  /** [tokens, 32] */
  readonly tokens: Float32Array;
  readonly lengths: Int32Array;
  readonly label: Uint8Array;
  readonly attribute: Uint8Array;
  readonly topic: Uint8Array;
}

export async function goldenPart(part: "train" | "test"): Promise<GoldenPart> {
  const file = await readSafetensors(golden("probing", "acts.safetensors"));
  return {
    tokens: await tensorFloat32(file, `${part}.tokens`),
    lengths: (await tensorData(file, `${part}.lengths`)) as Int32Array,
    label: (await tensorData(file, `${part}.label`)) as Uint8Array,
    attribute: (await tensorData(file, `${part}.attribute`)) as Uint8Array,
    topic: (await tensorData(file, `${part}.topic`)) as Uint8Array,
  };
}

export interface GoldenModel {
  readonly name: ModelName;
  readonly ensemble: Ensemble;
  readonly W_dec: Float32Array;
  readonly train: PooledTexts;
  readonly test: PooledTexts;
  readonly codesOfZero: Float64Array;
}

const pooled = new Map<ModelName, Promise<GoldenModel>>();

/** Pooled once a process. */
export function goldenModel(name: ModelName): Promise<GoldenModel> {
  const model = pooled.get(name) ?? poolModel(name);
  pooled.set(name, model);
  return model;
}

async function poolModel(name: ModelName): Promise<GoldenModel> {
  const ensemble = await goldenEnsemble(name);
  const encoder = await createReferenceEngine().createEncoder(ensemble);
  const width = ensembleWidth(ensemble);
  const pool = async (part: "train" | "test"): Promise<PooledTexts> => {
    const { tokens, lengths } = await goldenPart(part);
    const pooler = new TextPooler(encoder, 32, width);
    await pooler.add(tokens, lengths);
    return pooler.result();
  };
  return {
    name,
    ensemble,
    W_dec: combinedDecoder(ensemble).W_dec,
    train: await pool("train"),
    test: await pool("test"),
    codesOfZero: await codesOfZero(encoder, 32, width),
  };
}

/** Mean activations alone, quickly. */
export async function goldenRows(part: "train" | "test"): Promise<Rows> {
  const { tokens, lengths } = await goldenPart(part);
  const values = new Float64Array(lengths.length * 32);
  let at = 0;
  for (let text = 0; text < lengths.length; text++)
    for (let token = 0; token < lengths[text]!; token++)
      for (let j = 0; j < 32; j++) values[text * 32 + j]! += tokens[at++]! / lengths[text]!;
  return { rows: lengths.length, d: 32, values };
}

/** Tensors of a probe file as float64 and as whole numbers. */
export async function probeFile(name: string) {
  const file = await readSafetensors(golden("probing", name));
  const numbers = async (tensor: string): Promise<Float64Array> =>
    Float64Array.from((await tensorData(file, tensor)) as Float32Array | Float64Array);
  return {
    numbers,
    probe: async (which: string, w = "w", b = "b"): Promise<Probe> => ({
      w: await numbers(`${which}.${w}`),
      b: (await numbers(`${which}.${b}`))[0]!,
    }),
    rows: async (tensor: string): Promise<Uint32Array> =>
      Uint32Array.from((await tensorData(file, tensor)) as Int32Array),
    labels: async (tensor: string): Promise<Uint8Array> => (await tensorData(file, tensor)) as Uint8Array,
    orders: async (which: string): Promise<Uint32Array[]> => {
      const all = Uint32Array.from((await tensorData(file, `${which}.epoch_perms`)) as Int32Array);
      const n = all.length / 20;
      return Array.from({ length: 20 }, (_, epoch) => all.subarray(epoch * n, (epoch + 1) * n));
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: golden files have many shapes; tests say which they read
export function goldenJson(name: string): any {
  return JSON.parse(readFileSync(golden("probing", name), "utf8"));
}

/** Largest |a − b|. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`${a.length} values against ${b.length}`);
  let most = 0;
  // NaN must not pass.
  for (let i = 0; i < a.length; i++) most = Math.abs(a[i]! - b[i]!) <= most ? most : Math.abs(a[i]! - b[i]!);
  return most;
}

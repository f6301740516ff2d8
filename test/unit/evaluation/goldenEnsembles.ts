// The golden ensembles and metrics of test/golden/evaluation, and an engine that encodes by definition alone.
import { readFileSync } from "node:fs";
import type { Engine, SparseCodes } from "../../../src/engine/engine.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { type Ensemble, ensembleWidth } from "../../../src/sae/ensemble.ts";
import type { Sae } from "../../../src/sae/sae.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import { golden } from "../fixtures.ts";

export const TOKENS = 500;
export const D_IN = 32;

// biome-ignore lint/suspicious/noExplicitAny: a file of numbers whose structure the tests themselves assert
export const metricsJson: any = JSON.parse(readFileSync(golden("evaluation", "metrics.json"), "utf8"));

export async function goldenX(): Promise<Float32Array> {
  return tensorFloat32(await readSafetensors(golden("evaluation", "x.safetensors")), "x", [TOKENS, D_IN]);
}

/** A SAELens folder under test/golden, read here by hand so that these tests stand alone. */
export async function goldenSae(...path: string[]): Promise<Sae> {
  const config = JSON.parse(readFileSync(golden(...path, "cfg.json"), "utf8"));
  const file = await readSafetensors(golden(...path, "sae_weights.safetensors"));
  const { d_in: d, d_sae: F } = config;
  const stored = await tensorFloat32(file, "W_enc", [d, F]);
  const W_enc = new Float32Array(stored.length);
  for (let j = 0; j < d; j++) for (let i = 0; i < F; i++) W_enc[i * d + j] = stored[j * F + i]!;
  const [W_dec, b_dec, b_enc] = await Promise.all(["W_dec", "b_dec", "b_enc"].map((name) => tensorFloat32(file, name)));
  return { config, weights: { W_enc, W_dec: W_dec!, b_dec: b_dec!, b_enc: b_enc! } };
}

export async function goldenEnsemble(name: string): Promise<Ensemble> {
  const { members: folders, ...rest } = JSON.parse(readFileSync(golden("evaluation", name, "ensemble.json"), "utf8"));
  const members = [];
  for (const folder of folders) members.push(await goldenSae("evaluation", name, folder));
  return { ...rest, members };
}

/** An ensemble of one. */
export function alone(sae: Sae): Ensemble {
  return { method: "single", members: [sae], weights: [1], seeds: [0], hook: "", provenance: {} };
}

export function sparse(codes: Float32Array, rows: number, width: number): SparseCodes {
  const offsets = new Uint32Array(rows + 1);
  const indices: number[] = [];
  const values: number[] = [];
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < width; i++) {
      if (codes[t * width + i]! > 0) {
        indices.push(i);
        values.push(codes[t * width + i]!);
      }
    }
    offsets[t + 1] = indices.length;
  }
  return { rows, width, offsets, indices: Uint32Array.from(indices), values: Float32Array.from(values) };
}

/** Encodes with src/sae's plain loops; trains nothing. */
export const definitionEngine: Engine = {
  name: "definition",
  description: "plain loops",
  createTrainer: () => Promise.reject(new Error("this engine only encodes")),
  createEncoder: async (ensemble) =>
    encoderFrom(async (x, rows) => {
      const { codes, reconstruction } = encodeEnsemble(ensemble, x, rows);
      return { codes: sparse(codes, rows, ensembleWidth(ensemble)), reconstruction };
    }),
  close: async () => {},
};

/** Activations [rows, d] as a source that hands out what is asked for. */
export function sourceOf(x: Float32Array, d: number) {
  let at = 0;
  return {
    d_in: d,
    next: async (rows: number) => {
      const part = x.slice(at, at + rows * d);
      at += part.length;
      return part.length > 0 ? { x: part, rows: part.length / d } : null;
    },
  };
}

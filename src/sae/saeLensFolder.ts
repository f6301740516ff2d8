// Reading and writing one SAE as a SAELens 6 folder: cfg.json, sae_weights.safetensors, sparsity.safetensors.
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { InputError, unreadable } from "../formats/inputError.ts";
import {
  floatEntryOf,
  readSafetensors,
  type Safetensors,
  type TensorSource,
  tensorData,
  tensorFloat32,
  writeSafetensors,
} from "../formats/safetensors.ts";
import { eachPiece } from "../formats/tensorPieces.ts";
import { allFinite } from "../formats/transpose.ts";
import { turnedTensor } from "../formats/turnedTensor.ts";
import { checkFinite } from "./parameters.ts";
import { type ParameterName, parameterNames, type Sae, type SaeConfig, type SaeWeights } from "./sae.ts";
import { formatSaeLensConfig, parseSaeLensConfig } from "./saeLensConfig.ts";

const CONFIG = "cfg.json";
export const WEIGHTS = "sae_weights.safetensors";
const SPARSITY = "sparsity.safetensors";
const SCALING_FACTORS = ["scaling_factor", "finetuning_scaling_factor"];
/** log10 of a density never goes below log10(SPARSITY_EPS). */
const SPARSITY_EPS = 1e-10;

/**
 * Writes `sae` so that SAELens' SAE.load_from_disk reads it. `density`: share of tokens on which each feature fires, [F];
 * written as sparsity.safetensors. The folder is made; cfg.json comes last, so a folder with one is whole.
 * A batchtopk SAE is written as the training checkpoint that it is: fold it first (inferenceSae) for a file that SAELens loads.
 */
export async function saveSae(
  folder: string,
  sae: Sae,
  options: { readonly density?: ArrayLike<number> } = {},
): Promise<void> {
  const { config, weights } = sae;
  const { d_in: d, d_sae: F } = config;
  const tensors: Record<string, TensorSource> = {};
  const cfg = formatSaeLensConfig(config, weights.W_skip !== undefined);
  for (const name of storedNames(config, weights.W_skip !== undefined)) {
    const values = weights[name];
    if (!values || values.length !== sizeOf(name, config)) {
      throw new RangeError(
        `${name} of a ${config.architecture} SAE holds ${values?.length ?? 0} values, not ${sizeOf(name, config)}`,
      );
    }
    tensors[name] =
      name === "W_enc"
        ? { shape: [d, F], dtype: "F32", data: () => transposedChunks(values, F, d) }
        : { shape: shapeOf(name, config), data: values };
  }
  if (config.architecture === "batchtopk") {
    tensors["topk_threshold"] = { shape: [], data: Float64Array.of(sae.topk_threshold ?? 0) };
  }
  // Over an older SAE: its cfg.json must not stand beside new weights, should this be broken off.
  await rm(join(folder, CONFIG), { force: true });
  await writeSafetensors(join(folder, WEIGHTS), tensors);
  if (options.density) {
    const sparsity = Float32Array.from(options.density, (share) => Math.log10(share + SPARSITY_EPS));
    await writeSafetensors(join(folder, SPARSITY), { sparsity: { shape: [F], data: sparsity } });
  }
  await writeFileAtomic(join(folder, CONFIG), cfg);
}

/**
 * Reads a folder written by SAELens (6, and the flat form before it) or by `saveSae`. Half-precision weights are widened.
 * `weightsName`: of the file that holds them, where it is another than SAELens'.
 * Throws InputError for a missing file, a wrong shape, a value that is no number, and for architectures that we don't compute.
 */
export async function loadSae(folder: string, weightsName = WEIGHTS): Promise<Sae> {
  const { config, skip } = await loadConfig(folder);
  const file = await readSafetensors(join(folder, weightsName));
  await checkOtherTensors({ ...file, float32: (name) => tensorFloat32(file, name) }, config, skip);
  const weights = await readWeights(file, config, skip);
  if (config.architecture !== "batchtopk") return { config, weights };
  return { config, weights, topk_threshold: await readTopkThreshold(file) };
}

/** What a folder's cfg.json says, without its weights. `skip`: they have a W_skip. Throws InputError. */
export async function loadConfig(folder: string): Promise<{ config: SaeConfig; skip: boolean }> {
  const path = join(folder, CONFIG);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new InputError({ file: path, found: unreadable(error), expected: "the cfg.json of a SAELens folder" });
  }
  return parseSaeLensConfig(text, path);
}

/** A batchtopk checkpoint's one number: SAELens' is of float64; one of another type of floats is widened. */
async function readTopkThreshold(file: Safetensors): Promise<number> {
  const name = "topk_threshold";
  const { dtype } = floatEntryOf(file, name, []);
  const values = dtype === "F64" ? await tensorData(file, name) : await tensorFloat32(file, name);
  const value = Number(values[0]);
  checkFinite(file.path, name, Float32Array.of(value));
  return value;
}

/** log10 densities of a folder's sparsity.safetensors, [F]; null if it has none. */
export async function loadSparsity(folder: string): Promise<Float32Array | null> {
  const path = join(folder, SPARSITY);
  if (!existsSync(path)) return null;
  return await tensorFloat32(await readSafetensors(path), "sparsity");
}

async function readWeights(file: Safetensors, config: SaeConfig, skip: boolean): Promise<SaeWeights> {
  // All at once: one is read while another is turned. The first that is wrong, in order, is what is said.
  const names = storedNames(config, skip);
  const read = await Promise.allSettled(
    names.map((name) => (name === "W_enc" ? readEncoder(file, config) : readPlain(file, name, config))),
  );
  const weights: Partial<Record<ParameterName, Float32Array>> = {};
  for (const [at, one] of read.entries()) {
    if (one.status === "rejected") throw one.reason;
    weights[names[at]!] = one.value;
  }
  return weights as SaeWeights;
}

/** A parameter as it lies in the file, looked through while it is read. */
async function readPlain(file: Safetensors, name: ParameterName, config: SaeConfig): Promise<Float32Array> {
  floatEntryOf(file, name, shapeOf(name, config));
  const values = new Float32Array(sizeOf(name, config));
  let finite = true;
  await eachPiece(file, name, { into: values }, (piece) => {
    finite &&= allFinite(piece);
  });
  if (!finite) checkFinite(file.path, name, values);
  return values;
}

/** W_enc, [d, F] in the file, as rows of features. */
async function readEncoder(file: Safetensors, { d_in: d, d_sae: F }: SaeConfig): Promise<Float32Array> {
  floatEntryOf(file, "W_enc", [d, F]);
  const { values, finite } = await turnedTensor(file, "W_enc");
  if (!finite) checkFinite(file.path, "W_enc", values);
  return values;
}

/**
 * A tensor that the architecture doesn't use (a threshold beside a standard) would be lost silently; and old files carry a
 * scaling_factor of ones that means nothing, where another one would be lost as well. Throws InputError.
 */
export async function checkOtherTensors(
  file: {
    readonly path: string;
    readonly tensors: ReadonlyMap<string, unknown>;
    float32(name: string): Promise<Float32Array>;
  },
  config: SaeConfig,
  skip: boolean,
): Promise<void> {
  const stored: readonly string[] = storedNames(config, skip);
  const { architecture } = config;
  const threshold = architecture === "batchtopk" || architecture === "topk" ? ["topk_threshold"] : [];
  const known = new Set([...stored, ...SCALING_FACTORS, ...threshold]);
  const refuse = (name: string, found: string, expected: string): never => {
    throw new InputError({ file: file.path, where: `tensor ${name}`, found, expected });
  };
  for (const name of file.tensors.keys()) {
    if (known.has(name)) continue;
    refuse(name, `one that an SAE of cfg.json's architecture (${architecture}) doesn't use`, stored.join(", "));
  }
  for (const name of SCALING_FACTORS) {
    if (!file.tensors.has(name)) continue;
    const other = (await file.float32(name)).find((value) => Math.abs(value - 1) > 1e-5);
    if (other !== undefined) refuse(name, String(other), "ones: other scaling factors are not supported");
  }
}

function storedNames({ architecture }: SaeConfig, skip: boolean): readonly ParameterName[] {
  return skip ? [...parameterNames(architecture), "W_skip"] : parameterNames(architecture);
}

function shapeOf(name: ParameterName, { d_in, d_sae, d_out = d_in }: SaeConfig): number[] {
  switch (name) {
    case "W_enc":
      return [d_sae, d_in];
    case "W_dec":
      return [d_sae, d_out];
    case "W_skip":
      return [d_out, d_in];
    default:
      return [name === "b_dec" ? d_out : d_sae];
  }
}

function sizeOf(name: ParameterName, config: SaeConfig): number {
  return shapeOf(name, config).reduce((product, n) => product * n, 1);
}

/** [rows, columns] → [columns, rows], in chunks of whole rows of the result, so that a wide SAE is not held twice. */
function* transposedChunks(values: Float32Array, rows: number, columns: number): Generator<Uint8Array> {
  const together = Math.max(1, Math.min(columns, Math.floor((16 << 20) / (4 * rows))));
  for (let start = 0; start < columns; start += together) {
    const count = Math.min(together, columns - start);
    const chunk = new Float32Array(count * rows);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < count; c++) chunk[c * rows + r] = values[r * columns + start + c]!;
    }
    yield new Uint8Array(chunk.buffer);
  }
}

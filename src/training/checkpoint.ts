// Checkpoints of a training run on disk: each a folder with tensors and a JSON file, both under checksums, whole or not there at all. The last two are kept.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { entries, type MemberState } from "../engine/engine.ts";
import { syncFolder, writeFileAtomic } from "../formats/atomicWrite.ts";
import { removePatiently, renamePatiently } from "../formats/filesInUse.ts";
import { InputError, unreadable } from "../formats/inputError.ts";
import {
  readSafetensors,
  type Safetensors,
  type TensorSource,
  tensorData,
  writeSafetensors,
} from "../formats/safetensors.ts";
import { schemaError } from "../formats/schemaError.ts";
import type { ParameterName, SaeWeights } from "../sae/sae.ts";
import type { TrainingState } from "./trainingRun.ts";

const JSON_FILE = "checkpoint.json";
const TENSORS = "tensors.safetensors";
const FORMAT_VERSION = 1;
/** The newest may turn out damaged; then the one before it is used. */
const KEPT = 2;
const NAME = /^member_(\d+)-step_(\d+)$/;
const TEMPORARY = /^\..*\.tmp$/;

const count = z.int().nonnegative();
const contentSchema = z.object({
  format_version: z.literal(FORMAT_VERSION),
  fingerprint: z.string(),
  plan: z.record(z.string(), z.unknown()).optional(),
  member: count,
  step: count,
  tokens: count,
  cursor: z.record(z.string(), z.unknown()),
  scaling_factor: z.number().nullable(),
  engine: z.string().optional(),
  engine_description: z.string().optional(),
  members: z.array(z.object({ step: count, topk_threshold: z.number() })).min(1),
  finished: z.array(z.object({ topk_threshold: z.number() })),
  /** SHA-256 of each tensor's bytes. */
  tensors: z.record(z.string(), z.string()),
});
const fileSchema = z.object({ sha256: z.string(), content: z.unknown() });

/** What was found in a folder of checkpoints. */
export interface LoadedCheckpoint {
  readonly state: TrainingState;
  /** The checkpoint's own folder. */
  readonly path: string;
  /** Newer ones that could not be used, each with what is wrong with it. */
  readonly damaged: readonly InputError[];
}

/** Writes `state` as a new checkpoint under `folder`, then removes those older than the one before. Returns its path. */
export async function saveCheckpoint(folder: string, state: TrainingState): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `member_${state.member}-step_${String(state.step).padStart(9, "0")}`;
  const unique = randomBytes(4).toString("hex");
  const temporary = join(folder, `.${name}.${unique}.tmp`);
  const tensors = tensorsOf(state);
  const content = {
    format_version: FORMAT_VERSION,
    fingerprint: state.fingerprint,
    ...(state.plan === undefined ? {} : { plan: state.plan }),
    member: state.member,
    step: state.step,
    tokens: state.tokens,
    cursor: state.cursor,
    scaling_factor: state.scaling_factor,
    ...(state.engine === undefined ? {} : { engine: state.engine }),
    ...(state.engine_description === undefined ? {} : { engine_description: state.engine_description }),
    members: state.members.map(({ step, topk_threshold }) => ({ step, topk_threshold })),
    finished: state.finished.map(({ topk_threshold }) => ({ topk_threshold })),
    tensors: Object.fromEntries(
      [...tensors].map(([key, source]) => [key, sha256(source.data as Float32Array | Uint32Array)]),
    ),
  };
  try {
    await mkdir(temporary);
    // Both are synced by their writers, and the folder gets its name only when they are.
    await writeSafetensors(join(temporary, TENSORS), tensors);
    const text = JSON.stringify(content);
    await writeFileAtomic(
      join(temporary, JSON_FILE),
      `${JSON.stringify({ sha256: sha256(Buffer.from(text)), content })}\n`,
    );
    const path = join(folder, name);
    await replace(temporary, path, join(folder, `.${name}.${unique}.old.tmp`));
    // The name must be on disk before the older ones go.
    await syncFolder(folder);
    await removeOlder(folder);
    return path;
  } finally {
    await removePatiently(temporary);
  }
}

/**
 * The newest checkpoint under `folder` that is whole; null where there is none at all.
 * Throws InputError where there are some and none can be used.
 */
export async function loadCheckpoint(folder: string): Promise<LoadedCheckpoint | null> {
  const names = await checkpointNames(folder);
  const damaged: InputError[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      return { state: await readCheckpoint(path), path, damaged };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      damaged.push(error);
    }
  }
  if (damaged.length > 0) throw damaged[0]!;
  return null;
}

/** Newest first. */
async function checkpointNames(folder: string): Promise<string[]> {
  let all: string[];
  try {
    all = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const position = (name: string): [number, number] => {
    const match = NAME.exec(name)!;
    return [Number(match[1]), Number(match[2])];
  };
  return all
    .filter((name) => NAME.test(name))
    .sort((a, b) => {
      const [[memberA, stepA], [memberB, stepB]] = [position(a), position(b)];
      return memberB - memberA || stepB - stepA;
    });
}

/** Older checkpoints, and what a killed process left half written. */
async function removeOlder(folder: string): Promise<void> {
  const names = await checkpointNames(folder);
  const leftovers = (await readdir(folder)).filter((name) => TEMPORARY.test(name));
  for (const name of [...names.slice(KEPT), ...leftovers]) await removePatiently(join(folder, name));
}

/** A folder of the same name may be there: the step may be saved again after a resume. */
async function replace(from: string, to: string, aside: string): Promise<void> {
  try {
    await renamePatiently(to, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await renamePatiently(from, to);
}

async function readCheckpoint(path: string): Promise<TrainingState> {
  const jsonPath = join(path, JSON_FILE);
  const content = parseContent(await readText(jsonPath), jsonPath);
  const file = await readSafetensors(join(path, TENSORS));
  for (const name of file.tensors.keys()) {
    if (name in content.tensors) continue;
    throw new InputError({
      file: file.path,
      where: `tensor ${name}`,
      found: "no checksum",
      expected: "only tensors that checkpoint.json names",
    });
  }
  const read = async (name: string): Promise<Float32Array | Uint32Array> => {
    const data = (await tensorData(file, name)) as Float32Array | Uint32Array;
    const hash = sha256(data);
    if (hash === content.tensors[name]) return data;
    throw new InputError({
      file: file.path,
      where: `tensor ${name}`,
      found: `bytes with SHA-256 ${hash}`,
      expected: content.tensors[name] ?? "a checksum",
    });
  };
  const members: MemberState[] = [];
  for (const [j, { step, topk_threshold }] of content.members.entries()) {
    const prefix = `members.${j}`;
    const exp_avg = await readWeights(file, `${prefix}.exp_avg`, read);
    const last_updated = file.tensors.has(`${prefix}.last_updated`)
      ? ((await read(`${prefix}.last_updated`)) as Uint32Array)
      : null;
    members.push({
      weights: required(await readWeights(file, `${prefix}.weights`, read), file, `${prefix}.weights`),
      ...(exp_avg ? { exp_avg } : {}),
      exp_avg_sq: required(await readWeights(file, `${prefix}.exp_avg_sq`, read), file, `${prefix}.exp_avg_sq`),
      n_forward_passes_since_fired: (await read(`${prefix}.n_forward_passes_since_fired`)) as Uint32Array,
      ...(last_updated ? { last_updated } : {}),
      topk_threshold,
      step,
    });
  }
  const finished = [];
  for (const [j, { topk_threshold }] of content.finished.entries()) {
    const weights = required(await readWeights(file, `finished.${j}`, read), file, `finished.${j}`);
    finished.push({ weights, topk_threshold });
  }
  const { fingerprint, plan, member, step, tokens, cursor, scaling_factor, engine, engine_description } = content;
  return {
    ...{ fingerprint, members, member, finished, step, tokens, cursor, scaling_factor },
    ...(plan === undefined ? {} : { plan }),
    ...(engine === undefined ? {} : { engine }),
    ...(engine_description === undefined ? {} : { engine_description }),
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new InputError({ file: path, found: unreadable(error), expected: "a checkpoint's JSON file" });
  }
}

function parseContent(text: string, path: string): z.infer<typeof contentSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file: path, found: (error as Error).message, expected: "a checkpoint's JSON" });
  }
  const outer = checked(fileSchema, json, path);
  // Numbers survive JSON to the bit, so writing what was read gives the text that was hashed.
  const hash = sha256(Buffer.from(JSON.stringify(outer.content)));
  if (hash !== outer.sha256) {
    throw new InputError({ file: path, found: `content with SHA-256 ${hash}`, expected: outer.sha256 });
  }
  return checked(contentSchema, outer.content, path);
}

function checked<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw schemaError(path, value, parsed.error, `a checkpoint of format ${FORMAT_VERSION}`);
}

function tensorsOf(state: TrainingState): Map<string, TensorSource> {
  const tensors = new Map<string, TensorSource>();
  const addWeights = (prefix: string, weights: SaeWeights | undefined): void => {
    if (!weights) return;
    for (const [name, data] of entries(weights)) tensors.set(`${prefix}.${name}`, { shape: [data.length], data });
  };
  for (const [j, member] of state.members.entries()) {
    addWeights(`members.${j}.weights`, member.weights);
    addWeights(`members.${j}.exp_avg`, member.exp_avg);
    addWeights(`members.${j}.exp_avg_sq`, member.exp_avg_sq);
    for (const name of ["n_forward_passes_since_fired", "last_updated"] as const) {
      const data = member[name];
      if (data) tensors.set(`members.${j}.${name}`, { shape: [data.length], data });
    }
  }
  for (const [j, { weights }] of state.finished.entries()) addWeights(`finished.${j}`, weights);
  return tensors;
}

async function readWeights(
  file: Safetensors,
  prefix: string,
  read: (name: string) => Promise<Float32Array | Uint32Array>,
): Promise<SaeWeights | null> {
  const weights: Partial<Record<ParameterName, Float32Array>> = {};
  for (const name of file.tensors.keys()) {
    if (!name.startsWith(`${prefix}.`)) continue;
    weights[name.slice(prefix.length + 1) as ParameterName] = (await read(name)) as Float32Array;
  }
  return Object.keys(weights).length > 0 ? (weights as SaeWeights) : null;
}

function required(weights: SaeWeights | null, file: Safetensors, prefix: string): SaeWeights {
  if (weights?.W_enc && weights.W_dec && weights.b_dec) return weights;
  throw new InputError({
    file: file.path,
    where: prefix,
    found: "tensors missing",
    expected: "W_enc, W_dec, b_dec and the biases",
  });
}

function sha256(data: NodeJS.ArrayBufferView): string {
  const hash = createHash("sha256");
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // In pieces: one update takes less than 2 GiB.
  for (let at = 0; at < bytes.length; at += 1 << 28)
    hash.update(bytes.subarray(at, Math.min(bytes.length, at + (1 << 28))));
  return hash.digest("hex");
}

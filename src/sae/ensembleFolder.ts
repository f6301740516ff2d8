// Reading and writing an ensemble as a folder: ensemble.json beside one plain SAELens 6 folder a member, so that every member also loads on its own.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { syncFolder, writeFileAtomic } from "../formats/atomicWrite.ts";
import { removePatiently, renamePatiently } from "../formats/filesInUse.ts";
import { InputError, unreadable } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import type { Ensemble } from "./ensemble.ts";
import { inferenceSae } from "./fold.ts";
import { withoutPlace, withPlace } from "./memberPlace.ts";
import { notForEnsembles } from "./sae.ts";
import { loadSae, saveSae, WEIGHTS } from "./saeLensFolder.ts";

const FILE = "ensemble.json";
export const ENSEMBLE_FORMAT_VERSION = 1;

const ensembleSchema = z
  .object({
    format_version: z.literal(ENSEMBLE_FORMAT_VERSION),
    method: z.enum(["single", "bagging", "boosting"]),
    /** Folders below this one; nothing outside it is opened. */
    members: z
      .array(z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, "the name of a folder beside ensemble.json"))
      .min(1),
    weights: z.array(z.number()),
    seeds: z.array(z.int()),
    hook: z.string(),
    provenance: z.record(z.string(), z.unknown()).default({}),
  })
  .superRefine((value, context) => {
    for (const key of ["weights", "seeds"] as const) {
      if (value[key].length === value.members.length) continue;
      const message = `${value[key].length} ${key} for ${value.members.length} members`;
      context.addIssue({ code: "custom", path: [key], message });
    }
    if (value.method === "single" && value.members.length !== 1) {
      context.addIssue({
        code: "custom",
        path: ["members"],
        message: `${value.members.length} members of a single SAE`,
      });
    }
  });

/**
 * Writes the folder whole or not at all: into a temporary folder beside it, then renamed. Members are written in their
 * inference form (batchtopk as jumprelu). `densities`: of each member, [F].
 *
 * An ensemble that was there before is never lost, since people's flags and labels lie beside its weights: one with the
 * same weights keeps its folder and whatever lies there, another one is moved aside under a dated name. Returns that
 * name's path, or null where nothing was moved.
 */
export async function saveEnsemble(
  folder: string,
  ensemble: Ensemble,
  options: { readonly densities?: readonly ArrayLike<number>[] } = {},
): Promise<string | null> {
  const temporary = join(dirname(folder), `.${basename(folder)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
  const members = ensemble.members.map((_, j) => `member_${j}`);
  try {
    await mkdir(temporary, { recursive: true });
    for (const [j, member] of ensemble.members.entries()) {
      const density = options.densities?.[j];
      const { config, ...rest } = inferenceSae(member);
      const metadata = withPlace(config.metadata, ensemble.method, j, members.length);
      await saveSae(
        join(temporary, members[j]!),
        { ...rest, config: { ...config, metadata } },
        density ? { density } : {},
      );
    }
    const { method, weights, seeds, hook, provenance } = ensemble;
    const file = { format_version: ENSEMBLE_FORMAT_VERSION, method, members, weights, seeds, hook, provenance };
    await writeFileAtomic(join(temporary, FILE), `${JSON.stringify(file, null, 2)}\n`);
    if (await sameWeights(temporary, folder, members)) {
      for (const path of await readdir(temporary, { recursive: true }))
        if (!members.includes(path)) await renamePatiently(join(temporary, path), join(folder, path), { ask: folder });
      return null;
    }
    return await replaceFolder(temporary, folder);
  } finally {
    await removePatiently(temporary);
  }
}

/** Whether two folders hold the same members with the same weights, bit for bit. */
async function sameWeights(a: string, b: string, members: readonly string[]): Promise<boolean> {
  const present = (await readdir(b).catch(() => [])).filter((name) => name.startsWith("member_"));
  if (present.length !== members.length) return false;
  for (const member of members) {
    const [one, other] = await Promise.all(
      [a, b].map((folder) => readFile(join(folder, member, WEIGHTS)).catch(() => null)),
    );
    if (!one || !other || !one.equals(other)) return false;
  }
  return true;
}

/** Folders can't be renamed over one that isn't empty, so the old one steps aside first, for good; it comes back if the rename fails. */
async function replaceFolder(from: string, to: string): Promise<string | null> {
  let aside: string | null = asideName(to);
  try {
    await renamePatiently(to, aside, { ask: to });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    aside = null;
  }
  try {
    await renamePatiently(from, to);
  } catch (error) {
    if (aside) await renamePatiently(aside, to);
    throw error;
  }
  await syncFolder(dirname(to));
  return aside;
}

/** "bagging" → "bagging.2026-11-22-203005" (UTC), or with a number behind it where that is taken. */
function asideName(folder: string): string {
  const time = new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(/:/g, "");
  for (let n = 1; ; n++) {
    const name = `${folder}.${time}${n > 1 ? `-${n}` : ""}`;
    if (!existsSync(name)) return name;
  }
}

/** When an ensemble's folder was moved aside and what it was called, by its name now; null for any other name. */
export function movedAside(name: string): { readonly name: string; readonly time: string } | null {
  const match = /^(.+)\.(\d{4}-\d{2}-\d{2})-(\d{2})(\d{2})\d{2}(-\d+)?$/.exec(name);
  return match && { name: match[1]!, time: `${match[2]} ${match[3]}:${match[4]} UTC` };
}

/**
 * Reads a folder that `saveEnsemble` wrote.
 * Throws InputError where ensemble.json is missing or not as it must be, a member can't be read, or members don't fit together.
 */
export async function loadEnsemble(folder: string): Promise<Ensemble> {
  const path = join(folder, FILE);
  const file = await readEnsembleFile(folder);
  const members = [];
  for (const name of file.members) {
    const { config, ...rest } = inferenceSae(await loadSae(join(folder, name)));
    members.push({ ...rest, config: { ...config, metadata: withoutPlace(config.metadata) } });
  }
  for (const [j, member] of members.entries()) {
    const { config } = member;
    const refuse = (found: string, expected: string): never => {
      throw new InputError({ file: path, where: `members.${j}`, found, expected });
    };
    const reason = notForEnsembles(member);
    if (reason) refuse(reason, "an SAE");
    const d_in = members[0]!.config.d_in;
    if (config.d_in !== d_in) refuse(`d_in ${config.d_in}`, `${d_in}, as of the first member`);
    // A member may come without a hook's name, but not from another hook.
    const hook_name = config.metadata.hook_name ?? file.hook;
    if (hook_name !== file.hook)
      refuse(`a member trained at ${hook_name}`, `members trained at ${file.hook}, the ensemble's hook`);
  }
  const { method, weights, seeds, hook, provenance } = file;
  return { method, members, weights, seeds, hook, provenance };
}

/** What ensemble.json says, with its members' folders below its own; no weight is read. Throws InputError. */
export async function readEnsembleFile(folder: string): Promise<z.infer<typeof ensembleSchema>> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new InputError({
      file: path,
      found: unreadable(error),
      expected: "the ensemble.json of an ensemble's folder",
    });
  }
  return parse(text, path);
}

function parse(text: string, path: string): z.infer<typeof ensembleSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file: path, found: (error as Error).message, expected: "JSON" });
  }
  const parsed = ensembleSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw schemaError(path, json, parsed.error, `an ensemble.json of format ${ENSEMBLE_FORMAT_VERSION}`);
}

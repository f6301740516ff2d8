// An ensemble of SAEs that exist already: one, several of one layout, or a bag of strangers that share a hook and a width.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import type { Ensemble, EnsembleMethod } from "./ensemble.ts";
import { loadEnsemble, readEnsembleFile } from "./ensembleFolder.ts";
import { inferenceSae } from "./fold.ts";
import type { OpenedSae, OpenOptions } from "./layouts/opened.ts";
import { openSae } from "./openSae.ts";
import { misreadMatrix } from "./orientation.ts";
import { notForEnsembles, reshapedAt } from "./sae.ts";

/** What an imported ensemble's provenance remembers of each member. */
const originsSchema = z.array(z.object({ warnings: z.array(z.string()) }));

/** What was found under a path; an ensemble's folder gives its members. */
export interface ImportSource {
  readonly path: string;
  /** How its members work together, where the path is an ensemble's folder. */
  readonly ensemble: Ensemble | null;
  readonly members: readonly OpenedSae[];
}

/** Opens every path: an SAE in any layout, or a folder with ensemble.json. Throws InputError. */
export async function openSources(paths: readonly string[], options: OpenOptions = {}): Promise<ImportSource[]> {
  const sources: ImportSource[] = [];
  for (const path of paths) {
    const folder = basename(path) === "ensemble.json" ? join(path, "..") : path;
    if (!existsSync(join(folder, "ensemble.json"))) {
      sources.push({ path, ensemble: null, members: [await openSae(path, options)] });
      continue;
    }
    const ensemble = await loadEnsemble(folder);
    const { members: names } = await readEnsembleFile(folder);
    const origins = originsSchema.safeParse(ensemble.provenance["imported"]).data;
    const members = ensemble.members.map((sae, j) => {
      const known = origins?.[j]?.warnings ?? [];
      const misread = misreadMatrix(sae);
      const warnings = misread === null || known.includes(misread) ? known : [...known, misread];
      return { sae, layout: "SAE Ensembles", path: join(folder, names[j]!), warnings };
    });
    sources.push({ path, ensemble, members });
  }
  return withTwinWarnings(withModelWarnings(sources, options.model_name));
}

/** Says of each member whose model is another than the one said, or else the first that a member names. */
function withModelWarnings(sources: readonly ImportSource[], said: string | undefined): ImportSource[] {
  const nameOf = ({ sae }: OpenedSae) => sae.config.metadata.model_name;
  // Packages name a model with its owner or without.
  const bare = (name: string) => name.split("/").at(-1)!.toLowerCase();
  const first = said ?? sources.flatMap(({ members }) => members.map(nameOf)).find((name) => name !== undefined);
  const withWarning = (member: OpenedSae): OpenedSae => {
    const name = nameOf(member);
    if (name === undefined || first === undefined || bare(name) === bare(first)) return member;
    const warning = `it was trained on ${name}, not on ${first}: on another model's activations its features mean little`;
    return member.warnings.includes(warning) ? member : { ...member, warnings: [...member.warnings, warning] };
  };
  return sources.map((source) => ({ ...source, members: source.members.map(withWarning) }));
}

/** Says of each member that it is another once more, wherever it comes from: it would count twice. */
function withTwinWarnings(sources: readonly ImportSource[]): ImportSource[] {
  const before: OpenedSae[] = [];
  return sources.map((source) => ({
    ...source,
    members: source.members.map((member) => {
      const twin = before.findIndex(
        ({ sae }) =>
          sameBits(sae.weights.W_dec, member.sae.weights.W_dec) &&
          sameBits(sae.weights.W_enc, member.sae.weights.W_enc),
      );
      before.push(member);
      if (twin < 0) return member;
      const warning = `it has the weights of member ${twin}: the same SAE twice counts twice, and its features are there twice`;
      return member.warnings.includes(warning) ? member : { ...member, warnings: [...member.warnings, warning] };
    }),
  }));
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
  return a.length === b.length && bytes(a).equals(bytes(b));
}

/**
 * The hook that all members were trained at: what is said on import, or what they say; undefined where nobody says it.
 * Throws InputError where a member says another.
 */
export function sharedHook(sources: readonly ImportSource[], said?: string): string | undefined {
  const opened = sources.flatMap(({ members }) => members);
  const hookOf = ({ sae }: OpenedSae) => sae.config.metadata.hook_name;
  const first = opened.find((member) => hookOf(member) !== undefined);
  const shared = said ?? (first && hookOf(first));
  const other = opened.find((member) => (hookOf(member) ?? shared) !== shared);
  if (!other) return shared;
  const whose = said === undefined ? `as of ${first!.path}` : "as asked for";
  const expected = `${shared}, ${whose}: all must be of one hook`;
  throw new InputError({ file: other.path, where: "hook_name", found: hookOf(other)!, expected });
}

/**
 * All members of all sources as one ensemble. `method` by default: that of the one ensemble's folder, "single" for one SAE,
 * "bagging" for several. `hook`: where it reads, if the members don't say or to hold them to it.
 * Throws InputError where members don't fit together or can't be in an ensemble, a boosting ensemble's members apart too.
 */
export function importedEnsemble(
  sources: readonly ImportSource[],
  { method, hook }: { readonly method?: EnsembleMethod; readonly hook?: string } = {},
): Ensemble {
  const opened = sources.flatMap(({ members }) => members);
  const first = opened[0]!;
  const refuse = (path: string, where: string, found: string, expected: string): never => {
    throw new InputError({ file: path, where, found, expected });
  };
  const named = sharedHook(sources, hook);
  if (named === undefined) {
    return refuse(first.path, "hook_name", "nothing", "the hook that it was trained at, said on import (--hook)");
  }
  for (const { sae, path } of opened) {
    const reason = notForEnsembles(sae);
    if (reason) refuse(path, "architecture", reason, "an SAE");
    const { d_in } = first.sae.config;
    if (sae.config.d_in !== d_in) refuse(path, "d_in", `${sae.config.d_in}`, `${d_in}, as of ${first.path}`);
    const { reshape_activations: reshaped } = sae.config;
    if (reshaped !== undefined && reshapedAt(named).reshape_activations !== reshaped)
      refuse(path, "reshape_activations", reshaped, `none at ${named}, or attn.hook_z as the hook`);
  }
  const whole = sources.length === 1 ? sources[0]!.ensemble : null;
  const chosen = method ?? whole?.method ?? (opened.length === 1 ? "single" : "bagging");
  if (chosen === "single" && opened.length > 1) {
    refuse(opened[1]!.path, "method", `single, with ${opened.length} SAEs`, "bagging or boosting, or one SAE");
  }
  for (const [at, { path, ensemble, members }] of sources.entries()) {
    // Apart from those before it, a member of a boosting ensemble reads what it was never trained on.
    if (ensemble?.method !== "boosting" || members.length === 1 || (chosen === "boosting" && at === 0)) continue;
    const found = `a boosting ensemble of ${members.length}: each member encodes what those before it leave`;
    refuse(path, "method", found, "it alone, as boosting; or first, with the method boosting, before what corrects it");
  }
  const members = opened.map(({ sae }) => {
    const { config, ...rest } = inferenceSae(sae);
    return { ...rest, config: { ...config, ...reshapedAt(named), metadata: { ...config.metadata, hook_name: named } } };
  });
  return {
    method: chosen,
    members,
    weights:
      whole && whole.method === chosen
        ? whole.weights
        : members.map(() => (chosen === "bagging" ? 1 / members.length : 1)),
    // Nobody knows the seeds of a stranger's SAE: they are counted, so that members can be told apart.
    seeds: whole?.seeds ?? members.map((_, j) => j),
    hook: named,
    provenance: {
      ...whole?.provenance,
      imported: opened.map(({ path, layout, warnings }) => ({ path, layout, warnings })),
    },
  };
}

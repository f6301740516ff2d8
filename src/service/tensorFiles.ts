// Files of tensors as the editor shows them: a safetensors file, or an ensemble.json with its members' weights; what they are, and each tensor's numbers on demand.
import { basename, dirname, join } from "node:path";
import { InputError } from "../formats/inputError.ts";
import { readSafetensors, type Safetensors } from "../formats/safetensors.ts";
import { type TensorStatistics, tensorStatistics } from "../formats/tensorStatistics.ts";
import type { TensorFileView } from "../protocol/tensorFile.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { readEnsembleFile } from "../sae/ensembleFolder.ts";
import { openSources } from "../sae/importEnsemble.ts";
import { biasWords, Unsaid } from "../sae/layouts/opened.ts";
import { saeLensBeside } from "../sae/openSae.ts";
import { architectureWords, notForEnsembles, type SaeParts } from "../sae/sae.ts";
import { loadConfig, WEIGHTS } from "../sae/saeLensFolder.ts";

type EnsembleParts = Pick<Ensemble, "method" | "weights" | "seeds"> & { readonly members: readonly unknown[] };

interface Row {
  readonly file: Safetensors;
  readonly name: string;
  readonly shown: string;
}

/** Bytes up to which weights are read and checked, of an SAE or of all members of an ensemble; above, only what configurations and headers say is told. */
const READ_AT_ONCE = 1 << 30;

/** Throws InputError where a safetensors file itself can't be read. */
export async function describeTensorFile(path: string, readAtOnce = READ_AT_ONCE): Promise<TensorFileView> {
  const isEnsemble = basename(path) === "ensemble.json";
  const about = { facts: [] as [string, string][], warnings: [] as string[], problem: "" };
  let rows: Row[] = [];
  try {
    rows = await tensorRows(path);
    const bytes = rows.reduce((sum, { file, name }) => sum + file.tensors.get(name)!.length, 0);
    if (bytes <= readAtOnce) await describeSaes(path, about);
    else await describeUnread(path, bytes, about);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (!isEnsemble && rows.length === 0) throw error;
    // Most files of tensors are no SAE, which is nothing wrong with them.
    if (isEnsemble || isOfSae(path)) about.problem = error.message;
    else if (error instanceof Unsaid)
      about.facts.push(["layout", "an SAE that doesn't say how its features fire: Import SAEs… asks"]);
  }
  const metadata = rows.length > 0 && !isEnsemble ? Object.entries(rows[0]!.file.metadata) : [];
  return {
    title: isEnsemble ? `${basename(dirname(path))}/${basename(path)}` : basename(path),
    ...about,
    facts: [...about.facts, ...metadata.map(([key, value]): [string, string] => [key, value.slice(0, 500)])],
    tensors: rows.map(({ file, name, shown }) => {
      const { dtype, shape, length } = file.tensors.get(name)!;
      return { name: shown, dtype, shape: [...shape], bytes: length };
    }),
  };
}

/** Of the tensor at a place in the list above. */
export async function statisticsOf(path: string, tensor: number, signal: AbortSignal): Promise<TensorStatistics> {
  const row = (await tensorRows(path))[tensor];
  if (!row) throw new RangeError(`no tensor ${tensor} in ${path}`);
  return tensorStatistics(row.file, row.name, signal);
}

async function tensorRows(path: string): Promise<Row[]> {
  if (basename(path) !== "ensemble.json") {
    const file = await readSafetensors(path);
    return [...file.tensors.keys()].map((name) => ({ file, name, shown: name }));
  }
  const rows: Row[] = [];
  for (const member of (await readEnsembleFile(dirname(path))).members) {
    const file = await readSafetensors(join(dirname(path), member, WEIGHTS));
    for (const name of file.tensors.keys()) rows.push({ file, name, shown: `${member}/${name}` });
  }
  return rows;
}

function isOfSae(path: string): boolean {
  return ["sae_weights.safetensors", "sae.safetensors", "params.safetensors"].includes(basename(path));
}

interface About {
  readonly facts: [string, string][];
  readonly warnings: string[];
}

async function describeSaes(path: string, about: About): Promise<void> {
  const [source] = await openSources([path]);
  const { ensemble, members } = source!;
  const first = members[0]!;
  about.facts.push(...(ensemble ? factsOfEnsemble(ensemble) : [["layout", first.layout] as [string, string]]));
  about.facts.push(...factsOf(members.map(({ sae }) => sae)));
  for (const { warnings } of members) about.warnings.push(...warnings);
}

/** What stands in ensemble.json and in SAELens' cfg.json beside the weights; other layouts are told by their weights alone. */
async function describeUnread(path: string, bytes: number, about: About): Promise<void> {
  const folder = dirname(path);
  const size = `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const ensemble = basename(path) === "ensemble.json" ? await readEnsembleFile(folder) : null;
  if (!ensemble && basename(path) !== WEIGHTS && saeLensBeside(folder) === null) {
    about.facts.push(["layout", `not looked for: its ${size} of weights were not read. Import SAEs… reads them`]);
    return;
  }
  const folders = ensemble ? ensemble.members.map((member) => join(folder, member)) : [folder];
  const saes = await Promise.all(folders.map(loadConfig));
  about.facts.push(...(ensemble ? factsOfEnsemble(ensemble) : [["layout", "SAELens"] as [string, string]]));
  about.facts.push(...factsOf(saes.map(({ config, skip }) => ({ config, weights: { W_skip: skip || undefined } }))));
  about.warnings.push(
    `its weights (${size}) were not read: what stands here is what its configuration says, unchecked`,
  );
}

function factsOfEnsemble({ method, members, weights, seeds }: EnsembleParts): [string, string][] {
  return [
    ["method", members.length > 1 ? `${method} of ${members.length}` : method],
    ["weights", weights.map((weight) => Number(weight.toPrecision(4))).join(", ")],
    ["seeds", seeds.join(", ")],
  ];
}

/** Of one SAE, or of the members of an ensemble. */
function factsOf(all: readonly SaeParts[]): [string, string][] {
  const { d_in, d_out, metadata } = all[0]!.config;
  const same = <T>(of: (one: SaeParts) => T): string => [...new Set(all.map((one) => String(of(one))))].join(", ");
  const ofTopk = all.filter(({ config: { architecture, k } }) => k !== undefined && architecture !== "jumprelu");
  const k = [...new Set(ofTopk.map(({ config }) => config.k))].join(", ");
  const reason = notForEnsembles(all[0]!);
  return [
    ["architecture", same((one) => architectureWords(one.config))],
    ["d_in", d_in.toLocaleString("en-US")],
    ...(d_out === undefined ? [] : [["d_out", d_out.toLocaleString("en-US")] as [string, string]]),
    ["d_sae", same((one) => one.config.d_sae.toLocaleString("en-US"))],
    ...(k === "" ? [] : [["k", k] as [string, string]]),
    ["hook_name", metadata.hook_name ?? "not said"],
    ["model_name", metadata.model_name ?? "not said"],
    ["b_dec", same((one) => biasWords(one.config))],
    ["normalize_activations", same((one) => one.config.normalize_activations)],
    ...(reason ? [["in ensembles", `no: ${reason}`] as [string, string]] : []),
  ];
}

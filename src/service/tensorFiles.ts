// Files of tensors as the editor shows them: a safetensors file, or an ensemble.json with its members' weights; what they are, and each tensor's numbers on demand.
import { basename, dirname, join } from "node:path";
import { InputError } from "../formats/inputError.ts";
import { readSafetensors, type Safetensors } from "../formats/safetensors.ts";
import { type TensorStatistics, tensorStatistics } from "../formats/tensorStatistics.ts";
import type { TensorFileView } from "../protocol/tensorFile.ts";
import { memberFolders } from "../sae/ensembleFolder.ts";
import { openSources } from "../sae/importEnsemble.ts";
import { Unsaid } from "../sae/layouts/opened.ts";
import { architectureWords, notForEnsembles, type Sae } from "../sae/sae.ts";
import { WEIGHTS } from "../sae/saeLensFolder.ts";

interface Row {
  readonly file: Safetensors;
  readonly name: string;
  readonly shown: string;
}

/** Bytes up to which an SAE's weights are read to say what it is. */
const READ_AT_ONCE = 1 << 30;

/** Throws InputError where a safetensors file itself can't be read. */
export async function describeTensorFile(path: string): Promise<TensorFileView> {
  const isEnsemble = basename(path) === "ensemble.json";
  const about = { facts: [] as [string, string][], warnings: [] as string[], problem: "" };
  let rows: Row[] = [];
  try {
    rows = await tensorRows(path);
    const bytes = rows.reduce((sum, { file, name }) => sum + file.tensors.get(name)!.length, 0);
    if (isEnsemble || bytes <= READ_AT_ONCE) await describeSaes(path, about);
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
  for (const member of await memberFolders(dirname(path))) {
    const file = await readSafetensors(join(dirname(path), member, WEIGHTS));
    for (const name of file.tensors.keys()) rows.push({ file, name, shown: `${member}/${name}` });
  }
  return rows;
}

function isOfSae(path: string): boolean {
  return ["sae_weights.safetensors", "sae.safetensors", "params.safetensors"].includes(basename(path));
}

async function describeSaes(path: string, about: { facts: [string, string][]; warnings: string[] }): Promise<void> {
  const [source] = await openSources([path]);
  const { ensemble, members } = source!;
  const first = members[0]!;
  if (ensemble) {
    about.facts.push(["method", members.length > 1 ? `${ensemble.method} of ${members.length}` : ensemble.method]);
    about.facts.push(["weights", ensemble.weights.map((weight) => Number(weight.toPrecision(4))).join(", ")]);
    about.facts.push(["seeds", ensemble.seeds.join(", ")]);
  } else {
    about.facts.push(["layout", first.layout]);
  }
  about.facts.push(...factsOf(first.sae, ensemble ? members.map(({ sae }) => sae) : [first.sae]));
  for (const { warnings } of members) about.warnings.push(...warnings);
}

function factsOf(sae: Sae, all: readonly Sae[]): [string, string][] {
  const { d_in, d_out, metadata } = sae.config;
  const same = <T>(of: (one: Sae) => T): string => [...new Set(all.map((one) => String(of(one))))].join(", ");
  const ofTopk = all.filter(({ config: { architecture, k } }) => k !== undefined && architecture !== "jumprelu");
  const k = [...new Set(ofTopk.map(({ config }) => config.k))].join(", ");
  const reason = notForEnsembles(sae);
  return [
    ["architecture", same((one) => architectureWords(one.config))],
    ["d_in", d_in.toLocaleString("en-US")],
    ...(d_out === undefined ? [] : [["d_out", d_out.toLocaleString("en-US")] as [string, string]]),
    ["d_sae", same((one) => one.config.d_sae.toLocaleString("en-US"))],
    ...(k === "" ? [] : [["k", k] as [string, string]]),
    ["hook_name", metadata.hook_name ?? "not said"],
    ["model_name", metadata.model_name ?? "not said"],
    [
      "b_dec",
      same((one) => (one.config.apply_b_dec_to_input ? "subtracted from the input" : "added to the output only")),
    ],
    ["normalize_activations", same((one) => one.config.normalize_activations)],
    ...(reason ? [["in ensembles", `no: ${reason}`] as [string, string]] : []),
  ];
}

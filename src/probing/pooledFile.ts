// Pooled texts as a safetensors file, so that they are computed once: x̄, sparse f̄, tokens, and what made them.
import { existsSync } from "node:fs";
import { InputError } from "../formats/inputError.ts";
import { readSafetensors, type Safetensors, tensorData, writeSafetensors } from "../formats/safetensors.ts";
import type { PooledTexts } from "./pool.ts";

const KEY = "made_from";

/** Writes the file whole or not at all. `madeFrom`: a line that only the same texts, model and ensemble give. */
export async function savePooled(path: string, { activations, codes, tokens }: PooledTexts, madeFrom: string) {
  const { rows, d } = activations;
  await writeSafetensors(
    path,
    {
      "pooled.activations": { shape: [rows, d], data: activations.values },
      "pooled.tokens": { shape: [rows], data: tokens },
      "codes.offsets": { shape: [rows + 1], data: codes.offsets },
      "codes.indices": { shape: [codes.indices.length], data: codes.indices },
      "codes.values": { shape: [codes.values.length], data: codes.values },
    },
    { [KEY]: madeFrom, d_sae: String(codes.width) },
  );
}

/** null where there is no such file, or one made from something else. Throws InputError where it is damaged. */
export async function loadPooled(path: string, madeFrom: string): Promise<PooledTexts | null> {
  if (!existsSync(path)) return null;
  const file = await readSafetensors(path);
  if (file.metadata[KEY] !== madeFrom) return null;
  const width = Number(file.metadata["d_sae"]);
  const values = await read(file, "pooled.activations", Float64Array);
  const tokens = await read(file, "pooled.tokens", Uint32Array);
  const offsets = await read(file, "codes.offsets", Uint32Array);
  const indices = await read(file, "codes.indices", Uint32Array);
  const codes = await read(file, "codes.values", Float32Array);
  const rows = tokens.length;
  const d = values.length / rows;
  const broken = (found: string, expected: string): never => {
    throw new InputError({ file: path, found, expected: `${expected}; delete the file and it is made anew` });
  };
  if (!Number.isInteger(d) || offsets.length !== rows + 1 || indices.length !== codes.length)
    broken("tensors of different numbers of texts", "pooled texts");
  for (let t = 0; t < rows; t++)
    if (offsets[t]! > offsets[t + 1]!) broken(`offsets that fall at text ${t}`, "ascending offsets");
  if (offsets[0] !== 0 || offsets[rows] !== indices.length) broken("offsets that don't span the codes", "all codes");
  for (const feature of indices)
    if (!(feature < width)) broken(`feature ${feature} of ${width}`, "features below d_sae");
  return {
    activations: { rows, d, values },
    codes: { rows, width, offsets, indices, values: codes },
    tokens,
  };
}

async function read<T>(file: Safetensors, name: string, type: abstract new (...args: never[]) => T): Promise<T> {
  const data: unknown = await tensorData(file, name);
  if (data instanceof type) return data;
  throw new InputError({ file: file.path, where: `tensor ${name}`, found: "another dtype", expected: type.name });
}

// The files of weights that the repository's exported graphs name, made from the model's own safetensors: exporters keep the same numbers, some of them turned or halved.
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";

/**
 * Puts beside a graph: `model.safetensors`; `transposed`, its tensors from byte 0 on in the same order, matrices turned;
 * `half` and `half-transposed`, the same in float16.
 */
export async function placeDerivedWeights(model: string, folder: string): Promise<void> {
  const path = join(model, "model.safetensors");
  cpSync(path, join(folder, "model.safetensors"));
  const file = await readSafetensors(path);
  const inOrder = [...file.tensors].sort(([, a], [, b]) => a.offset - b.offset);
  const first = inOrder[0]![1].offset;
  const end = Math.max(...inOrder.map(([, { offset, length }]) => offset + length));
  const straight = new Float32Array(Math.ceil((end - first) / 4));
  const turned = new Float32Array(straight.length);
  for (const [name, { shape, offset, dtype }] of inOrder) {
    if (dtype !== "F32") continue;
    const values = await tensorFloat32(file, name);
    const at = (offset - first) / 4;
    straight.set(values, at);
    const [rows, columns] = shape.length === 2 ? (shape as [number, number]) : [1, values.length];
    for (const [i, value] of values.entries()) turned[at + (i % columns) * rows + Math.floor(i / columns)] = value;
  }
  writeFileSync(join(folder, "transposed"), new Uint8Array(turned.buffer));
  writeFileSync(join(folder, "half"), new Uint8Array(Float16Array.from(straight).buffer));
  writeFileSync(join(folder, "half-transposed"), new Uint8Array(Float16Array.from(turned).buffer));
}

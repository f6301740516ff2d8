// Bytes of workgroup memory that a kernel takes, counted from its WGSL: the variables that its entry point reaches.
import { type Constants, type KernelName, kernels, sourceOf } from "../src/engine/webgpu/kernels.ts";

const SIZES: Readonly<Record<string, number>> = {
  u32: 4,
  f32: 4,
  f16: 2,
  "atomic<u32>": 4,
  vec4f: 16,
  "vec4<f32>": 16,
  "vec4<f16>": 8,
  // shared.wgsl
  Latent: 32,
};

export function workgroupMemory(name: KernelName, constants: Constants): number {
  const source = sourceOf(name, constants).replace(/\/\/.*$/gm, "");
  const values = new Map<string, string>();
  for (const [, constant, value] of source.matchAll(/^(?:const|alias) (\w+) = ([^;]+);/gm))
    values.set(constant!, value!);
  const reached = reachedFrom(kernels[name].entry, source);
  let bytes = 0;
  for (const [, variable, type] of source.matchAll(/^var<workgroup> (\w+): ([^;]+);/gm)) {
    if (!new RegExp(`\\b${variable}\\b`).test(reached)) continue;
    const [, element, length] = /^array<([^,]+), (.+)>$/.exec(type!) ?? ["", type!, "1u"];
    const size = SIZES[values.get(element!) ?? element!];
    if (size === undefined) throw new Error(`${name}: the size of ${element} is not known`);
    bytes += size * numberOf(length!, values);
  }
  return bytes;
}

/** The text of a function and of all that it calls. */
function reachedFrom(entry: string, source: string): string {
  const functions = new Map(
    [...source.matchAll(/^fn (\w+)\([\s\S]*?^}$|^fn (\w+)\(.*}$/gm)].map(([text, long, short]) => [
      long ?? short!,
      text,
    ]),
  );
  const seen = new Set<string>();
  const todo = [entry];
  for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
    if (seen.has(one)) continue;
    seen.add(one);
    for (const [, called] of functions.get(one)!.matchAll(/\b(\w+)\(/g)) if (functions.has(called!)) todo.push(called!);
  }
  return [...seen].map((one) => functions.get(one)).join("\n");
}

/** An expression of whole numbers, constants and select(otherwise, where, condition). */
function numberOf(expression: string, constants: ReadonlyMap<string, string>): number {
  const known = (text: string): string =>
    text.replace(/\b[A-Z]\w*\b/g, (name) => {
      const value = constants.get(name);
      if (value === undefined) throw new Error(`${name} is no constant`);
      return `(${known(value)})`;
    });
  const select = (otherwise: number, where: number, condition: boolean) => (condition ? where : otherwise);
  const plain = known(expression).replace(/\b(\d+)u\b/g, "$1");
  return new Function("select", `return ${plain};`)(select) as number;
}

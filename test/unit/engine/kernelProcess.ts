// Runs single kernels of the WebGPU engine over given buffers, for tests: in a process of its own, since a software GPU's libraries are found through the environment that a process starts with.

import { findAdapters, Gpu } from "../../../src/engine/webgpu/gpu.ts";
import type { Constants, KernelName } from "../../../src/engine/webgpu/kernels.ts";
import { NUMBERS_BYTES, type Numbers, packNumbers } from "../../../src/engine/webgpu/numbers.ts";
import { answerCalls } from "../../../src/formats/answerCalls.ts";

export interface KernelRuns {
  readonly kind: "run";
  /** By name, with what is in them at first. */
  readonly buffers: Readonly<Record<string, Uint32Array | Float32Array>>;
  /** One after the other; each with the numbers of its micro-batch and the buffers that it binds, in their order. */
  readonly runs: readonly {
    readonly kernel: KernelName;
    readonly constants: Constants;
    readonly numbers: Numbers;
    readonly buffers: readonly string[];
    readonly groups: number | readonly [number, number];
  }[];
  /** Names of the buffers whose words are the answer. */
  readonly read: readonly string[];
}

let gpu: Gpu | undefined;

async function answer({ buffers, runs, read }: KernelRuns): Promise<Uint32Array[]> {
  gpu ??= await Gpu.open((await findAdapters()).find(({ description }) => description.software)!);
  const own = gpu;
  const made = (await own.allocate(Object.fromEntries(Object.entries(buffers).map(([n, b]) => [n, b.byteLength]))))!;
  for (const [name, content] of Object.entries(buffers)) own.write(made[name]!, content);
  own.submit(
    runs.map(({ kernel, constants, numbers, buffers: bound, groups }) => {
      const uniform = own.uniform(NUMBERS_BYTES);
      own.write(uniform, packNumbers(numbers));
      return own.bind(kernel, constants, [uniform, ...bound.map((name) => made[name]!)], groups);
    }),
  );
  const words: Uint32Array[] = [];
  for (const name of read) words.push(new Uint32Array(await own.readBuffer(made[name]!, 0, buffers[name]!.byteLength)));
  for (const buffer of Object.values(made)) buffer.destroy();
  return words;
}

answerCalls(answer, { inWords: (error) => String((error as Error).stack ?? error) });

// What a number was measured on.
import { availableParallelism, cpus, release, totalmem } from "node:os";
import ort from "onnxruntime-node/package.json" with { type: "json" };

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly os: string;
  readonly node: string;
  readonly onnxruntime: string;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    os: `${process.platform}-${process.arch} ${release()}`,
    node: process.versions.node,
    onnxruntime: ort.version,
  };
}

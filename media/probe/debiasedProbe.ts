// Applies a debiased probe to pooled activations. Needs Node and nothing else.
import { readFileSync } from "node:fs";

export interface DebiasedProbe {
  /** [d] */
  readonly w: Float64Array;
  readonly b: number;
  /** [n] numbers of the features that are taken out. */
  readonly features: Uint32Array;
  /** [n, d] what one unit of each adds to an activation. */
  readonly directions: Float32Array;
}

/**
 * (x − Σ_i f_i · directions_i) · w + b, with x a text's mean activation and f the mean codes of the probe's features in that
 * text: what taking the features out at every token gives. The label is the positive one where this is above 0.
 */
export function logit({ w, b, directions }: DebiasedProbe, x: ArrayLike<number>, f: ArrayLike<number>): number {
  let sum = b;
  for (let j = 0; j < w.length; j++) {
    let value = x[j]!;
    for (let i = 0; i < f.length; i++) value -= f[i]! * directions[i * w.length + j]!;
    sum += value * w[j]!;
  }
  return sum;
}

/** Reads probe.safetensors. */
export function readDebiasedProbe(path: string): DebiasedProbe {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, { data_offsets: [number, number] }>;
  const bytes = (name: string): ArrayBuffer => {
    const [from, to] = header[name]!.data_offsets;
    return Uint8Array.from(file.subarray(start + from, start + to)).buffer;
  };
  return {
    w: new Float64Array(bytes("w")),
    b: new Float64Array(bytes("b"))[0]!,
    features: new Uint32Array(bytes("features")),
    directions: new Float32Array(bytes("directions")),
  };
}

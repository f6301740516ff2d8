// Rotary position embedding: the frequencies that a configuration asks for, and tables of their cosines and sines.

export type RopeScaling =
  | { readonly type: "default" }
  /** Positions divided by a factor. */
  | { readonly type: "linear"; readonly factor: number }
  /** Llama 3.1: long wavelengths divided by a factor, short ones kept, a ramp between. */
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContext: number;
    }
  /** A factor for every frequency, as GGUF files store the above in rope_freqs.weight. */
  | { readonly type: "divisors"; readonly divisors: readonly number[] };

export interface Rotary {
  readonly theta: number;
  /** Width that is rotated, even. Dimension i is paired with i + width / 2. */
  readonly width: number;
  readonly scaling: RopeScaling;
}

/** Angle a position for each pair, [width / 2]. */
export function rotaryFrequencies({ theta, width, scaling }: Rotary): number[] {
  return Array.from({ length: width / 2 }, (_, i) => scaled(theta ** ((-2 * i) / width), i, scaling));
}

function scaled(frequency: number, pair: number, scaling: RopeScaling): number {
  switch (scaling.type) {
    case "default":
      return frequency;
    case "linear":
      return frequency / scaling.factor;
    case "divisors":
      return frequency / scaling.divisors[pair]!;
    case "llama3": {
      const { factor, lowFreqFactor: low, highFreqFactor: high, originalContext } = scaling;
      const turns = (originalContext * frequency) / (2 * Math.PI);
      if (turns > high) return frequency;
      if (turns < low) return frequency / factor;
      const kept = (turns - low) / (high - low);
      return (1 - kept) * (frequency / factor) + kept * frequency;
    }
  }
}

/** Cosines and sines of positions 0…positions−1, each [positions, width / 2]. */
export function rotaryTables(rotary: Rotary, positions: number): { cos: Float32Array; sin: Float32Array } {
  const frequencies = rotaryFrequencies(rotary);
  const n = frequencies.length;
  const cos = new Float32Array(positions * n);
  const sin = new Float32Array(positions * n);
  for (let position = 0; position < positions; position++) {
    for (const [i, frequency] of frequencies.entries()) {
      cos[position * n + i] = Math.cos(position * frequency);
      sin[position * n + i] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}

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
  /** YaRN: dimensions that turn seldom over the original context divided by a factor, those that turn often kept, a ramp between. */
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalContext: number;
      /** Turns over the original context from which on a frequency is kept, and up to which it is divided. */
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the ramp's ends are rounded outwards to whole pairs. */
      readonly truncate: boolean;
      /** Cosines and sines are multiplied with this. */
      readonly attentionFactor: number;
    }
  /** A factor for every frequency, as GGUF files store the above in rope_freqs.weight. */
  | { readonly type: "divisors"; readonly divisors: readonly number[] };

export interface Rotary {
  readonly theta: number;
  /** Width that is rotated, even. Dimension i is paired with i + width / 2. */
  readonly width: number;
  readonly scaling: RopeScaling;
}

/** Every step is rounded to float32 where transformers does it: far from the beginning, one bit of a frequency is seen in the logits. */
const f = Math.fround;

/** Angle a position for each pair, [width / 2]. */
export function rotaryFrequencies(rotary: Rotary): number[] {
  const { theta, width } = rotary;
  return Array.from({ length: width / 2 }, (_, i) => f(scaled(f(1 / f(theta ** f((2 * i) / width))), i, rotary)));
}

function scaled(frequency: number, pair: number, rotary: Rotary): number {
  const { scaling } = rotary;
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
      const kept = f(f(f(originalContext / f((2 * Math.PI) / frequency)) - low) / (high - low));
      return f(f(f(1 - kept) * frequency) / factor) + f(kept * frequency);
    }
    case "yarn": {
      const [low, high] = yarnRamp(rotary, scaling);
      const divided = Math.min(1, Math.max(0, (pair - low) / (high - low)));
      return divided * (frequency / scaling.factor) + (1 - divided) * frequency;
    }
  }
}

/** Where the ramp of kept to divided pairs begins and ends. Its end is bounded by the width and not by the pairs, as in transformers. */
function yarnRamp({ theta, width }: Rotary, yarn: Extract<RopeScaling, { type: "yarn" }>): [number, number] {
  const pairThatTurns = (times: number) =>
    (width * Math.log(yarn.originalContext / (times * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairThatTurns(yarn.betaFast), pairThatTurns(yarn.betaSlow)];
  const low = Math.max(yarn.truncate ? Math.floor(first) : first, 0);
  const high = Math.min(yarn.truncate ? Math.ceil(last) : last, width - 1);
  return [low, high === low ? high + 0.001 : high];
}

/**
 * Cosines and sines of positions 0…positions−1, each [positions, width / 2]. Angles too are rounded to float32 as in
 * transformers: that is what models have learnt with, and far from the beginning it is seen in the logits.
 */
export function rotaryTables(rotary: Rotary, positions: number): { cos: Float32Array; sin: Float32Array } {
  const frequencies = rotaryFrequencies(rotary);
  const length = rotary.scaling.type === "yarn" ? rotary.scaling.attentionFactor : 1;
  const n = frequencies.length;
  const cos = new Float32Array(positions * n);
  const sin = new Float32Array(positions * n);
  for (let position = 0; position < positions; position++) {
    for (const [i, frequency] of frequencies.entries()) {
      const angle = Math.fround(position * frequency);
      cos[position * n + i] = length * Math.cos(angle);
      sin[position * n + i] = length * Math.sin(angle);
    }
  }
  return { cos, sin };
}

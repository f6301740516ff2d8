// Random but fixed problems for the engines' contract: shapes, starting states, batches, SAEs and ensembles, from seeds.
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import type { MemberState, TrainerConfig } from "../../../src/engine/engine.ts";
import { newMemberState } from "../../../src/engine/memberState.ts";
import { defaultTrainerConfig } from "../../../src/engine/trainerDefaults.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import type { Architecture, Sae, SaeConfig, SaeWeights } from "../../../src/sae/sae.ts";

/** By SAELens' names: what is trained. */
export const architectures = [
  "standard",
  "topk",
  "batchtopk",
  "matryoshka_batchtopk",
  "jumprelu",
  "gated",
] as const satisfies readonly (Architecture | "matryoshka_batchtopk")[];
export type TrainedArchitecture = (typeof architectures)[number];

/** Of a matryoshka: inner widths of a ninth and a third of the features, but at least one. */
export function asTrained(
  architecture: TrainedArchitecture,
  F: number,
): Pick<SaeConfig, "architecture" | "matryoshka_widths"> {
  if (architecture !== "matryoshka_batchtopk") return { architecture };
  return { architecture: "batchtopk", matryoshka_widths: [Math.ceil(F / 9), Math.ceil(F / 3), F] };
}

/** A training problem, made from its own name as a seed. */
export interface Shape {
  readonly what: string;
  readonly architecture: TrainedArchitecture;
  readonly d: number;
  readonly F: number;
  readonly k: number;
  readonly rows: number;
  readonly members: number;
  /** dead_feature_window. */
  readonly window: number;
  /** Added to the encoder's biases, so that few latents fire. */
  readonly bias?: number;
  /** 20 unless given. */
  readonly steps?: number;
  readonly config?: Partial<TrainerConfig>;
  readonly sae?: Partial<SaeConfig>;
}

/** Odd sizes (nothing a multiple of a vector or a block), k of 1 and of F, every switch of the trainer. */
export const randomShapes: Shape[] = [
  ...architectures.map(
    (architecture): Shape => ({
      what: `${architecture}: several blocks of everything, d 36, F 530, 133 rows`,
      architecture,
      d: 36,
      F: 530,
      k: 11,
      rows: 133,
      members: 1,
      window: 0,
      steps: 2,
    }),
  ),
  ...architectures.map(
    (architecture): Shape => ({
      what: `${architecture}: d 13, F 50, 19 rows`,
      architecture,
      d: 13,
      F: 50,
      k: 4,
      rows: 19,
      members: 1,
      window: 2,
    }),
  ),
  ...architectures.map(
    (architecture): Shape => ({
      what: `${architecture}: two members, d 24, F 72, 40 rows, beta1 0, no clipping`,
      architecture,
      d: 24,
      F: 72,
      k: 6,
      rows: 40,
      members: 2,
      window: 2,
      config: { adam_beta1: 0, max_grad_norm: null },
    }),
  ),
  {
    what: "topk: k of 1, beta1 0 with clipping",
    architecture: "topk",
    d: 8,
    F: 31,
    k: 1,
    rows: 9,
    members: 1,
    window: 2,
    config: { adam_beta1: 0 },
  },
  {
    what: "topk: beta1 0.9 without clipping",
    architecture: "topk",
    d: 16,
    F: 48,
    k: 4,
    rows: 32,
    members: 1,
    window: 3,
    config: { max_grad_norm: null },
  },
  { what: "topk: k of F", architecture: "topk", d: 8, F: 16, k: 16, rows: 11, members: 1, window: 2 },
  {
    what: "topk without rescaling",
    architecture: "topk",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { rescale_acts_by_decoder_norm: false },
  },
  {
    what: "topk without b_dec in the input",
    architecture: "topk",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { apply_b_dec_to_input: false },
  },
  {
    what: "topk, many dead latents for AuxK",
    architecture: "topk",
    d: 12,
    F: 80,
    k: 2,
    rows: 10,
    members: 1,
    window: 0,
  },
  {
    what: "topk without AuxK",
    architecture: "topk",
    d: 12,
    F: 80,
    k: 2,
    rows: 10,
    members: 1,
    window: 0,
    config: { aux_loss_coefficient: 0 },
  },
  {
    what: "topk as dictionary_learning: unit rows, its AuxK",
    architecture: "topk",
    d: 12,
    F: 60,
    k: 3,
    rows: 15,
    members: 1,
    window: 1,
    sae: { rescale_acts_by_decoder_norm: false },
    config: { decoder_norm: "unit", aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32 },
  },
  {
    what: "batchtopk as dictionary_learning: unit rows, its AuxK",
    architecture: "batchtopk",
    d: 12,
    F: 60,
    k: 3,
    rows: 15,
    members: 1,
    window: 1,
    sae: { rescale_acts_by_decoder_norm: false },
    config: { decoder_norm: "unit", aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32 },
  },
  {
    what: "batchtopk: a k that is not whole",
    architecture: "batchtopk",
    d: 12,
    F: 40,
    k: 2.5,
    rows: 7,
    members: 1,
    window: 2,
  },
  {
    what: "batchtopk: less than one kept in the whole batch",
    architecture: "batchtopk",
    d: 12,
    F: 40,
    k: 0.1,
    rows: 7,
    members: 1,
    window: 1,
    steps: 4,
  },
  {
    what: "matryoshka as dictionary_learning: unit rows, its AuxK",
    architecture: "matryoshka_batchtopk",
    d: 12,
    F: 60,
    k: 3,
    rows: 15,
    members: 1,
    window: 1,
    sae: { rescale_acts_by_decoder_norm: false },
    config: { decoder_norm: "unit", aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32 },
  },
  {
    what: "matryoshka: eight widths, one of them 1, without b_dec in the input and without AuxK",
    architecture: "matryoshka_batchtopk",
    d: 12,
    F: 60,
    k: 5,
    rows: 15,
    members: 1,
    window: 1,
    sae: { matryoshka_widths: [1, 2, 3, 9, 31, 32, 33, 60], apply_b_dec_to_input: false },
    config: { aux_loss_coefficient: 0 },
  },
  {
    what: "matryoshka: many dead latents for AuxK",
    architecture: "matryoshka_batchtopk",
    d: 12,
    F: 80,
    k: 2,
    rows: 10,
    members: 1,
    window: 0,
  },
  {
    what: "standard: lp_norm 0.8",
    architecture: "standard",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    config: { lp_norm: 0.8 },
  },
  {
    what: "jumprelu: unit rows",
    architecture: "jumprelu",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    config: { decoder_norm: "unit" },
  },
  {
    what: "gated: without b_dec in the input",
    architecture: "gated",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { apply_b_dec_to_input: false },
  },
];

export function stepInput(s: number): { lr: number; sparsity_coefficient: number } {
  return { lr: 1e-3, sparsity_coefficient: s === 0 ? 0 : 0.1 };
}

/** States, config and batches that depend on the shape alone. */
export function setUp(shape: Shape): {
  config: TrainerConfig;
  states: MemberState[];
  batch: (s: number) => Float32Array;
} {
  const { architecture, d, F, k, rows } = shape;
  const isTopk = architecture.endsWith("topk");
  const sae: SaeConfig = {
    ...asTrained(architecture, F),
    d_in: d,
    d_sae: F,
    ...(isTopk ? { k, rescale_acts_by_decoder_norm: true } : {}),
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
    ...shape.sae,
  };
  // A wide kernel for jumprelu, so that thresholds have gradients at these few rows.
  const config = {
    ...defaultTrainerConfig(sae),
    jumprelu_bandwidth: 0.3,
    dead_feature_window: shape.window,
    ...shape.config,
  };
  const states = Array.from({ length: shape.members }, (_, m) =>
    newMemberState(
      randomWeights(sae, SeededRandom.derive(100 + m, shape.what), shape.bias ?? 0, config.decoder_norm),
      config.adam_beta1,
    ),
  );
  // Directions that the data prefers, so that there is something to learn.
  const random = SeededRandom.derive(7, "directions", shape.what);
  const directions = Float32Array.from({ length: 6 * d }, () => random.normal());
  const batch = (s: number): Float32Array => {
    const own = SeededRandom.derive(8, shape.what, s);
    const x = new Float32Array(rows * d);
    for (let t = 0; t < rows; t++) {
      const direction = own.integer(6);
      const strength = 0.5 + own.uniform();
      for (let j = 0; j < d; j++) x[t * d + j] = strength * directions[direction * d + j]! + 0.3 * own.normal() + 0.2;
    }
    return x;
  };
  return { config, states, batch };
}

function randomWeights(sae: SaeConfig, random: SeededRandom, bias: number, decoderNorm: "free" | "unit"): SaeWeights {
  const { d_in: d, d_sae: F } = sae;
  const normal = (length: number, scale: number, mean = 0): Float32Array =>
    Float32Array.from({ length }, () => mean + scale * random.normal());
  const W_dec = normal(F * d, 1 / Math.sqrt(d));
  for (let i = 0; i < F; i++) {
    const row = W_dec.subarray(i * d, (i + 1) * d);
    const norm = Math.hypot(...row);
    const wanted = decoderNorm === "unit" ? 1 : 0.5 + random.uniform();
    for (let j = 0; j < d; j++) row[j] = (row[j]! / norm) * wanted;
  }
  const base = { W_enc: normal(F * d, 1 / Math.sqrt(d)), W_dec, b_dec: normal(d, 0.1) };
  switch (sae.architecture) {
    case "gated":
      return { ...base, b_gate: normal(F, 0.1, bias), b_mag: normal(F, 0.1, bias), r_mag: normal(F, 0.2) };
    case "jumprelu":
      return {
        ...base,
        b_enc: normal(F, 0.1, bias),
        threshold: Float32Array.from({ length: F }, () => 0.3 * random.uniform()),
      };
    default:
      return { ...base, b_enc: normal(F, 0.1, bias) };
  }
}

export function randomSae(settings: Partial<SaeConfig>, seed: number): Sae {
  const architecture = settings.architecture ?? "topk";
  const config: SaeConfig = {
    d_in: 14,
    d_sae: 52,
    ...(architecture === "topk" || architecture === "batchtopk" ? { k: 5, rescale_acts_by_decoder_norm: false } : {}),
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
    ...settings,
    architecture,
  };
  const weights = randomWeights(config, SeededRandom.derive(seed, "sae"), 0, "free");
  return { config, weights, ...(architecture === "batchtopk" ? { topk_threshold: 0.4 } : {}) };
}

export function ensembleOf(method: Ensemble["method"], members: Sae[]): Ensemble {
  const weight = method === "bagging" ? 1 / members.length : 1;
  return {
    method,
    members,
    weights: members.map(() => weight),
    seeds: members.map((_, m) => m),
    hook: "test",
    provenance: {},
  };
}

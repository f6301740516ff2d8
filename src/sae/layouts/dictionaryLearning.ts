// SAEs of dictionary_learning (0.1): ae.pt with config.json beside it, a backup {step, ae, optimizer, config}, or a bare state dict of one of its classes.
import { brief } from "../../formats/brief.ts";
import { InputError } from "../../formats/inputError.ts";
import { scalarOf, type TensorFile } from "../../formats/tensorFile.ts";
import { decoderNorms } from "../encode.ts";
import type { Architecture, Sae, SaeConfig, SaeMetadata, SaeWeights } from "../sae.ts";
import { lengthOf, type MatrixName, readMatrices, readScalar, readVector } from "./matrices.ts";
import { biasWords, checkK, metadataWith, type OpenedSae, type OpenOptions } from "./opened.ts";
import { besideWarnings, type StateDict, wrapMetadata } from "./stateDict.ts";

/** By the names of their tensors; AutoEncoderTopK and BatchTopKSAE have the same. */
const CLASSES = {
  AutoEncoder: ["bias", "encoder.weight", "encoder.bias", "decoder.weight"],
  AutoEncoderNew: ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"],
  AutoEncoderTopK: ["b_dec", "k", "threshold", "encoder.weight", "encoder.bias", "decoder.weight"],
  BatchTopKSAE: ["b_dec", "k", "threshold", "encoder.weight", "encoder.bias", "decoder.weight"],
  GatedAutoEncoder: ["decoder_bias", "encoder.weight", "r_mag", "gate_bias", "mag_bias", "decoder.weight"],
  JumpReluAutoEncoder: ["W_enc", "b_enc", "W_dec", "b_dec", "threshold"],
  MatryoshkaBatchTopKSAE: ["W_enc", "b_enc", "W_dec", "b_dec", "k", "threshold", "group_sizes"],
} as const;
type DictClass = keyof typeof CLASSES;

/** Linear layers are [out, in]: the encoder [F, d], the decoder [d, F]. Parameters of their own are the other way round. */
const LINEAR: [MatrixName, MatrixName] = [
  { name: "encoder.weight", orientation: "rows" },
  { name: "decoder.weight", orientation: "columns" },
];
const PARAMETERS: [MatrixName, MatrixName] = [
  { name: "W_enc", orientation: "columns" },
  { name: "W_dec", orientation: "rows" },
];

/** Whether a file's tensors are those of one of the classes. */
export function isDictionaryLearning(file: TensorFile): boolean {
  return classesOf(file).length > 0;
}

/** Classes whose names others give their tensors as well. */
const COMMON: readonly DictClass[] = ["AutoEncoder", "AutoEncoderNew", "JumpReluAutoEncoder"];

/** Whether it is one of those by its names alone, and its wrap's configuration says how it selects or what b_dec does. */
export function saysOtherwise(file: StateDict): boolean {
  const { config } = file;
  const says =
    config.has("architecture") ||
    typeof config.get("apply_b_dec_to_input") === "boolean" ||
    typeof config.get("k") === "number";
  return says && classesOf(file).every((name) => COMMON.includes(name));
}

/** Whether a configuration beside the tensors, or in their wrap, names the class. */
export function saysItsClass(file: StateDict, config: Record<string, unknown> | null): boolean {
  return trainerOf(file, config)["dict_class"] !== undefined;
}

function classesOf(file: TensorFile): DictClass[] {
  const names = new Set([...file.tensors.keys(), ...[...file.values.keys()].filter((key) => key === "k")]);
  return (Object.keys(CLASSES) as DictClass[]).filter((name) => {
    const wanted = CLASSES[name];
    // A file may leave out the threshold that its class hasn't set, and the k that a configuration holds; groups tell a Matryoshka SAE from others.
    const optional = new Set<string>(name.includes("TopK") ? ["threshold", "k"] : []);
    return (
      wanted.every((key) => names.has(key) || optional.has(key)) &&
      [...names].every((key) => (wanted as readonly string[]).includes(key))
    );
  });
}

/** `config`: what config.json says, or null. Throws InputError. */
export async function readDictionaryLearning(
  file: StateDict,
  config: Record<string, unknown> | null,
  options: OpenOptions,
): Promise<OpenedSae> {
  const trainer = trainerOf(file, config);
  const warnings = besideWarnings(file);
  const choice = await chooseClass(file, trainer["dict_class"] ?? options.dict_class);
  const { dictClass } = choice;
  const training = dictClass === "MatryoshkaBatchTopKSAE" ? await matryoshkaTraining(file, trainer) : {};
  const metadata = metadataWith({ ...wrapMetadata(file), ...metadataOf(trainer, config), ...training }, options);
  const sae = await read(file, dictClass, trainer, options, metadata, warnings);
  if (choice.because !== undefined) warnings.push(assumed(choice, sae));
  const opened = { sae, layout: `dictionary_learning, ${dictClass}`, path: file.path, warnings };
  return choice.other ? { ...opened, asks: "dict_class" } : opened;
}

function trainerOf(file: StateDict, config: Record<string, unknown> | null): Record<string, unknown> {
  const { trainer } = config ?? {};
  if (typeof trainer === "object" && trainer !== null) return trainer as Record<string, unknown>;
  return { ...Object.fromEntries(file.config), ...config };
}

/** The class, and where nothing names it, why it is this one. */
interface Choice {
  readonly dictClass: DictClass;
  readonly because?: string;
  /** The other one that it may be. */
  readonly other?: DictClass;
}

async function chooseClass(file: StateDict, said: unknown): Promise<Choice> {
  const fitting = classesOf(file);
  const refuse = (found: string): never => {
    const expected = fitting.length > 0 ? `${fitting.join(" or ")}, by its tensors` : Object.keys(CLASSES).join(", ");
    throw new InputError({ file: file.path, where: "dict_class", found, expected });
  };
  if (said !== undefined) {
    const dictClass = fitting.find((name) => name === said);
    return dictClass
      ? { dictClass }
      : refuse(`${brief(said)}, with the tensors ${[...file.tensors.keys()].join(", ")}`);
  }
  const [only] = fitting;
  if (only === undefined) return refuse(`the tensors ${[...file.tensors.keys()].slice(0, 20).join(", ")}`);
  if (fitting.length === 1) return { dictClass: only, because: "by the names of its tensors" };
  const threshold = (await readScalar(file, "threshold")) ?? -1;
  return threshold > 0
    ? {
        dictClass: "BatchTopKSAE",
        because: `since it has a threshold (${threshold.toPrecision(4)})`,
        other: "AutoEncoderTopK",
      }
    : { dictClass: "AutoEncoderTopK", because: "since it has no threshold", other: "BatchTopKSAE" };
}

/** What was assumed of an SAE whose class nothing names. */
function assumed({ dictClass, because, other }: Choice, { config }: Sae): string {
  const what = `${config.architecture}${config.k === undefined ? "" : ` with k ${config.k}`}, b_dec ${biasWords(config)}`;
  return other
    ? `nothing says whether it is a BatchTopKSAE or an AutoEncoderTopK: read as ${dictClass} (${what}), ${because}; if it is the other, say dict_class ${other} on import`
    : `nothing names its class: read as dictionary_learning's ${dictClass}, ${because} (${what}). Check its explained variance; on the command line, --dict-class or --architecture say another`;
}

async function read(
  file: StateDict,
  dictClass: DictClass,
  trainer: Record<string, unknown>,
  options: OpenOptions,
  metadata: SaeMetadata,
  warnings: string[],
): Promise<Sae> {
  const biases = {
    AutoEncoder: ["bias", "encoder.bias"],
    AutoEncoderNew: ["decoder.bias", "encoder.bias"],
    AutoEncoderTopK: ["b_dec", "encoder.bias"],
    BatchTopKSAE: ["b_dec", "encoder.bias"],
    GatedAutoEncoder: ["decoder_bias", "gate_bias"],
    JumpReluAutoEncoder: ["b_dec", "b_enc"],
    MatryoshkaBatchTopKSAE: ["b_dec", "b_enc"],
  } as const;
  const [decoderBias, encoderBias] = biases[dictClass];
  const F = lengthOf(file, encoderBias);
  const d = lengthOf(file, decoderBias);
  for (const [key, value] of [
    ["activation_dim", d],
    ["dict_size", F],
  ] as const) {
    const said = trainer[key];
    if (said === undefined || said === value) continue;
    const found = `${key} ${value} by the weights, ${brief(said)} by the configuration`;
    // A wrap's configuration may be another run's; config.json is this SAE's.
    if (file.config.get(key) === said) warnings.push(`${found}: the weights are believed`);
    else throw new InputError({ file: file.path, found, expected: "the same" });
  }
  const names = dictClass === "JumpReluAutoEncoder" || dictClass === "MatryoshkaBatchTopKSAE" ? PARAMETERS : LINEAR;
  const { W_enc, W_dec } = await readMatrices(file, ...names, { F, d_in: d });
  const b_dec = await readVector(file, decoderBias, d);
  const base = { W_enc, W_dec, b_dec };
  const sae = (architecture: Architecture, weights: SaeWeights, apply_b_dec_to_input: boolean, k?: number): Sae => {
    const config: SaeConfig = {
      architecture,
      d_in: d,
      d_sae: F,
      ...(k !== undefined && { k, rescale_acts_by_decoder_norm: false }),
      apply_b_dec_to_input,
      normalize_activations: "none",
      dtype: "float32",
      metadata,
    };
    return { config, weights };
  };
  if (dictClass === "GatedAutoEncoder") {
    const [b_gate, b_mag, r_mag] = [
      await readVector(file, "gate_bias", F),
      await readVector(file, "mag_bias", F),
      await readVector(file, "r_mag", F),
    ];
    return sae("gated", { ...base, b_gate, b_mag, r_mag }, true);
  }
  const weights = { ...base, b_enc: await readVector(file, encoderBias, F) };
  switch (dictClass) {
    case "AutoEncoder":
      // load_dictionary folds the decoder's norms into the encoder; the reconstruction stays.
      return sae("standard", unitRows(weights, d), true);
    case "AutoEncoderNew":
      return sae("standard", weights, false);
    case "AutoEncoderTopK": {
      const k = (await scalarOf(file, "k")) ?? numberOf(trainer["k"]) ?? options.k;
      checkK(file, k, F);
      return sae("topk", weights, true, k);
    }
    case "JumpReluAutoEncoder":
      return sae("jumprelu", { ...weights, threshold: await readVector(file, "threshold", F) }, false);
    case "BatchTopKSAE":
    case "MatryoshkaBatchTopKSAE": {
      const threshold = await readScalar(file, "threshold");
      if (threshold === undefined || threshold < 0) {
        warnings.push(
          `its threshold is ${threshold === undefined ? "missing" : `unset (${threshold})`}: every positive feature fires, as in dictionary_learning itself; expect a much larger L0 than in training`,
        );
        return sae("standard", weights, true);
      }
      return sae("jumprelu", { ...weights, threshold: new Float32Array(F).fill(threshold) }, true);
    }
  }
}

/** What SAELens says of a matryoshka's training: groups, which stand one behind the other, as widths from the first latent on. */
async function matryoshkaTraining(file: StateDict, trainer: Record<string, unknown>): Promise<SaeMetadata> {
  const F = lengthOf(file, "b_enc");
  const sizes = await readVector(file, "group_sizes", lengthOf(file, "group_sizes"));
  const matryoshka_widths: number[] = [];
  for (const size of sizes) matryoshka_widths.push((matryoshka_widths.at(-1) ?? 0) + size);
  if (!sizes.every((size) => Number.isInteger(size) && size > 0) || matryoshka_widths.at(-1) !== F) {
    throw new InputError({
      file: file.path,
      where: "group_sizes",
      found: [...sizes].join(", "),
      expected: `positive whole numbers that add up to the ${F} features`,
    });
  }
  const k = await scalarOf(file, "k");
  const { group_weights } = trainer;
  return {
    training_architecture: "matryoshka_batchtopk",
    training_architecture_details: {
      ...(k !== undefined && { k }),
      matryoshka_widths,
      ...(group_weights !== undefined && { group_weights }),
    },
  };
}

function unitRows<T extends SaeWeights & { b_enc: Float32Array }>(weights: T, d: number): T {
  const norms = decoderNorms(weights, d);
  return {
    ...weights,
    W_enc: weights.W_enc.map((value, at) => value * norms[Math.floor(at / d)]!),
    // A row of zeros has no direction and stays one.
    W_dec: weights.W_dec.map((value, at) => value / (norms[Math.floor(at / d)]! || 1)),
    b_enc: weights.b_enc.map((value, i) => value * norms[i]!),
  };
}

/** resid_post_layer_4 → blocks.4.hook_resid_post; hooks that TransformerLens has. */
const SUBMODULES: Readonly<Record<string, string>> = {
  resid_post: "hook_resid_post",
  resid_pre: "hook_resid_pre",
  resid_mid: "hook_resid_mid",
  mlp_out: "hook_mlp_out",
  attn_out: "hook_attn_out",
  attention_out: "hook_attn_out",
};

function metadataOf(trainer: Record<string, unknown>, config: Record<string, unknown> | null): SaeMetadata {
  const { lm_name, submodule_name } = trainer;
  const [, kind, number] = /^(\w+)_layer_?(\d+)$/.exec(typeof submodule_name === "string" ? submodule_name : "") ?? [];
  const hook = kind === undefined ? undefined : SUBMODULES[kind];
  const buffer = config?.["buffer"] as Record<string, unknown> | undefined;
  return {
    ...(typeof lm_name === "string" && { model_name: lm_name }),
    ...(hook && { hook_name: `blocks.${number}.${hook}` }),
    ...(numberOf(buffer?.["ctx_len"]) !== undefined && { context_size: numberOf(buffer?.["ctx_len"])! }),
  };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

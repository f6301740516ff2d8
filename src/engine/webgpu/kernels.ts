// The WGSL kernels: which file and entry point each is, what it binds, and its text with the constants that it is compiled for.
import { readFileSync } from "node:fs";
import { type Architecture, innerWidths, keepsLargest, type SaeConfig } from "../../sae/sae.ts";
import { EngineError, type TrainerConfig } from "../engine.ts";

/** How a binding is used: the kernel's numbers, or a buffer that it reads, or also writes. */
type Use = "numbers" | "read" | "write";

interface Kernel {
  readonly file: string;
  readonly entry: string;
  readonly includes: readonly string[];
  readonly bindings: readonly Use[];
}

const n: Use = "numbers";
const r: Use = "read";
const w: Use = "write";

function kernel(file: string, entry: string, bindings: readonly Use[], ...includes: string[]): Kernel {
  return { file, entry, bindings, includes };
}

const ofPairs = [n, r, w, r, r, w, w, w] as const;
const ofBatch = [n, r, r, w, w, w, r] as const;
const ofCodes = [n, r, r, r, r, w, w, r] as const;

/** At most eight buffers each: what every WebGPU device can bind. */
export const kernels = {
  begin: kernel("begin", "main", [n, r, w, w, w], "reduce"),
  centre: kernel("centre", "main", [n, w, w, r], "reduce"),
  gemm: kernel("gemm", "main", [n, r, r, r, r, w, w], "activity", "productTile"),
  matrixGemm: kernel("matrixGemm", "main", [n, r, r, r, r, w, w], "activity", "productTile"),
  subgroupCheck: kernel("subgroupCheck", "main", [n, w]),
  batchHistogram: kernel("batchCut", "histogram", ofBatch, "activity", "latentKey", "reduce"),
  batchChoose: kernel("batchCut", "choose", ofBatch, "activity", "latentKey", "reduce"),
  batchTies: kernel("batchCut", "ties", ofBatch, "activity", "latentKey", "reduce"),
  batchShare: kernel("batchCut", "share", ofBatch, "activity", "latentKey", "reduce"),
  listRows: kernel("listRows", "main", [n, r, r, r, w, r, w, r], "activity", "latentKey", "reduce"),
  decode: kernel("decode", "main", [n, r, w, r, r, r, w, r, r], "activity", "reduce"),
  pairMark: kernel("pairs", "mark", ofPairs, "reduce"),
  pairWithin: kernel("pairs", "within", ofPairs, "reduce"),
  pairBetween: kernel("pairs", "between", ofPairs, "reduce"),
  pairPlace: kernel("pairs", "place", ofPairs, "reduce"),
  latentGradient: kernel("latentGradient", "main", [n, w, w, r, r, w, w, w, w], "adamStep", "reduce"),
  adam: kernel("adam", "main", [n, w, w, r, r, r, w, w], "adamStep", "reduce"),
  targetDeviations: kernel("columns", "ofTarget", [n, r, w]),
  residualDeviations: kernel("columns", "ofResidual", [n, r, w]),
  biasGradient: kernel("columns", "ofBias", [n, r, w]),
  auxFactor: kernel("finish", "auxFactor", [n, r, w], "adamStep", "reduce"),
  clip: kernel("finish", "clip", [n, r, w], "adamStep", "reduce"),
  stepBias: kernel("finish", "stepBias", [n, r, w], "adamStep", "reduce"),
  rowOffsets: kernel("rowCodes", "offsets", ofCodes, "activity", "reduce"),
  rowCodes: kernel("rowCodes", "write", ofCodes, "activity", "reduce"),
} satisfies Record<string, Kernel>;

export type KernelName = keyof typeof kernels;

/** Latents that a workgroup of latentGradient.wgsl goes through. */
export const LATENTS_EACH = 16;
/** Latents whose reach is known together (gemm.wgsl): every product's tile is whole groups. */
export const GROUP = 16;

const ARCHITECTURES: Partial<Record<Architecture, number>> = {
  standard: 0,
  topk: 1,
  batchtopk: 2,
  jumprelu: 3,
  gated: 4,
};
const NORMALISE = { none: 0, expected_average_only_in: 0, constant_norm_rescale: 1, layer_norm: 2 } as const;

/** Constants by name, as WGSL wants them. */
export type Constants = Readonly<Record<string, string>>;

/** What kernels are compiled for: one SAE's shape, and how it is trained or encodes. */
export function constantsFor(
  sae: SaeConfig,
  use: { readonly training?: TrainerConfig; readonly chain?: boolean; readonly fused?: boolean },
): Constants {
  const { training } = use;
  const architecture = ARCHITECTURES[sae.architecture];
  if (architecture === undefined) throw new EngineError(`a ${sae.architecture} SAE can be read, not trained`);
  const aux = training !== undefined && keepsLargest(sae) && training.aux_loss_coefficient !== 0;
  const inner = training ? innerWidths(sae).length : 0;
  const second = aux || (training !== undefined && sae.architecture === "gated");
  return {
    ARCHITECTURE: `${architecture}u`,
    TRAINING: `${training !== undefined}`,
    CHAIN: `${use.chain ?? false}`,
    NORMALISE: `${NORMALISE[sae.normalize_activations]}u`,
    APPLY_B_DEC: `${sae.apply_b_dec_to_input}`,
    ENCODER_BIAS: `${sae.architecture !== "gated"}`,
    NORM_IS_ONE: `${keepsLargest(sae) && sae.rescale_acts_by_decoder_norm !== true}`,
    AUX: `${aux}`,
    AUX_POSITIVE: `${aux && training.aux_loss_form === "dictionary_learning"}`,
    SECOND: `${second}`,
    LP_IS_ONE: `${(training?.lp_norm ?? 1) === 1}`,
    UNIT: `${training?.decoder_norm === "unit"}`,
    MOMENTUM: `${(training?.adam_beta1 ?? 0) > 0}`,
    INNER: `${inner}u`,
    INNER_VECS: `${vec4s(inner)}u`,
    FUSED: `${use.fused ?? false}`,
    LATENTS_EACH: `${LATENTS_EACH}u`,
    GROUP: `${GROUP}u`,
    PASS: "0u",
  };
}

/** vec4s of a row of d floats. */
export function vec4s(d: number): number {
  return Math.ceil(d / 4);
}

const files = new Map<string, string>();

function text(name: string): string {
  let found = files.get(name);
  if (found === undefined) {
    // Beside this file in the sources, beside the bundle in dist/.
    found = readFileSync(new URL(`./kernels/${name}.wgsl`, import.meta.url), "utf8");
    files.set(name, found);
  }
  return found;
}

/** What a text has to ask for before it may use it. */
const ENABLES: readonly (readonly [RegExp, string])[] = [
  [/\bf16\b/, "enable f16;"],
  [/\bsubgroup[A-Z]\w*\(/, "enable subgroups;"],
  // A subgroup's number is the same in all of it, which the compiler can't know.
  [
    /\bsubgroup_matrix_/,
    "enable chromium_experimental_subgroup_matrix;\ndiagnostic(off, chromium.subgroup_matrix_uniformity);",
  ],
];

/** A kernel's whole text. Constants that its files don't name are left out, so that pipelines are shared. */
export function sourceOf(name: KernelName, constants: Constants): string {
  const { file, includes } = kernels[name];
  const reduce = constants["SUBGROUPS"] === "true" ? "reduceSubgroups" : "reduceShared";
  const body = ["shared", ...includes.map((one) => (one === "reduce" ? reduce : one)), file].map(text).join("\n");
  const used = Object.entries(constants).filter(([constant]) => new RegExp(`\\b${constant}\\b`).test(body));
  const defined = used.map(([constant, value]) => `${TYPE.test(value) ? "alias" : "const"} ${constant} = ${value};`);
  const source = [...defined, body].join("\n");
  const enables = ENABLES.filter(([needs]) => needs.test(source)).map(([, enable]) => enable);
  return [...enables, source].join("\n");
}

/** Constants that are types. */
const TYPE = /^(vec4<)?[fu]\d+>?$/;

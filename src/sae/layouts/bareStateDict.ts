// A state dict of no known layout whose tensors have the field's usual names: enough to use it, with a word about what had to be assumed.
import { brief } from "../../formats/brief.ts";
import { InputError } from "../../formats/inputError.ts";
import { scalarOf, type TensorFile } from "../../formats/tensorFile.ts";
import type { SaeConfig } from "../sae.ts";
import { lengthOf, type Orientation, readMatrices, readScalar, readVector } from "./matrices.ts";
import { biasWords, checkK, metadataWith, type OpenedSae, type OpenOptions, Unsaid } from "./opened.ts";
import { besideWarnings, type StateDict, wrapMetadata } from "./stateDict.ts";

/** Names that people give them, and the way round that goes with a name where both would fit. */
const NAMES: Readonly<Record<"W_enc" | "W_dec" | "b_enc" | "b_dec", readonly [string, Orientation][]>> = {
  W_enc: [
    ["W_enc", "columns"],
    ["w_enc", "columns"],
    ["encoder_weights", "columns"],
    ["encoder.weight", "rows"],
  ],
  W_dec: [
    ["W_dec", "rows"],
    ["w_dec", "rows"],
    ["decoder_weights", "rows"],
    ["decoder.weight", "columns"],
  ],
  b_enc: [
    ["b_enc", "rows"],
    ["encoder_bias", "rows"],
    ["encoder.bias", "rows"],
    ["latent_bias", "rows"],
  ],
  b_dec: [
    ["b_dec", "rows"],
    ["decoder_bias", "rows"],
    ["decoder.bias", "rows"],
    ["pre_bias", "rows"],
    ["bias", "rows"],
  ],
};

/** Whether a file has two matrices and two biases under names that are known. */
export function isBareStateDict(file: TensorFile): boolean {
  return (Object.keys(NAMES) as (keyof typeof NAMES)[]).every((role) => nameOf(file, role));
}

function nameOf(file: TensorFile, role: keyof typeof NAMES): [string, Orientation] | undefined {
  return NAMES[role].find(([name]) => file.tensors.has(name)) as [string, Orientation] | undefined;
}

/** Throws InputError, also where its selection can't be known: a topk read as a ReLU would be silently wrong. */
export async function readBareStateDict(file: StateDict, options: OpenOptions): Promise<OpenedSae> {
  const [b_enc] = nameOf(file, "b_enc")!;
  const [b_dec] = nameOf(file, "b_dec")!;
  const [W_enc, encoder] = nameOf(file, "W_enc")!;
  const [W_dec, decoder] = nameOf(file, "W_dec")!;
  const F = lengthOf(file, b_enc);
  const d = lengthOf(file, b_dec);
  const threshold = file.tensors.has("threshold");
  const k = (await scalarOf(file, "k")) ?? numberOf(file.config.get("k")) ?? options.k;
  const architecture =
    options.architecture ?? saidArchitecture(file) ?? (threshold ? "jumprelu" : k !== undefined ? "topk" : undefined);
  checkNotNormalised(file);
  if (!architecture) {
    throw new Unsaid("architecture", {
      file: file.path,
      found: `a state dict that doesn't say how its features are selected (${[...file.tensors.keys()].join(", ")})`,
      expected: "a threshold or a k in the file, or the architecture said on import: standard, topk with k, jumprelu",
    });
  }
  if (architecture === "topk") checkK(file, k, F);
  if (architecture === "jumprelu" && !threshold) {
    const expected = "one, as the architecture is jumprelu";
    throw new InputError({ file: file.path, where: "threshold", found: "no such tensor", expected });
  }
  const { W_enc: encoderRows, W_dec: decoderRows } = await readMatrices(
    file,
    { name: W_enc, orientation: encoder },
    { name: W_dec, orientation: decoder },
    { F, d_in: d },
  );
  const config: SaeConfig = {
    architecture,
    d_in: d,
    d_sae: F,
    ...(architecture === "topk" && { k: k!, rescale_acts_by_decoder_norm: false }),
    apply_b_dec_to_input: file.config.get("apply_b_dec_to_input") !== false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: metadataWith(wrapMetadata(file), options),
  };
  return {
    sae: {
      config,
      weights: {
        W_enc: encoderRows,
        W_dec: decoderRows,
        b_enc: await readVector(file, b_enc, F),
        b_dec: await readVector(file, b_dec, d),
        ...(architecture === "jumprelu" && { threshold: await thresholds(file, F) }),
      },
    },
    layout: `state dict, ${architecture}`,
    path: file.path,
    warnings: [
      ...besideWarnings(file),
      `no layout that we know: read as ${architecture}${architecture === "topk" ? ` with k ${k}` : ""}, b_dec (${b_dec}) ${biasWords(config)}, no normalisation. Check its explained variance`,
    ],
  };
}

/** The architecture that a wrap's configuration names. Throws InputError where it is none of a bare state dict's. */
function saidArchitecture(file: StateDict): "standard" | "topk" | "jumprelu" | undefined {
  const said = file.config.get("architecture");
  if (said === undefined || said === "standard" || said === "topk" || said === "jumprelu") return said;
  const expected = "standard, topk or jumprelu, or the architecture said on import";
  throw new InputError({ file: file.path, where: "architecture", found: brief(said), expected });
}

/** A normalisation that a wrap's configuration asks for would be lost silently. */
function checkNotNormalised(file: StateDict): void {
  const said = file.config.get("normalize_activations") ?? "none";
  if (said === "none" || said === false) return;
  throw new InputError({ file: file.path, where: "normalize_activations", found: brief(said), expected: "none" });
}

/** One threshold a feature, or one for all of them. */
async function thresholds(file: TensorFile, F: number): Promise<Float32Array> {
  const size = file.tensors.get("threshold")!.shape.reduce((product, n) => product * n, 1);
  if (size !== 1) return readVector(file, "threshold", F);
  return new Float32Array(F).fill((await readScalar(file, "threshold"))!);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

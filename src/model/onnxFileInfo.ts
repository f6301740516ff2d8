// Sizes of an exported ONNX model: from its own tensors, and from the configuration where one lies beside it.
import { InputError } from "../formats/inputError.ts";
import type { LanguageModelInfo } from "./languageModel.ts";
import type { OnnxFileGraphs } from "./onnxFileGraphs.ts";

/** Names that families give to the longest row. */
const CONTEXTS = ["max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length"];
/** Of positions that are computed and not looked up, so that any number of them is. */
const DEFAULT_CONTEXT = 2048;

/** Throws InputError where file and configuration contradict each other, or neither says a size. */
export function onnxFileInfo(
  path: string,
  graphs: OnnxFileGraphs,
  config: Readonly<Record<string, unknown>>,
): Omit<LanguageModelInfo, "modelName"> {
  const number = (...keys: string[]) => keys.map((key) => config[key]).find((value) => typeof value === "number");
  const embedding = graphs.tensor(graphs.stream.embedding)?.shape ?? [];
  const logits = graphs.graph.outputs.find(({ name }) => name === "logits")!.shape.at(-1);
  const same = (what: string, inFile: number | undefined, inConfig: number | undefined): number => {
    if (inFile !== undefined && inConfig !== undefined && inFile !== inConfig) {
      throw new InputError({ file: path, found: `${what} ${inFile}`, expected: `${inConfig}, as config.json says` });
    }
    const size = inFile ?? inConfig;
    if (size !== undefined) return size;
    throw new InputError({
      file: path,
      found: `no ${what}`,
      expected: "one in the embedding's shape or in config.json beside it",
    });
  };
  const positions = graphs.positions();
  const context = number(...CONTEXTS);
  if (positions !== null && context !== undefined && context > positions) {
    const expected = `at least ${context}, the context that config.json says`;
    throw new InputError({ file: path, found: `a table of ${positions} positions`, expected });
  }
  const layers = number("num_hidden_layers", "n_layer");
  const dModel = same("width", embedding[1], number("hidden_size", "n_embd"));
  const nLayers = same("number of layers", graphs.stream.nLayers, layers);
  return {
    family: typeof config["model_type"] === "string" ? config["model_type"] : "onnx",
    nLayers,
    dModel,
    dVocab: same("vocabulary", typeof logits === "number" ? logits : embedding[0], number("vocab_size")),
    contextSize: context ?? positions ?? DEFAULT_CONTEXT,
    ...(!graphs.stream.hooks.has("blocks.0.hook_resid_mid") && { parallel: true }),
  };
}

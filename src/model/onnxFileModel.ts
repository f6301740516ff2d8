// A language model that is an exported ONNX file: the exporter's own graph, cut and edited at its hooks.

import * as ort from "onnxruntime-node";
import { InputError } from "../formats/inputError.ts";
import type { ModelDevice } from "./device/modelDevice.ts";
import type { HookContinuation, HookReader } from "./hookedSequence.ts";
import type { HookDelta, LanguageModel, LanguageModelInfo, TokenBatch, Tokenizer } from "./languageModel.ts";
import { FILE_DELTA, FILE_DIRECTIONS, FILE_RESULT, type OnnxFileGraphs } from "./onnxFileGraphs.ts";
import type { FileInput } from "./onnxFileInputs.ts";
import { RecomputedContinuation, RecomputedReader } from "./recomputedHalves.ts";
import { type RowRun, rowRuns } from "./rowRuns.ts";
import { Sessions } from "./sessions.ts";

/** How onnxruntime says that memory doesn't suffice. */
const NO_MEMORY = /bad_alloc|allocate memory|out of memory|Available memory of/i;

export class OnnxFileModel implements LanguageModel {
  readonly info: LanguageModelInfo;
  readonly tokenizer: Tokenizer;
  readonly hookNames: readonly string[];
  private readonly path: string;
  private readonly device: ModelDevice;
  private readonly graphs: OnnxFileGraphs;
  private readonly inputs: readonly FileInput[];
  private readonly sessions: Sessions;

  /** `folder`: holds the files of weights that the graph names. */
  constructor(
    path: string,
    folder: string,
    info: LanguageModelInfo,
    graphs: OnnxFileGraphs,
    inputs: readonly FileInput[],
    tokenizer: Tokenizer,
    threads?: number,
    device: ModelDevice = "cpu",
  ) {
    this.path = path;
    this.device = device;
    this.info = info;
    this.tokenizer = tokenizer;
    this.graphs = graphs;
    this.inputs = inputs;
    this.hookNames = [...graphs.stream.hooks.keys()];
    this.sessions = new Sessions(folder, threads, device, path);
  }

  async capture(batch: TokenBatch, hookName: string): Promise<Float32Array> {
    this.requireHook(hookName);
    const graph = () => this.graphs.capture(hookName);
    return this.runBatch(`capture ${hookName}`, graph, batch, this.info.dModel, null);
  }

  async logits(batch: TokenBatch, intervention?: HookDelta): Promise<Float32Array> {
    const hookName = intervention?.hookName ?? null;
    if (intervention) {
      this.requireHook(intervention.hookName);
      const expected = batch.rows * batch.length * this.info.dModel;
      if (intervention.delta.length !== expected) {
        throw new RangeError(`a delta of ${intervention.delta.length} values, the batch has ${expected}`);
      }
    }
    const graph = () => this.graphs.logits(hookName);
    return this.runBatch(`logits ${hookName ?? ""}`, graph, batch, this.info.dVocab, intervention?.delta ?? null);
  }

  async unembed(directions: Float32Array, rows: number, hookName: string): Promise<Float32Array> {
    // Every hook here is in the residual stream or added to it, so its directions are the stream's.
    this.requireHook(hookName);
    const { dModel, dVocab } = this.info;
    if (directions.length !== rows * dModel) {
      throw new RangeError(`${directions.length} values for ${rows} directions of width ${dModel}`);
    }
    if (rows === 0) return new Float32Array(0);
    // A direction of zeros tells the constant that the unembedding may add.
    const withZero = new Float32Array((rows + 1) * dModel);
    withZero.set(directions);
    const feeds = { [FILE_DIRECTIONS]: new ort.Tensor("float32", withZero, [rows + 1, dModel]) };
    const all = await this.run("unembed", () => this.graphs.unembed(), feeds);
    const logits = all.slice(0, rows * dVocab);
    for (let i = 0; i < logits.length; i++) logits[i]! -= all[rows * dVocab + (i % dVocab)]!;
    return logits;
  }

  readTo(hookName: string): HookReader {
    this.requireHook(hookName);
    return new RecomputedReader(this, hookName);
  }

  goOnFrom(hookName: string): HookContinuation {
    this.requireHook(hookName);
    return new RecomputedContinuation(this, hookName);
  }

  close(): Promise<void> {
    return this.sessions.close();
  }

  /** The graph over a batch, rows of like length together, into [rows, T, width]. */
  private async runBatch(
    key: string,
    graph: () => Uint8Array<ArrayBuffer>,
    batch: TokenBatch,
    width: number,
    delta: Float32Array | null,
  ): Promise<Float32Array> {
    const values = new Float32Array(batch.rows * batch.length * width);
    for (const run of rowRuns(batch, this.info)) {
      const feeds: Record<string, ort.Tensor> = {};
      for (const input of this.inputs) feeds[input.name] = input.tensor(run);
      if (delta) feeds[FILE_DELTA] = deltaOf(run, delta, this.info.dModel);
      const result = await this.run(key, graph, feeds);
      for (const [token, place] of run.places.entries()) {
        values.set(result.subarray(place * width, (place + 1) * width), run.source[token]! * width);
      }
    }
    return values;
  }

  private run(
    key: string,
    graph: () => Uint8Array<ArrayBuffer>,
    inputs: Readonly<Record<string, ort.Tensor>>,
  ): Promise<Float32Array> {
    return this.sessions.use(key, graph, async (session) => {
      const feeds = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]!]));
      const { [FILE_RESULT]: result } = await session.run(feeds).catch((error: Error) => {
        // A device's faults are for whoever compares it with the processor, and too little memory is nobody's graph.
        if (this.device !== "cpu" || NO_MEMORY.test(error.message)) throw error;
        const shapes = session.inputNames.map((name) => `${name} [${inputs[name]!.dims}]`).join(", ");
        const found = `what onnxruntime can't run: ${error.message}`;
        throw new InputError({ file: this.path, where: key.trim(), found, expected: `a graph that takes ${shapes}` });
      });
      return result!.data as Float32Array;
    });
  }

  private requireHook(hookName: string): void {
    if (!this.hookNames.includes(hookName)) {
      throw new RangeError(
        `no hook ${hookName} in ${this.info.modelName}: it has ${this.hookNames[0]} … ${this.hookNames.at(-1)}`,
      );
    }
  }
}

/** The run's part of a batch's delta, in the run's own padded rows. */
function deltaOf(run: RowRun, delta: Float32Array, width: number): ort.Tensor {
  const padded = new Float32Array(run.rows * run.length * width);
  for (const [token, place] of run.places.entries()) {
    const from = run.source[token]! * width;
    padded.set(delta.subarray(from, from + width), place * width);
  }
  return new ort.Tensor("float32", padded, [run.rows, run.length, width]);
}

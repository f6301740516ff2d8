// A language model run by onnxruntime: graphs of a decoder made when first asked for, over the checkpoint's own bytes.
import * as ort from "onnxruntime-node";
import type { Checkpoint } from "./checkpoint.ts";
import type { Decoder } from "./decoder.ts";
import { captureGraph, DELTA, DIRECTIONS, logitsGraph, RESULT, unembedGraph } from "./decoderGraphs.ts";
import type { ModelDevice } from "./device/modelDevice.ts";
import { type HalfGraph, lowerHalf, upperHalf } from "./halfGraphs.ts";
import type { HookContinuation, HookReader } from "./hookedSequence.ts";
import { hookWidth } from "./hookPoints.ts";
import type { HookDelta, LanguageModel, LanguageModelInfo, TokenBatch, Tokenizer } from "./languageModel.ts";
import { type HalfRunner, OnnxHookContinuation, OnnxHookReader } from "./onnxHalves.ts";
import { rotaryTables } from "./rotary.ts";
import { packRun, type RowRun, rowRuns, unpackRun } from "./rowRuns.ts";
import { Sessions } from "./sessions.ts";

export class OnnxLanguageModel implements LanguageModel {
  readonly info: LanguageModelInfo;
  readonly tokenizer: Tokenizer;
  readonly hookNames: readonly string[];
  private readonly decoder: Decoder;
  private readonly checkpoint: Checkpoint;
  private readonly sessions: Sessions;
  private readonly halves = new Map<string, HalfGraph>();
  private tables: { positions: number; cos: Float32Array; sin: Float32Array } | undefined;

  constructor(
    modelName: string,
    decoder: Decoder,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    threads?: number,
    device?: ModelDevice,
  ) {
    const { doubt } = decoder.output;
    this.info = { modelName, ...decoder.info, ...(doubt !== null && { doubt }) };
    this.hookNames = decoder.hookNames;
    this.tokenizer = tokenizer;
    this.decoder = decoder;
    this.checkpoint = checkpoint;
    this.sessions = new Sessions(checkpoint.folder, threads, device);
  }

  async capture(batch: TokenBatch, hookName: string): Promise<Float32Array> {
    this.requireHook(hookName);
    const graph = () => captureGraph(this.decoder, this.checkpoint, hookName);
    return this.runBatch(`capture ${hookName}`, graph, batch, hookWidth(this.info, hookName), null);
  }

  async logits(batch: TokenBatch, intervention?: HookDelta): Promise<Float32Array> {
    const hookName = intervention?.hookName ?? null;
    if (intervention) {
      this.requireHook(intervention.hookName);
      const expected = batch.rows * batch.length * hookWidth(this.info, intervention.hookName);
      if (intervention.delta.length !== expected) {
        throw new RangeError(`a delta of ${intervention.delta.length} values, the batch has ${expected}`);
      }
    }
    const graph = () => logitsGraph(this.decoder, this.checkpoint, hookName);
    return this.runBatch(`logits ${hookName ?? ""}`, graph, batch, this.info.dVocab, intervention ?? null);
  }

  async unembed(directions: Float32Array, rows: number, hookName: string): Promise<Float32Array> {
    this.requireHook(hookName);
    const width = hookWidth(this.info, hookName);
    if (directions.length !== rows * width) {
      throw new RangeError(`${directions.length} values for ${rows} directions of width ${width}`);
    }
    if (rows === 0) return new Float32Array(0);
    return this.run(`unembed ${hookName}`, () => unembedGraph(this.decoder, this.checkpoint, hookName), {
      [DIRECTIONS]: new ort.Tensor("float32", directions, [rows, width]),
    });
  }

  readTo(hookName: string): HookReader {
    this.requireHook(hookName);
    return new OnnxHookReader(
      this.halfRunner(`lower ${hookName}`, hookName, () => lowerHalf(this.decoder, this.checkpoint, hookName)),
    );
  }

  goOnFrom(hookName: string): HookContinuation {
    this.requireHook(hookName);
    return new OnnxHookContinuation(
      this.halfRunner(`upper ${hookName}`, hookName, () => upperHalf(this.decoder, this.checkpoint, hookName)),
    );
  }

  async close(): Promise<void> {
    try {
      await this.sessions.close();
    } finally {
      this.checkpoint.release?.();
    }
  }

  /** The graph over a batch, run by run, into [rows, T, width]. */
  private async runBatch(
    key: string,
    graph: () => Uint8Array<ArrayBuffer>,
    batch: TokenBatch,
    width: number,
    intervention: HookDelta | null,
  ): Promise<Float32Array> {
    const values = new Float32Array(batch.rows * batch.length * width);
    for (const run of rowRuns(batch, this.info)) {
      const { rows, length, tokens } = run;
      const { positions: tabled, cos, sin } = this.rotaryTables(length);
      const pairs = cos.length / tabled;
      const result = await this.run(key, graph, {
        ids: new ort.Tensor("int32", run.ids, [tokens]),
        positions: new ort.Tensor("int32", run.positions, [tokens]),
        padded: new ort.Tensor("int32", run.padded, [rows, length]),
        places: new ort.Tensor("int32", run.places, [tokens]),
        last: new ort.Tensor("int32", run.last, [rows]),
        length: new ort.Tensor("int32", Int32Array.of(length), []),
        cos: new ort.Tensor("float32", cos, [tabled, pairs]),
        sin: new ort.Tensor("float32", sin, [tabled, pairs]),
        ...(intervention && { [DELTA]: this.deltaOf(run, intervention) }),
      });
      unpackRun(run, result, width, values);
    }
    return values;
  }

  /** The run's part of a batch's delta. */
  private deltaOf(run: RowRun, { hookName, delta }: HookDelta): ort.Tensor {
    const width = hookWidth(this.info, hookName);
    return new ort.Tensor("float32", packRun(run, delta, width), [run.tokens, width]);
  }

  private halfRunner(key: string, hookName: string, half: () => HalfGraph): HalfRunner {
    const graph = this.halves.get(key) ?? half();
    this.halves.set(key, graph);
    const { contextSize, dVocab } = this.info;
    return {
      graph,
      contextSize,
      width: hookWidth(this.info, hookName),
      dVocab,
      places: (from, to) => this.places(from, to),
      run: (inputs, outputs) =>
        this.sessions.use(
          key,
          () => graph.model,
          async (session) => {
            const has =
              (names: readonly string[]) =>
              ([name]: [string, unknown]) =>
                names.includes(name);
            return session.run(
              Object.fromEntries(Object.entries(inputs).filter(has(session.inputNames))),
              Object.fromEntries(Object.entries(outputs).filter(has(session.outputNames))),
            );
          },
        ),
    };
  }

  /** Where tokens `from`…`to` − 1 of a single row stand: those before are kept. */
  private places(from: number, to: number): Record<string, ort.Tensor> {
    const n = to - from;
    const { positions: tabled, cos, sin } = this.rotaryTables(to);
    const pairs = cos.length / tabled;
    const ascending = Int32Array.from({ length: n }, (_, i) => i);
    return {
      positions: new ort.Tensor(
        "int32",
        ascending.map((i) => from + i),
        [n],
      ),
      padded: new ort.Tensor("int32", ascending, [1, n]),
      places: new ort.Tensor("int32", ascending, [n]),
      last: new ort.Tensor("int32", Int32Array.of(to - 1), [1]),
      length: new ort.Tensor("int32", Int32Array.of(to), []),
      first: new ort.Tensor("int64", BigInt64Array.of(BigInt(from)), [1]),
      cos: new ort.Tensor("float32", cos, [tabled, pairs]),
      sin: new ort.Tensor("float32", sin, [tabled, pairs]),
    };
  }

  private run(
    key: string,
    graph: () => Uint8Array<ArrayBuffer>,
    inputs: Record<string, ort.Tensor>,
  ): Promise<Float32Array> {
    return this.sessions.use(key, graph, async (session) => {
      // Graphs that end early need fewer inputs: blocks.0.hook_resid_pre has no attention in it.
      const feeds = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]!]));
      const { [RESULT]: result } = await session.run(feeds);
      return result!.data as Float32Array;
    });
  }

  private rotaryTables(length: number): { positions: number; cos: Float32Array; sin: Float32Array } {
    if (!this.tables || this.tables.positions < length) {
      const positions = 2 ** Math.ceil(Math.log2(Math.max(length, 64)));
      const none = { cos: new Float32Array(0), sin: new Float32Array(0) };
      this.tables = { positions, ...(this.decoder.rotary ? rotaryTables(this.decoder.rotary, positions) : none) };
    }
    return this.tables;
  }

  private requireHook(hookName: string): void {
    if (!this.hookNames.includes(hookName)) {
      throw new RangeError(
        `no hook ${hookName} in ${this.info.modelName}: it has ${this.hookNames[0]} … ${this.hookNames.at(-1)}`,
      );
    }
  }
}

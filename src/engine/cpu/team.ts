// The caller's side of the worker threads: starts them, gives each call to all, and gathers their replies. One call at a time.
import { Turns } from "../../formats/turns.ts";
import "../../formats/onnxTelemetry.ts";
import { Worker } from "node:worker_threads";
import { EngineError, type StepInput } from "../engine.ts";
import { CONTROL_WORDS, PARTIALS } from "./crew.ts";
import type { DenseBuffers } from "./denseChunk.ts";
import type { JobDescription } from "./job.ts";
import type { ScratchNeeds } from "./layout.ts";
import type { WasmModule } from "./webAssembly.ts";

export interface WorkerStart {
  readonly control: SharedArrayBuffer;
  readonly partials: SharedArrayBuffer;
  readonly index: number;
  readonly threads: number;
  readonly module: WasmModule;
  /** Whether to use the native library where it loads. */
  readonly native: boolean;
}

export type Call =
  | { readonly kind: "hello" }
  | { readonly kind: "open"; readonly job: number; readonly description: JobDescription }
  | { readonly kind: "lay"; readonly job: number; readonly rows: number; readonly needs: readonly ScratchNeeds[] }
  | {
      readonly kind: "step";
      readonly job: number;
      readonly member: number;
      /** Steps taken once this one is done. */
      readonly count: number;
      readonly input: StepInput;
    }
  | {
      readonly kind: "denseStep";
      readonly job: number;
      readonly member: number;
      readonly count: number;
      readonly input: StepInput;
      readonly buffers: DenseBuffers;
    }
  | { readonly kind: "encode"; readonly job: number; readonly member: number; readonly decodes: boolean }
  | { readonly kind: "close"; readonly job: number };

export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly aborted?: true;
}

export class Team {
  readonly threads: number;
  readonly #workers: Worker[];
  readonly #control: SharedArrayBuffer;
  /** The call before: calls queue. */
  readonly #turns = new Turns();
  #calls = 0;
  #laps: Record<string, number> = {};
  #failure: Error | undefined;
  #closed = false;

  constructor(threads: number, module: WasmModule, native: boolean) {
    this.threads = threads;
    this.#control = new SharedArrayBuffer(CONTROL_WORDS * 4);
    const partials = new SharedArrayBuffer(PARTIALS * 8);
    // From source this file is team.ts, and in the bundle it is part of some .js: the worker's file is named alike.
    const extension = import.meta.url.endsWith(".ts") ? "worker.ts" : "cpu-engine-worker.js";
    const file = new URL(`./${extension}`, import.meta.url);
    this.#workers = Array.from({ length: threads }, (_, index) => {
      const start: WorkerStart = { control: this.#control, partials, index, threads, module, native };
      const worker = new Worker(file, { workerData: start, name: `sae-engine-${index}` });
      worker.setMaxListeners(0);
      worker.on("error", (error) => {
        this.#failure ??= error;
      });
      worker.unref();
      return worker;
    });
  }

  /** Milliseconds by phase, of all threads together, since they were last taken. */
  takeLaps(): Record<string, number> {
    const laps = this.#laps;
    this.#laps = {};
    return laps;
  }

  addLaps(laps: Readonly<Record<string, number>>): void {
    for (const [name, ms] of Object.entries(laps)) this.#laps[name] = (this.#laps[name] ?? 0) + ms;
  }

  /** The replies of all workers, in their order. */
  call(call: Call): Promise<unknown[]> {
    return this.#turns.take(() => this.#send(call));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turns.over();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async #send(call: Call): Promise<unknown[]> {
    if (this.#closed) throw new EngineError("the engine is closed");
    if (this.#failure) throw new EngineError(`a worker thread of the CPU engine failed: ${this.#failure.message}`);
    const id = this.#calls++;
    const replies = await Promise.all(this.#workers.map((worker) => ask(worker, id, call)));
    const failed = replies.find((reply) => reply.error !== undefined);
    if (!failed) return replies.map((reply) => reply.result);
    // All have answered, so nobody waits at a barrier: the next call may begin afresh.
    new Int32Array(this.#control).fill(0);
    throw new EngineError(`the CPU engine failed in ${call.kind}: ${failed.error}`);
  }
}

/** One worker's reply; the process stays alive until it is there. */
function ask(worker: Worker, id: number, call: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      worker.unref();
    };
    const onMessage = (reply: Reply): void => {
      if (reply.id !== id) return;
      done();
      resolve(reply);
    };
    const onError = (error: Error): void => {
      done();
      reject(new EngineError(`a worker thread of the CPU engine failed: ${error.message}`));
    };
    const onExit = (code: number): void => {
      done();
      reject(new EngineError(`a worker thread of the CPU engine ended with code ${code}`));
    };
    worker.ref();
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
    worker.postMessage({ id, call });
  });
}

// onnxruntime's sessions of one model: made when first used, a few kept, one at work at a time.
import * as ort from "onnxruntime-node";
import "../formats/onnxTelemetry.ts";
import { InputError } from "../formats/inputError.ts";
import type { ModelDevice } from "./device/modelDevice.ts";

/** Sessions kept at a time. Each holds its layers' weights, laid out for the processor, so many would cost many models' memory. */
const KEPT_SESSIONS = 3;

/** What every session is made with; `folder` holds the files that the graph names for its weights. */
export function sessionOptions(
  folder: string,
  threads?: number,
  device: ModelDevice = "cpu",
): ort.InferenceSession.SessionOptions {
  return {
    // What a device has no operator for is computed on the processor.
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    // Higher levels merge the residual's additions into the norms, so a graph's bits would depend on its hook.
    graphOptimizationLevel: "basic",
    // Batches differ in length, and a plan of memory would be kept for every one.
    enableMemPattern: false,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    extra: {
      session: {
        // The graph has no file, so onnxruntime must be told where its weights lie.
        model_external_initializers_file_folder_path: folder,
        // Each session has threads of its own: those of one half would spin on while the other half works.
        force_spinning_stop: "1",
      },
    },
  };
}

export class Sessions {
  private readonly folder: string;
  private readonly threads: number | undefined;
  private readonly device: ModelDevice;
  private readonly file: string | null;
  /** By key, the one used last at the end. */
  private readonly sessions = new Map<string, ort.InferenceSession>();
  /** The last work given; the next waits for it. A session must not be released under another call, and one run fills all cores. */
  private turn: Promise<unknown> = Promise.resolve();

  /** `folder`: holds the files that graphs name for their weights; `file`: whose graphs they are, if somebody else's. */
  constructor(folder: string, threads?: number, device: ModelDevice = "cpu", file: string | null = null) {
    this.folder = folder;
    this.threads = threads;
    this.device = device;
    this.file = file;
  }

  /** Works with the graph's session, when all work given before is done. */
  use<T>(
    key: string,
    graph: () => Uint8Array<ArrayBuffer>,
    work: (session: ort.InferenceSession) => Promise<T>,
  ): Promise<T> {
    return this.inTurn(async () => work(await this.session(key, graph)));
  }

  close(): Promise<void> {
    return this.inTurn(async () => {
      const sessions = [...this.sessions.values()];
      this.sessions.clear();
      for (const session of sessions) await session.release();
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {});
    return result;
  }

  private async session(key: string, graph: () => Uint8Array<ArrayBuffer>): Promise<ort.InferenceSession> {
    const session = this.sessions.get(key) ?? (await this.createSession(graph()));
    this.sessions.delete(key);
    this.sessions.set(key, session);
    if (this.sessions.size > KEPT_SESSIONS) {
      const [oldest, unused] = this.sessions.entries().next().value!;
      this.sessions.delete(oldest);
      await unused.release();
    }
    return session;
  }

  private createSession(model: Uint8Array<ArrayBuffer>): Promise<ort.InferenceSession> {
    const made = ort.InferenceSession.create(model, sessionOptions(this.folder, this.threads, this.device));
    const { file, device } = this;
    // On the processor nothing but the graph can be at fault.
    if (file === null || device !== "cpu") return made;
    return made.catch((error: Error) => {
      const expected = "a graph and weights that onnxruntime can load";
      throw new InputError({ file, found: `what onnxruntime refuses: ${error.message}`, expected });
    });
  }
}

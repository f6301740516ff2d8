// A language model on a GPU, in a process of its own: what harvesting and evaluation ask of it.
import { ChildCalls, type ChildCallsOptions } from "../../formats/childCalls.ts";
import type { HookDelta, LanguageModel, TokenBatch } from "../languageModel.ts";
import type { ModelDevice } from "./modelDevice.ts";

/** What runs over whole batches. Reading piece by piece (inspection) stays on the processor. */
export type BatchModel = Pick<LanguageModel, "capture" | "logits" | "unembed" | "close">;

export type ModelCall =
  | {
      readonly kind: "open";
      readonly path: string;
      readonly device: ModelDevice;
      readonly threads: number | undefined;
      readonly cacheFolder: string | undefined;
    }
  | { readonly kind: "capture"; readonly batch: TokenBatch; readonly hookName: string }
  | {
      readonly kind: "logits";
      readonly batch: TokenBatch;
      readonly intervention: HookDelta | undefined;
    }
  | { readonly kind: "unembed"; readonly directions: Float32Array; readonly rows: number; readonly hookName: string };

const WORDS = {
  process: "the language model's process",
  device: "the language model's device",
  advice: () => "The processor goes on",
  error: (message: string) => new Error(message),
};

export interface DeviceModelOptions extends ChildCallsOptions {
  readonly threads?: number;
  readonly cacheFolder?: string;
}

export class DeviceModel implements BatchModel {
  readonly #calls: ChildCalls<ModelCall>;

  private constructor(calls: ChildCalls<ModelCall>) {
    this.#calls = calls;
  }

  /** The model of that path, which has been opened on the processor before. Throws what onnxruntime says where it has no such device. */
  static async open(path: string, device: ModelDevice, options: DeviceModelOptions = {}): Promise<DeviceModel> {
    const file = import.meta.url.endsWith(".ts") ? "main.ts" : "model-device.js";
    // The self-check is made for float32, and by default NVIDIA's libraries round a product's operands to TF32.
    const environment = { NVIDIA_TF32_OVERRIDE: "0", ...options.environment };
    const calls = new ChildCalls<ModelCall>(new URL(`./${file}`, import.meta.url), WORDS, { ...options, environment });
    try {
      const { threads, cacheFolder } = options;
      await calls.call({ kind: "open", path, device, threads, cacheFolder });
      return new DeviceModel(calls);
    } catch (error) {
      await calls.close();
      throw error;
    }
  }

  capture(batch: TokenBatch, hookName: string): Promise<Float32Array> {
    return this.#calls.call({ kind: "capture", batch, hookName });
  }

  logits(batch: TokenBatch, intervention?: HookDelta): Promise<Float32Array> {
    return this.#calls.call({ kind: "logits", batch, intervention });
  }

  unembed(directions: Float32Array, rows: number, hookName: string): Promise<Float32Array> {
    return this.#calls.call({ kind: "unembed", directions, rows, hookName });
  }

  /** Ends the process as a fault of its driver would. For tests. */
  kill(): void {
    this.#calls.kill();
  }

  close(): Promise<void> {
    return this.#calls.close();
  }
}

// The process in which a language model runs on a GPU: a driver that faults ends this process and no other.
import { answerCalls } from "../../formats/answerCalls.ts";
import { requireOnnxRuntime } from "../../formats/onnxRuntime.ts";
import type { LanguageModel } from "../languageModel.ts";
import type { ModelCall } from "./deviceModel.ts";
import type { ModelDevice } from "./modelDevice.ts";
import { ONNXRUNTIME_VARIABLE, useOwnOnnxRuntime } from "./ownOnnxRuntime.ts";

let model: LanguageModel | undefined;

async function answer(call: ModelCall): Promise<unknown> {
  if (call.kind === "open") {
    const { path, device, threads, cacheFolder } = call;
    const own = process.env[ONNXRUNTIME_VARIABLE];
    if (own) useOwnOnnxRuntime(own);
    await requireDevice(device);
    // Loads onnxruntime by its name, so not before it is known which.
    const { openLanguageModel } = await import("../open.ts");
    model = await openLanguageModel(path, {
      device,
      ...(threads === undefined ? {} : { threads }),
      ...(cacheFolder === undefined ? {} : { cacheFolder }),
    });
    return undefined;
  }
  if (!model) throw new Error("no model has been opened");
  switch (call.kind) {
    case "capture":
      return model.capture(call.batch, call.hookName);
    case "logits":
      return model.logits(call.batch, call.intervention);
    case "unembed":
      return model.unembed(call.directions, call.rows, call.hookName);
  }
}

/** onnxruntime passes over what it doesn't have without a word, and computes on the processor. */
async function requireDevice(device: ModelDevice): Promise<void> {
  const { listSupportedBackends } = await requireOnnxRuntime("a language model");
  const names = listSupportedBackends().map(({ name }) => name);
  if (!names.includes(device)) throw new Error(`this onnxruntime has no ${device}: it has ${names.join(", ")}`);
}

answerCalls(answer, { inWords: (error) => (error as Error).message.split("\n")[0]! });

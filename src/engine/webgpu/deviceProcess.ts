// The engine's side of the device's process, in which the GPU's driver works.
import { ChildCalls, type ChildCallsOptions } from "../../formats/childCalls.ts";
import { EngineError } from "../engine.ts";
import type { Call } from "./protocol.ts";

export type DeviceProcessOptions = ChildCallsOptions;

const WORDS = {
  process: "the GPU's process",
  device: "the GPU",
  advice: (asked: ReadonlySet<string>) =>
    asked.has("trainer")
      ? `The run's checkpoint is intact: resume it, or set "device": "cpu" to go on without the GPU`
      : 'Set "device": "cpu" to go without the GPU',
  error: (message: string) => new EngineError(message),
};

export class DeviceProcess extends ChildCalls<Call> {
  constructor(options: DeviceProcessOptions = {}) {
    // From source this file is deviceProcess.ts, in the bundle a part of some .js: the process' file is named alike.
    const file = import.meta.url.endsWith(".ts") ? "main.ts" : "webgpu-device.js";
    super(new URL(`./${file}`, import.meta.url), WORDS, options);
  }
}

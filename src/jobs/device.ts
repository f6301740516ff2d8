// Where a run's arithmetic is done: what the experiment or the user's setting asks for, and for "auto" a real GPU where there is one that proves itself.
import { join } from "node:path";
import { AutoEngine, type Say } from "../engine/auto/autoEngine.ts";
import { createCpuEngine } from "../engine/cpu/cpuEngine.ts";
import { type Engine, EngineError } from "../engine/engine.ts";
import { createReferenceEngine } from "../engine/reference/referenceEngine.ts";
import { createTensorflowEngine, TENSORFLOW_VARIABLE } from "../engine/tensorflow/tensorflowEngine.ts";
import type { AdapterDescription } from "../engine/webgpu/protocol.ts";
import { createWebgpuEngine, nothingToUse, webgpuAdapters } from "../engine/webgpu/webgpuEngine.ts";
import { InputError } from "../formats/inputError.ts";
import { DeviceModel } from "../model/device/deviceModel.ts";
import { ProvenModel } from "../model/device/provenModel.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { stateFolder } from "./stateFolder.ts";

/** Set by the user's setting: the device of runs whose experiment leaves it to "auto". */
export const DEVICE_VARIABLE = "SAE_ENSEMBLES_DEVICE";

const devices = ["auto", "cpu", "webgpu"] as const;
type Device = (typeof devices)[number];

type DeviceSettings = Pick<ExperimentSettings, "device" | "engine" | "threads"> &
  Partial<Pick<ExperimentSettings, "autocast">>;

/** The device that settings and environment come to. An experiment's own word counts before the user's setting. */
export function deviceFor(settings: DeviceSettings): Device {
  if (settings.engine !== undefined) return "cpu";
  if (settings.device !== "auto") return settings.device;
  const wish = process.env[DEVICE_VARIABLE] || "auto";
  if (!(devices as readonly string[]).includes(wish))
    throw new InputError({ file: `the variable ${DEVICE_VARIABLE}`, found: wish, expected: devices.join(", ") });
  return wish as Device;
}

/** Where the quickest product of each adapter and shape is kept. */
export function productsFile(): string {
  return join(stateFolder(), "gpu-products.json");
}

/** The engine of a run. `say` hears which device was taken and why; without it (a text tried in the editor) "auto" is the processor, which has no start to wait for. */
export async function openEngine(settings: DeviceSettings, say?: Say): Promise<Engine> {
  if (settings.engine === "reference") return createReferenceEngine();
  if (settings.engine === "tensorflow") return createTensorflowEngine(process.env[TENSORFLOW_VARIABLE]);
  const cpu = () => createCpuEngine(settings.threads === undefined ? {} : { threads: settings.threads });
  const device = deviceFor(settings);
  if (device === "cpu" || (device === "auto" && !say)) return cpu();
  const options = {
    tuningFile: productsFile(),
    autocast: settings.autocast ?? false,
    onWarning: (message: string) => say?.("warning", message),
  };
  if (device === "webgpu") {
    const engine = await createWebgpuEngine(options);
    say?.("info", `device webgpu (${engine.description}): asked for`);
    return engine;
  }
  try {
    const { adapters, error } = await adaptersHere();
    if (!adapters.some(({ software }) => !software)) throw error ?? new EngineError(nothingToUse(adapters));
    const gpu = await createWebgpuEngine(options);
    return new AutoEngine(await cpu(), gpu, say!, settings.autocast ?? false);
  } catch (error) {
    const engine = await cpu();
    say!("info", `device cpu (${engine.description}): ${(error as Error).message}`);
    return engine;
  }
}

/**
 * The language model of a run, opened on the processor from `path`, with its batches on the device that `llm_device` asks for once
 * that has proven itself. "auto" follows `device`: where that is the processor, so is this.
 */
export async function onModelDevice(
  model: LanguageModel,
  path: string,
  settings: DeviceSettings & Pick<ExperimentSettings, "llm_device">,
  say: Say,
): Promise<LanguageModel> {
  const { llm_device, threads } = settings;
  if (llm_device === "cpu" || (llm_device === "auto" && deviceFor(settings) === "cpu")) return model;
  const isAuto = llm_device === "auto";
  if (isAuto && !(await adaptersHere()).adapters.some(({ software }) => !software)) return model;
  const device = isAuto ? "webgpu" : llm_device;
  return new ProvenModel(model, {
    device,
    open: () => DeviceModel.open(path, device, threads === undefined ? {} : { threads }),
    mustBeQuicker: isAuto,
    say,
  });
}

let found: Promise<{ adapters: readonly AdapterDescription[]; error?: Error }> | undefined;

/** Asked once a process: a run needs it for its model and for its engine. */
function adaptersHere(): NonNullable<typeof found> {
  found ??= webgpuAdapters().then(
    (adapters) => ({ adapters }),
    (error: Error) => ({ adapters: [], error }),
  );
  return found;
}

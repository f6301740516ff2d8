// The device's own process: opens an adapter and does what the engine asks for. A driver that faults ends this process and no other.
import { answerCalls } from "../../formats/answerCalls.ts";
import { EngineError } from "../engine.ts";
import { DeviceEncoder } from "./deviceEncoder.ts";
import { DeviceTrainer } from "./deviceTrainer.ts";
import { findAdapters, Gpu } from "./gpu.ts";
import { type Layouts, plainLayout } from "./layouts.ts";
import { measureDevice, measureShape } from "./measureDevice.ts";
import { nameOf } from "./products.ts";
import type { Call, DeviceOptions } from "./protocol.ts";
import { offeredBy, tunedLayouts } from "./tuning.ts";

let gpu: Gpu | undefined;
let largestBuffer = 0;
let layouts: Layouts;
let autocast = false;
const objects = new Map<number, DeviceTrainer | DeviceEncoder>();
let count = 0;

async function answer(call: Call): Promise<unknown> {
  switch (call.kind) {
    case "adapters":
      return (await findAdapters()).map(({ description }) => description);
    case "open": {
      const found = (await findAdapters()).find(({ description }) => description.key === call.adapter);
      if (!found) throw new EngineError(`the GPU is no longer there: ${call.adapter}`);
      gpu = await Gpu.open(found);
      largestBuffer = Math.min(gpu.largestBuffer, call.options.largestBuffer ?? Number.POSITIVE_INFINITY);
      autocast = call.options.autocast ?? false;
      layouts = layoutsFor(gpu, call.options);
      return gpu.description;
    }
    case "trainer": {
      const trainer = new DeviceTrainer(opened(), call.config, largestBuffer, layouts, autocast);
      await trainer.prepare(call.members);
      if (call.frozen) await trainer.freeze(call.frozen);
      objects.set(++count, trainer);
      return count;
    }
    case "member":
      return object(call.trainer, DeviceTrainer).add(call.state);
    case "step":
      return object(call.trainer, DeviceTrainer).step(call.x, call.rows, call.input);
    case "state":
      return object(call.trainer, DeviceTrainer).state(call.member);
    case "encoder":
      objects.set(++count, await DeviceEncoder.open(opened(), call.ensemble, largestBuffer, layouts));
      return count;
    case "encode":
      return object(call.encoder, DeviceEncoder).encode(call.x, call.rows);
    case "codes":
      return object(call.encoder, DeviceEncoder).codes(call.x, call.rows);
    case "close": {
      const object = objects.get(call.object);
      objects.delete(call.object);
      return object?.close();
    }
    case "measure":
      return measureDevice(opened(), layouts);
    case "product":
      return measureShape(opened(), layouts, call.shape, call.autocast);
    case "counts":
      return { ...opened().counts };
    case "lose":
      return opened().lose();
  }
}

function layoutsFor(gpu: Gpu, { tuningFile, product, subgroups, width, tunesSoftware }: DeviceOptions): Layouts {
  if (product === undefined && subgroups === undefined && width === undefined && tuningFile !== undefined)
    return tunedLayouts(gpu, tuningFile, tunesSoftware);
  const plain = plainLayout(gpu.description, width);
  const own = { ...plain, subgroups: subgroups ?? plain.subgroups };
  const avoided = new Set<string>();
  return {
    for: async (_shape, _rows, cast) => {
      const named = offeredBy(gpu, cast).find((one) => nameOf(one) === product && !avoided.has(nameOf(one)));
      return { ...own, product: named ?? plain.product };
    },
    avoid: async (one) => void avoided.add(nameOf(one)),
  };
}

function opened(): Gpu {
  if (!gpu) throw new EngineError("no GPU has been opened");
  return gpu;
}

function object<T>(id: number, type: { readonly prototype: T; [Symbol.hasInstance](value: unknown): boolean }): T {
  const found = objects.get(id);
  if (!(found instanceof type)) throw new EngineError("what this call is for has been closed");
  return found as T;
}

answerCalls(answer, {
  inWords: (error) => (error instanceof EngineError ? error.message : String((error as Error).stack ?? error)),
  warnings: () => gpu?.warnings.splice(0) ?? [],
});

// The WebGPU engine: SAEs on any vendor's GPU by Dawn, in a process of its own.
import type { Ensemble } from "../../sae/ensemble.ts";
import { withCurrentMoments } from "../currentMoments.ts";
import {
  checkEncodable,
  checkTrainable,
  type Encoded,
  type Encoder,
  type Engine,
  EngineError,
  type MemberState,
  type SparseCodes,
  type StepInput,
  type StepReport,
  type Trainer,
  type TrainerConfig,
} from "../engine.ts";
import type { StepShape } from "../stepRate.ts";
import { DeviceProcess, type DeviceProcessOptions } from "./deviceProcess.ts";
import type { Counts } from "./gpu.ts";
import type { DeviceMeasure } from "./measureDevice.ts";
import type { AdapterDescription, DeviceOptions } from "./protocol.ts";

export interface WebgpuEngineOptions extends DeviceProcessOptions, DeviceOptions {
  /** Key of the adapter; by default the first that is no software, and with `software` the first of any kind. */
  readonly adapter?: string;
  readonly software?: boolean;
}

/** The adapters of this machine, the quickest first. Throws EngineError where Dawn can't be loaded. */
export async function webgpuAdapters(options: DeviceProcessOptions = {}): Promise<AdapterDescription[]> {
  const device = new DeviceProcess(options);
  try {
    return await device.call<AdapterDescription[]>({ kind: "adapters" });
  } finally {
    await device.close();
  }
}

/** Throws EngineError where there is no GPU that it may use. */
export async function createWebgpuEngine(options: WebgpuEngineOptions = {}): Promise<WebgpuEngine> {
  const { adapter, software, environment: _, patience: __, onWarning: ___, ...deviceOptions } = options;
  const device = new DeviceProcess(options);
  try {
    const adapters = await device.call<AdapterDescription[]>({ kind: "adapters" });
    const chosen = adapters.find((one) => (adapter === undefined ? software || !one.software : one.key === adapter));
    if (!chosen) {
      const install = adapters.length === 0 ? "install its driver, or " : "";
      throw new EngineError(`${nothingToUse(adapters)}: ${install}use the device cpu`);
    }
    const description = await device.call<AdapterDescription>({
      kind: "open",
      adapter: chosen.key,
      options: deviceOptions,
    });
    return new WebgpuEngine(device, description);
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Why there is no GPU to use. */
export function nothingToUse(adapters: readonly AdapterDescription[]): string {
  if (adapters.length === 0) return "no GPU was found that WebGPU can use";
  return `only software stands in for a GPU here (${adapters.map(({ name }) => name).join("; ")})`;
}

export class WebgpuEngine implements Engine {
  readonly name = "webgpu";
  readonly description: string;
  readonly adapter: AdapterDescription;
  readonly #device: DeviceProcess;

  constructor(device: DeviceProcess, adapter: AdapterDescription) {
    this.#device = device;
    this.adapter = adapter;
    this.description = `WebGPU on ${adapter.name}`;
  }

  async createTrainer(config: TrainerConfig, members: MemberState[], frozen?: Ensemble): Promise<Trainer> {
    checkTrainable(config);
    const trainer = await this.#device.call<number>({
      kind: "trainer",
      config,
      members: members.length,
      frozen: frozen && frozen.members.length > 0 ? withoutProvenance(frozen) : undefined,
    });
    try {
      for (const state of members) {
        await this.#device.call({ kind: "member", trainer, state: withCurrentMoments(state, config) });
      }
    } catch (error) {
      await this.#device.call({ kind: "close", object: trainer }).catch(() => {});
      throw error;
    }
    return new WebgpuTrainer(this.#device, trainer, members.length);
  }

  async createEncoder(ensemble: Ensemble): Promise<Encoder> {
    checkEncodable(ensemble);
    const encoder = await this.#device.call<number>({ kind: "encoder", ensemble: withoutProvenance(ensemble) });
    return new WebgpuEncoder(this.#device, encoder);
  }

  /** Matrix products and training steps a second, by the device's own measure. */
  measure(): Promise<DeviceMeasure> {
    return this.#device.call({ kind: "measure" });
  }

  /** The encoder's product alone: milliseconds (null where it doesn't fit), and how it is computed. */
  product(shape: StepShape, autocast = false): Promise<{ ms: number | null; product: string }> {
    return this.#device.call({ kind: "product", shape, autocast });
  }

  /** Dispatches and bytes so far. */
  counts(): Promise<Counts> {
    return this.#device.call({ kind: "counts" });
  }

  /** Ends the device's process as a fault of its driver would, or (SIGSTOP) lets it hang. For tests. */
  kill(signal?: NodeJS.Signals): void {
    this.#device.kill(signal);
  }

  /** The device is lost, its process stays. For tests. */
  lose(): Promise<void> {
    return this.#device.call({ kind: "lose" });
  }

  close(): Promise<void> {
    return this.#device.close();
  }
}

class WebgpuTrainer implements Trainer {
  readonly takesAhead = true;
  readonly #device: DeviceProcess;
  readonly #id: number;
  readonly #members: number;

  constructor(device: DeviceProcess, id: number, members: number) {
    this.#device = device;
    this.#id = id;
    this.#members = members;
  }

  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    return this.#device.call({ kind: "step", trainer: this.#id, x, rows, input });
  }

  async state(only?: number): Promise<MemberState[]> {
    const states: MemberState[] = [];
    for (let member = only ?? 0; member < (only === undefined ? this.#members : only + 1); member++) {
      states.push(await this.#device.call<MemberState>({ kind: "state", trainer: this.#id, member }));
    }
    return states;
  }

  async close(): Promise<void> {
    // A device that is gone has closed everything.
    await this.#device.call({ kind: "close", object: this.#id }).catch(() => {});
  }
}

class WebgpuEncoder implements Encoder {
  readonly #device: DeviceProcess;
  readonly #id: number;

  constructor(device: DeviceProcess, id: number) {
    this.#device = device;
    this.#id = id;
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    return this.#device.call({ kind: "encode", encoder: this.#id, x, rows });
  }

  codes(x: Float32Array, rows: number): Promise<SparseCodes> {
    return this.#device.call({ kind: "codes", encoder: this.#id, x, rows });
  }

  async close(): Promise<void> {
    await this.#device.call({ kind: "close", object: this.#id }).catch(() => {});
  }
}

/** What doesn't matter for arithmetic needn't travel. */
function withoutProvenance(ensemble: Ensemble): Ensemble {
  return { ...ensemble, provenance: {} };
}

// What the engine and the device's process say to each other.
import type { Ensemble } from "../../sae/ensemble.ts";
import type { MemberState, StepInput, TrainerConfig } from "../engine.ts";

export interface AdapterDescription {
  /** The same for the same hardware and driver. */
  readonly key: string;
  readonly name: string;
  /** Computed on the processor: for checks, never for speed. */
  readonly software: boolean;
  /** Of those that matter for computing. */
  readonly features: readonly string[];
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxComputeWorkgroupStorageSize: number;
}

export type Call =
  | { readonly kind: "adapters" }
  | { readonly kind: "open"; readonly adapter: string; readonly options: DeviceOptions }
  | {
      readonly kind: "trainer";
      readonly config: TrainerConfig;
      readonly members: number;
      readonly frozen: Ensemble | undefined;
    }
  | { readonly kind: "member"; readonly trainer: number; readonly state: MemberState }
  | {
      readonly kind: "step";
      readonly trainer: number;
      readonly x: Float32Array;
      readonly rows: number;
      readonly input: StepInput;
    }
  | { readonly kind: "state"; readonly trainer: number; readonly member: number }
  | { readonly kind: "encoder"; readonly ensemble: Ensemble }
  | { readonly kind: "encode"; readonly encoder: number; readonly x: Float32Array; readonly rows: number }
  | { readonly kind: "close"; readonly object: number }
  | { readonly kind: "measure" }
  | { readonly kind: "counts" };

export interface DeviceOptions {
  /** Bytes that one buffer may have at most, where that is less than the adapter's limit. For tests of micro-batches. */
  readonly largestBuffer?: number;
  /** File in which the tile that is quickest for an adapter and shape is kept; none: no tuning. */
  readonly tuningFile?: string;
}

export interface Request {
  readonly id: number;
  readonly call: Call;
}

export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  /** What the device or its driver said. */
  readonly error?: string;
}

// What the engine and the device's process say to each other.
import type { Ensemble } from "../../sae/ensemble.ts";
import type { MemberState, StepInput, TrainerConfig } from "../engine.ts";
import type { StepShape } from "../stepRate.ts";

export interface AdapterDescription {
  /** The same for the same hardware and driver, so two equal cards are one adapter here: Dawn gives at most one for speed and one for battery, and no way to tell equal ones apart. */
  readonly key: string;
  readonly name: string;
  /** Computed on the processor: for checks, never for speed. */
  readonly software: boolean;
  /** Of those that matter for computing. */
  readonly features: readonly string[];
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxComputeWorkgroupStorageSize: number;
  /** Threads that a workgroup may have. */
  readonly largestWorkgroup: number;
  /** Sums by subgroups: where the adapter has them, and their threads follow each other (asked when it is opened). */
  readonly subgroups: boolean;
  /** Threads of a subgroup, where that is always the same. */
  readonly lanes: number | null;
  /** Shapes of the matrix units that Dawn shows (experimental): operands [M, K] × [K, N]. */
  readonly matrices: readonly MatrixShape[];
}

export interface MatrixShape {
  readonly operand: string;
  readonly result: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
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
  | { readonly kind: "encode" | "codes"; readonly encoder: number; readonly x: Float32Array; readonly rows: number }
  | { readonly kind: "close"; readonly object: number }
  | { readonly kind: "measure" }
  | { readonly kind: "product"; readonly shape: StepShape; readonly autocast: boolean }
  | { readonly kind: "counts" }
  /** The device goes while its process stays, as after a driver's reset. For tests. */
  | { readonly kind: "lose" };

export interface DeviceOptions {
  /** Bytes that one buffer may have at most, where that is less than the adapter's limit. For tests of micro-batches. */
  readonly largestBuffer?: number;
  /** File in which the product that is quickest for an adapter and shape is kept; none: no tuning. */
  readonly tuningFile?: string;
  /** SAELens' autocast: in training the encoder's product may round its operands to float16, where the device can. Sums stay float32. */
  readonly autocast?: boolean;
  /** Name of the product to use (products.ts), and whether sums go by subgroups, in place of what the adapter would get. For tests. */
  readonly product?: string;
  readonly subgroups?: boolean;
  /** Threads of a workgroup in place of the adapter's: software has fewer than a GPU, whose layout tests are to see as well. */
  readonly width?: number;
  /** Trials on software as well, which has nothing to gain by them. For tests. */
  readonly tunesSoftware?: boolean;
}

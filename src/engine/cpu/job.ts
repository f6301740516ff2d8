// A trainer's or an encoder's view from inside one worker: kernels over each memory, scratch, and what phases share.
import type { TrainerConfig } from "../engine.ts";
import type { Crew } from "./crew.ts";
import type { NativeGemm } from "./gemm.ts";
import {
  BLOCK_ROWS,
  planScratch,
  type SaePlan,
  type Scratch,
  type ScratchNeeds,
  type Slab,
  type WorkerPlan,
} from "./layout.ts";
import { type WasmMemory, type WasmModule, wasm } from "./webAssembly.ts";

/** Exports of the wasm module; pointers and sizes in, a number out where one is returned. */
export type Kernels = Record<KernelName, (...args: number[]) => number>;

type KernelName =
  | "maskCodes"
  | "threshold"
  | "addBias"
  | "adamRows"
  | "adamVector"
  | "addInto"
  | "addPenalty"
  | "auxResidual"
  | "biasGradient"
  | "center"
  | "countAbove"
  | "countBits"
  | "countKeys"
  | "decoderGradient"
  | "emitAbove"
  | "encoderGradient"
  | "fillTile"
  | "finishRows"
  | "firedLatents"
  | "gatherKeys"
  | "gemm"
  | "group"
  | "jumpRelu"
  | "keepAbove"
  | "kthLargest"
  | "magnitudeGradient"
  | "magnitudes"
  | "modes"
  | "moments"
  | "penalties"
  | "removeParallel"
  | "residual"
  | "rowNorms"
  | "rowPowers"
  | "scatter"
  | "squaresOf"
  | "sumByLatent"
  | "thresholdGradient"
  | "topk"
  | "topkAmong"
  | "unitRows"
  | "untile";

/** What a worker is told once about a trainer or an encoder. */
export interface JobDescription {
  readonly memories: readonly WasmMemory[];
  /** Where each memory's scratch begins. */
  readonly scratchAt: readonly number[];
  readonly saes: readonly SaePlan[];
  /** Absent for an encoder. */
  readonly training: TrainerConfig | undefined;
  /** Whether a batch that is too dense for lists may be done by dense products. */
  readonly dense: boolean;
  /** Numbers that last from step to step, per SAE: [topk_threshold, first guess of batchtopk's bound]. */
  readonly lasting: SharedArrayBuffer;
}

/** One memory as a worker sees it. */
export interface Bank {
  readonly memory: WasmMemory;
  readonly kernels: Kernels;
  readonly scratch: Scratch;
  readonly worker: WorkerPlan;
}

/** A slab together with the memory that it lies in. */
export interface Place extends Bank {
  readonly slab: Slab;
  readonly number: number;
}

export class Job {
  readonly description: JobDescription;
  readonly crew: Crew;
  readonly native: NativeGemm | undefined;
  readonly lasting: Float64Array;
  rows = 0;
  #banks: Bank[] = [];
  readonly #kernels: Kernels[];

  constructor(description: JobDescription, crew: Crew, module: WasmModule, native: NativeGemm | undefined) {
    this.description = description;
    this.crew = crew;
    this.native = native;
    this.lasting = new Float64Array(description.lasting);
    this.#kernels = description.memories.map(
      (memory) => new wasm.Instance(module, { env: { memory, abort: () => {} } }).exports as unknown as Kernels,
    );
  }

  /** Norms of all decoder rows, by the kernel that keeps them up to date, so that a resumed run has the same bits. */
  computeNorms(): void {
    for (const { d, slabs } of this.description.saes) {
      for (const { bank, at, padded } of slabs) {
        this.#kernels[bank]!.rowNorms(at.W_dec!, padded, d, 0, padded, at.norm!);
      }
    }
  }

  /** Scratch for this many rows; the caller has grown the memories. */
  lay(rows: number, needs: readonly ScratchNeeds[]): void {
    this.rows = rows;
    this.#banks = this.description.memories.map((memory, bank) => {
      const scratch = planScratch(this.description.scratchAt[bank]!, needs[bank]!);
      return { memory, kernels: this.#kernels[bank]!, scratch, worker: scratch.workers[this.crew.index]! };
    });
  }

  get blocks(): number {
    return Math.ceil(this.rows / BLOCK_ROWS);
  }

  bank(bank: number): Bank {
    return this.#banks[bank]!;
  }

  /** The slabs of an SAE; the first one's memory is where its rows are worked on. */
  places(sae: SaePlan): Place[] {
    return sae.slabs.map((slab, number) => ({ ...this.#banks[slab.bank]!, slab, number }));
  }
}

export function floats(bank: { memory: WasmMemory }, at: number, n: number): Float32Array {
  return new Float32Array(bank.memory.buffer, at, n);
}

export function words(bank: { memory: WasmMemory }, at: number, n: number): Uint32Array {
  return new Uint32Array(bank.memory.buffer, at, n);
}

/** [first, end) of part p of n things in `parts` parts. */
export function partOf(n: number, parts: number, p: number): [number, number] {
  return [Math.floor((n * p) / parts), Math.floor((n * (p + 1)) / parts)];
}

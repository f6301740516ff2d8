// The caller's side of the shared memories: makes them, writes weights and states into them and reads them back, lays out scratch for a batch.

import { freemem, totalmem } from "node:os";
import { constrainedMemory } from "node:process";
import { normalisation, normalisesTokens } from "../../sae/normalise.ts";
import {
  innerWidths,
  keepsLargest,
  type NormalizeActivations,
  type ParameterName,
  type SaeConfig,
  type SaeWeights,
} from "../../sae/sae.ts";
import { EngineError, entries, type TrainerConfig } from "../engine.ts";
import type { DenseBuffers } from "./denseChunk.ts";
import type { JobDescription } from "./job.ts";
import {
  gib,
  pagesFor,
  planSaes,
  planScratch,
  type SaePlan,
  type Scratch,
  type ScratchNeeds,
  type Slab,
  TILE,
} from "./layout.ts";
import type { Team } from "./team.ts";
import { wasm } from "./webAssembly.ts";

/** Pairs that the lists of an SAE without a fixed k may have: beyond it a step is done with dense products. */
const LONGEST_LIST = 24e6;
/** The same as a share of all latents of all rows. */
const DENSE_SHARE = 0.25;

export interface MemoryOptions {
  readonly training: TrainerConfig | undefined;
  readonly threads: number;
  /** Lists must hold everything: there is no dense way. */
  readonly everything: boolean;
  readonly slabLimit: number;
}

export class Memories {
  readonly description: JobDescription;
  readonly #options: MemoryOptions;
  #rows = -1;
  #scratch: Scratch[] = [];
  #dense: DenseBuffers | undefined;

  constructor(configs: readonly SaeConfig[], options: MemoryOptions) {
    this.#options = options;
    const momentum = (options.training?.adam_beta1 ?? 0) > 0;
    const { saes, banks } = planSaes(configs, options.training !== undefined, momentum, options.slabLimit);
    checkMachine(
      banks.reduce((sum, bytes) => sum + bytes, 0),
      "weights and optimiser state",
    );
    const memories = banks.map((end) => {
      const initial = pagesFor(end, "one part of the weights");
      try {
        return new wasm.Memory({ initial, maximum: 65536, shared: true });
      } catch (error) {
        throw new EngineError(`${gib(end)} GiB of memory could not be had: ${(error as Error).message}`);
      }
    });
    const lasting = new SharedArrayBuffer(saes.length * 16);
    this.description = {
      memories,
      scratchAt: banks,
      saes,
      training: options.training,
      lasting,
      dense: !options.everything,
    };
  }

  get saes(): readonly SaePlan[] {
    return this.description.saes;
  }

  get lasting(): Float64Array {
    return new Float64Array(this.description.lasting);
  }

  /** Makes room for a batch of this many rows, here and in the workers. */
  async lay(rows: number, team: Team, job: number): Promise<void> {
    if (rows === this.#rows) return;
    const { memories, scratchAt } = this.description;
    const needs = memories.map((_, bank) => this.#needs(rows, bank));
    const scratch = needs.map((need, bank) => planScratch(scratchAt[bank]!, need));
    checkMachine(
      scratch.reduce((sum, plan) => sum + plan.end, 0),
      `a batch of ${rows} rows`,
    );
    for (const [bank, memory] of memories.entries()) {
      const missing = pagesFor(scratch[bank]!.end, `a batch of ${rows} rows`) - memory.buffer.byteLength / 65536;
      try {
        if (missing > 0) memory.grow(missing);
      } catch (error) {
        throw new EngineError(
          `a batch of ${rows} rows needs ${gib(missing * 65536)} GiB more memory: ${(error as Error).message}`,
        );
      }
    }
    for (const [bank, plan] of scratch.entries()) {
      const n = Math.max(needs[bank]!.padded, needs[bank]!.d);
      this.floats(bank, plan.ones, n).fill(1);
      this.floats(bank, plan.zeros, n).fill(0);
      for (const worker of plan.workers) this.floats(bank, worker.guess, 32).fill(0);
    }
    await team.call({ kind: "lay", job, rows, needs });
    this.#scratch = scratch;
    this.#rows = rows;
  }

  scratch(bank: number): Scratch {
    return this.#scratch[bank]!;
  }

  /** Buffers of a dense step; the same ones as long as the shapes are the same. */
  denseBuffers(number: number, rows: number): DenseBuffers {
    const sae = this.saes[number]!;
    const width = sae.slabs.reduce((sum, slab) => sum + slab.padded, 0);
    const { architecture } = sae.config;
    const bytes = {
      values: rows * width,
      second: architecture === "jumprelu" || architecture === "gated" ? rows * width : 0,
      decoder: width * sae.d,
      input: rows * sae.d,
      gradient: rows * sae.d,
      gradient2: architecture === "gated" ? rows * sae.d : 0,
      rowFactor: rows,
    };
    const same = Object.entries(bytes).every(
      ([name, n]) => this.#dense?.[name as keyof DenseBuffers].byteLength === n * 4,
    );
    if (this.#dense && same) return this.#dense;
    checkMachine(
      Object.values(bytes).reduce((sum, n) => sum + n * 4, 0) + this.#scratch.reduce((sum, plan) => sum + plan.end, 0),
      `a batch of ${rows} rows with most latents active`,
    );
    const make = ([name, n]: [string, number]) => [name, new SharedArrayBuffer(n * 4)];
    this.#dense = Object.fromEntries(Object.entries(bytes).map(make)) as DenseBuffers;
    return this.#dense;
  }

  /** The batch, with each row's normalisation, into every memory. */
  putBatch(x: Float32Array, rows: number, d_in: number, how: NormalizeActivations): void {
    const norms = normalisationOfRows(x, rows, d_in, how);
    for (let bank = 0; bank < this.description.memories.length; bank++) {
      const plan = this.#scratch[bank]!;
      const d = Math.ceil(d_in / TILE) * TILE;
      const to = this.floats(bank, plan.x, rows * d);
      if (d === d_in) to.set(x.subarray(0, rows * d));
      else for (let t = 0; t < rows; t++) to.set(x.subarray(t * d_in, (t + 1) * d_in), t * d);
      for (const name of ["inScale", "inShift", "outScale", "outShift"] as const) {
        this.floats(bank, plan[name], rows).set(norms[name]);
      }
    }
  }

  floats(bank: number, at: number, n: number): Float32Array {
    return new Float32Array(this.description.memories[bank]!.buffer, at, n);
  }

  words(bank: number, at: number, n: number): Uint32Array {
    return new Uint32Array(this.description.memories[bank]!.buffer, at, n);
  }

  /** Writes weights or moments ("", "m.", "v.") of an SAE. */
  putWeights(number: number, set: "" | "m." | "v.", weights: SaeWeights): void {
    const sae = this.saes[number]!;
    const { d_in } = sae.config;
    for (const slab of sae.slabs) {
      for (const [name, values] of entries(weights)) {
        const at = slab.at[`${set}${name}`];
        if (at === undefined) continue;
        if (name === "b_dec") this.floats(slab.bank, at, d_in).set(values);
        else if (name === "W_enc" || name === "W_dec") this.#putRows(sae, slab, at, values, name === "W_dec");
        else this.floats(slab.bank, at, slab.n).set(values.subarray(slab.lo, slab.lo + slab.n));
      }
      // What pads a slab must never be selected.
      if (set === "") {
        const bias = (slab.at.b_enc ?? slab.at.b_gate)!;
        this.floats(slab.bank, bias, slab.padded).fill(Number.NEGATIVE_INFINITY, slab.n);
      }
    }
  }

  /** Copies of an SAE's weights or moments. */
  getWeights(number: number, set: "" | "m." | "v.", names: readonly ParameterName[]): SaeWeights {
    const sae = this.saes[number]!;
    const { d_in, d_sae } = sae.config;
    const result: Partial<Record<ParameterName, Float32Array>> = {};
    for (const name of names) {
      const matrix = name === "W_enc" || name === "W_dec";
      const values = new Float32Array(matrix ? d_sae * d_in : name === "b_dec" ? d_in : d_sae);
      for (const slab of sae.slabs) {
        const at = slab.at[`${set}${name}`]!;
        if (name === "b_dec") values.set(this.floats(slab.bank, at, d_in));
        else if (matrix) this.#getRows(sae, slab, at, values, name === "W_dec");
        else values.set(this.floats(slab.bank, at, slab.n), slab.lo);
      }
      result[name] = values;
    }
    return result as SaeWeights;
  }

  #putRows(sae: SaePlan, slab: Slab, at: number, values: Float32Array, tiled: boolean): void {
    const { d } = sae;
    const { d_in } = sae.config;
    const to = this.floats(slab.bank, at, slab.padded * d);
    for (let i = 0; i < slab.n; i++) {
      const start = (slab.lo + i) * d_in;
      if (!tiled) to.set(values.subarray(start, start + d_in), i * d);
      else {
        for (let j = 0; j < d_in; j += TILE) {
          to.set(values.subarray(start + j, start + Math.min(j + TILE, d_in)), j * slab.padded + i * TILE);
        }
      }
    }
  }

  #getRows(sae: SaePlan, slab: Slab, at: number, values: Float32Array, tiled: boolean): void {
    const { d } = sae;
    const { d_in } = sae.config;
    const from = this.floats(slab.bank, at, slab.padded * d);
    for (let i = 0; i < slab.n; i++) {
      const start = (slab.lo + i) * d_in;
      if (!tiled) values.set(from.subarray(i * d, i * d + d_in), start);
      else {
        for (let j = 0; j < d_in; j += TILE) {
          const first = j * slab.padded + i * TILE;
          values.set(from.subarray(first, first + Math.min(TILE, d_in - j)), start + j);
        }
      }
    }
  }

  #needs(rows: number, bank: number): ScratchNeeds {
    const { training, threads, everything } = this.#options;
    const needs = {
      rows,
      threads,
      d: 0,
      padded: 0,
      pool: 0,
      pool2: 0,
      training: training !== undefined,
      k: 0,
      inner: 0,
    };
    for (const sae of this.saes) {
      const slab = sae.slabs.find((one) => one.bank === bank);
      if (!slab) continue;
      const { architecture, d_in, k = 0 } = sae.config;
      const all = rows * slab.padded;
      let pool = everything ? all : Math.min(Math.ceil(DENSE_SHARE * all), LONGEST_LIST);
      if (architecture === "topk") pool = rows * Math.min(k, slab.padded);
      if (architecture === "batchtopk") pool = Math.min(all, Math.ceil(4 * rows * k) + 4096);
      const aux = training && keepsLargest(sae.config) && training.aux_loss_coefficient !== 0;
      const pool2 = architecture === "gated" ? pool : aux ? rows * Math.min(Math.floor(d_in / 2), slab.padded) : 0;
      needs.d = Math.max(needs.d, sae.d);
      needs.padded = Math.max(needs.padded, slab.padded);
      needs.pool = Math.max(needs.pool, pool);
      needs.pool2 = Math.max(needs.pool2, pool2);
      if (training) needs.inner = innerWidths(sae.config).length;
      needs.k = Math.max(needs.k, architecture === "topk" ? k : 0);
    }
    return needs;
  }
}

function checkMachine(bytes: number, what: string): void {
  const limit = constrainedMemory() > 0 ? Math.min(constrainedMemory(), totalmem()) : totalmem();
  if (bytes > limit) {
    throw new EngineError(
      `${what} need ${gib(bytes)} GiB, and this machine has ${gib(limit)} GiB (${gib(freemem())} free): use a smaller d_sae, fewer members or a smaller batch`,
    );
  }
}

interface Normalisation {
  readonly inScale: Float32Array;
  readonly inShift: Float32Array;
  readonly outScale: Float32Array;
  readonly outShift: Float32Array;
}

/** SAELens' run-time normalisation of each row: x̃ = (x − inShift)·inScale, x̂ = decoded·outScale + outShift. */
function normalisationOfRows(x: Float32Array, rows: number, d: number, how: NormalizeActivations): Normalisation {
  const make = (value: number): Float32Array => new Float32Array(rows).fill(value);
  const result = { inScale: make(1), inShift: make(0), outScale: make(1), outShift: make(0) };
  if (!normalisesTokens(how)) return result;
  for (let t = 0; t < rows; t++) {
    const { factor, scale, shift } = normalisation(x.subarray(t * d, (t + 1) * d), how);
    result.inShift[t] = shift;
    result.inScale[t] = factor;
    result.outScale[t] = scale;
    result.outShift[t] = shift;
  }
  return result;
}

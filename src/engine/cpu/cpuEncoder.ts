// The CPU engine's Encoder: members one after the other over chunks of rows, boosting along its residuals.
import { Turns } from "../../formats/turns.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "../../sae/ensemble.ts";
import { type Encoded, type Encoder, EngineError, type SparseCodes } from "../engine.ts";
import { type CodePart, joinCodes } from "../joinCodes.ts";
import { BLOCK_ROWS } from "./layout.ts";
import type { Memories } from "./memories.ts";
import type { Team } from "./team.ts";

/** Rows done together, at most. */
const MOST_ROWS = 2048;
/** Pairs that a list may hold where nothing bounds the number of active latents. */
const MOST_PAIRS = 16e6;

export class CpuEncoder implements Encoder {
  readonly #ensemble: Ensemble;
  readonly #team: Team;
  readonly #memories: Memories;
  readonly #job: number;
  readonly #turns = new Turns();

  private constructor(ensemble: Ensemble, team: Team, memories: Memories, job: number) {
    this.#ensemble = ensemble;
    this.#team = team;
    this.#memories = memories;
    this.#job = job;
  }

  static async open(ensemble: Ensemble, team: Team, memories: Memories, job: number): Promise<CpuEncoder> {
    for (const [m, member] of ensemble.members.entries()) memories.putWeights(m, "", member.weights);
    await team.call({ kind: "open", job, description: memories.description });
    return new CpuEncoder(ensemble, team, memories, job);
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    const reconstruction = new Float32Array(x.length);
    return this.#turns.take(async () => ({ codes: await this.#codes(x, rows, reconstruction), reconstruction }));
  }

  codes(x: Float32Array, rows: number): Promise<SparseCodes> {
    return this.#turns.take(() => this.#codes(x, rows));
  }

  async close(): Promise<void> {
    await this.#turns.over();
    await this.#team.call({ kind: "close", job: this.#job });
  }

  /** The codes of x [rows, d]; x̂ is added to `reconstruction` where there is one. */
  async #codes(x: Float32Array, rows: number, reconstruction?: Float32Array): Promise<SparseCodes> {
    const d = this.#ensemble.members[0]!.config.d_in;
    if (x.length !== rows * d) throw new EngineError(`${x.length} values are not ${rows} rows of d_in ${d}`);
    const chunkRows = this.#chunkRows();
    const chunks: CodePart[][] = [];
    for (let first = 0; first < rows; first += chunkRows) {
      const n = Math.min(chunkRows, rows - first);
      const range: [number, number] = [first * d, (first + n) * d];
      chunks.push(await this.#encodeChunk(x.subarray(...range), n, d, reconstruction?.subarray(...range)));
    }
    return { ...joinCodes(chunks, memberOffsets(this.#ensemble), rows), rows, width: ensembleWidth(this.#ensemble) };
  }

  #chunkRows(): number {
    let rows = MOST_ROWS;
    for (const { config } of this.#ensemble.members) {
      if (config.architecture !== "topk") rows = Math.min(rows, Math.floor(MOST_PAIRS / config.d_sae));
    }
    return Math.max(BLOCK_ROWS, Math.floor(rows / BLOCK_ROWS) * BLOCK_ROWS);
  }

  async #encodeChunk(x: Float32Array, rows: number, d: number, out: Float32Array | undefined): Promise<CodePart[]> {
    const { members, method, weights } = this.#ensemble;
    await this.#memories.lay(rows, this.#team, this.#job);
    const parts: CodePart[] = [];
    const rest = method === "boosting" ? x.slice() : x;
    for (const [m, member] of members.entries()) {
      this.#memories.putBatch(rest, rows, d, member.config.normalize_activations);
      const leavesRest = method === "boosting" && m + 1 < members.length;
      const decodes = out !== undefined || leavesRest;
      const outcomes = await this.#team.call({ kind: "encode", job: this.#job, member: m, decodes });
      if (!outcomes.every((outcome) => (outcome as { done: boolean }).done))
        throw new EngineError("the lists of codes were too short");
      parts.push(this.#readCodes(m, rows));
      if (decodes) this.#addReconstruction(m, rows, d, weights[m]!, out, leavesRest ? rest : undefined);
    }
    return parts;
  }

  /** x̂ of a member: α_j of it into the whole; for boosting, all of it out of the next member's input. */
  #addReconstruction(
    m: number,
    rows: number,
    d_in: number,
    weight: number,
    out: Float32Array | undefined,
    rest: Float32Array | undefined,
  ): void {
    const sae = this.#memories.saes[m]!;
    const { bank } = sae.slabs[0]!;
    const decoded = this.#memories.floats(bank, this.#memories.scratch(bank).out, rows * sae.d);
    for (let t = 0; t < rows; t++) {
      for (let j = 0; j < d_in; j++) {
        const value = decoded[t * sae.d + j]!;
        if (out) out[t * d_in + j]! += weight * value;
        if (rest) rest[t * d_in + j]! -= value;
      }
    }
  }

  #readCodes(m: number, rows: number): CodePart {
    const weight = this.#ensemble.weights[m]!;
    const lists = this.#memories.saes[m]!.slabs.map((slab) => {
      const { a } = this.#memories.scratch(slab.bank);
      return {
        lo: slab.lo,
        starts: this.#memories.words(slab.bank, a.starts, rows),
        counts: this.#memories.words(slab.bank, a.counts, rows),
        idx: this.#memories.words(slab.bank, a.idx, a.capacity),
        val: this.#memories.floats(slab.bank, a.val, a.capacity),
      };
    });
    const counts = new Uint32Array(rows);
    for (const list of lists) for (let t = 0; t < rows; t++) counts[t]! += list.counts[t]!;
    const total = counts.reduce((sum, count) => sum + count, 0);
    const indices = new Uint32Array(total);
    const values = new Float32Array(total);
    let at = 0;
    for (let t = 0; t < rows; t++) {
      for (const { lo, starts, counts: of, idx, val } of lists) {
        for (let q = starts[t]!; q < starts[t]! + of[t]!; q++) {
          indices[at] = lo + idx[q]!;
          values[at++] = weight * val[q]!;
        }
      }
    }
    return { counts, indices, values };
  }
}

// An ensemble on the device, ready to encode: members one after the other over chunks of rows, boosting along its residuals; codes read back as compressed rows.
import { Turns } from "../../formats/turns.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "../../sae/ensemble.ts";
import { type Encoded, EngineError, type SparseCodes } from "../engine.ts";
import { type CodePart, joinCodes } from "../joinCodes.ts";
import { allocateBatch } from "./batchMemory.ts";
import type { Gpu } from "./gpu.ts";
import { type Constants, constantsFor, vec4s } from "./kernels.ts";
import { type Layout, type Layouts, withPlainProduct } from "./layouts.ts";
import { type BatchBuffers, configsOf, MemberPass, type Work } from "./memberPass.ts";
import { provesItself } from "./productCheck.ts";
import { padded, SaeBuffers } from "./saeBuffers.ts";

/** Rows done together, at most and at least: buffers are for a power of two of them, and a chunk may have fewer. */
const MOST_ROWS = 2048;
const LEAST_ROWS = 64;
/** A product that has proven itself on so many rows needn't again when buffers grow. */
const PROVING_ROWS = 128;

interface Member {
  readonly sae: SaeBuffers;
  /** α */
  readonly weight: number;
  readonly constants: Constants;
  layout: Layout;
  isProven: boolean;
}

/** What is given to the device before anything of it is read: members [first, first + count) of a micro-batch. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly part: number;
  /** Rows of the micro-batch that are in use. */
  readonly rows: number;
  /** Whether x̂ is complete with it, to be read back. */
  readonly endsSum: boolean;
}

export class DeviceEncoder {
  readonly #gpu: Gpu;
  readonly #d: number;
  readonly #offsets: number[];
  readonly #width: number;
  readonly #members: readonly Member[];
  readonly #largestBuffer: number;
  readonly #layouts: Layouts;
  #passes: MemberPass[] = [];
  #batch: BatchBuffers | undefined;
  /** Where each row's codes begin, of a piece's members, and the reconstruction; and the codes. */
  #heads: GPUBuffer | undefined;
  #lists: GPUBuffer | undefined;
  readonly #turns = new Turns();

  private constructor(gpu: Gpu, ensemble: Ensemble, members: Member[], largestBuffer: number, layouts: Layouts) {
    this.#gpu = gpu;
    this.#d = ensemble.members[0]!.config.d_in;
    this.#offsets = memberOffsets(ensemble);
    this.#width = ensembleWidth(ensemble);
    this.#members = members;
    this.#largestBuffer = largestBuffer;
    this.#layouts = layouts;
  }

  static async open(gpu: Gpu, ensemble: Ensemble, largestBuffer: number, layouts: Layouts): Promise<DeviceEncoder> {
    const members: Member[] = [];
    try {
      for (const [m, sae] of ensemble.members.entries()) {
        members.push({
          sae: await SaeBuffers.ofSae(gpu, sae, largestBuffer),
          weight: ensemble.weights[m]!,
          constants: constantsFor(sae.config, { chain: ensemble.method === "boosting" }),
          layout: await layouts.for(sae.config, MOST_ROWS, false),
          isProven: false,
        });
      }
    } catch (error) {
      for (const { sae } of members) sae.destroy();
      throw error;
    }
    return new DeviceEncoder(gpu, ensemble, members, largestBuffer, layouts);
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    return this.#turns.take(() => this.#encode(x, rows, true));
  }

  /** The codes alone: nothing is decoded but what the next member of a chain needs. */
  async codes(x: Float32Array, rows: number): Promise<SparseCodes> {
    return (await this.#turns.take(() => this.#encode(x, rows, false))).codes;
  }

  async close(): Promise<void> {
    await this.#turns.over();
    this.#release();
    this.#lists?.destroy();
    for (const { sae } of this.#members) sae.destroy();
  }

  /** A piece is computed while the codes of the one before are read. */
  async #encode(x: Float32Array, rows: number, reconstructs: boolean): Promise<Encoded> {
    const d = this.#d;
    if (x.length !== rows * d) throw new EngineError(`${x.length} values are not ${rows} rows of d_in ${d}`);
    const reconstruction = new Float32Array(reconstructs ? rows * d : 0);
    const parts: CodePart[][] = [];
    let before: Promise<void> = Promise.resolve();
    for (let first = 0; first < rows; first += MOST_ROWS) {
      const count = Math.min(MOST_ROWS, rows - first);
      const chunk = padded(x.subarray(first * d, (first + count) * d), d);
      if (!this.#batch || this.#batch.rows < count) await this.#lay(chunk, count);
      this.#begin(chunk, count);
      const ofChunk: CodePart[][] = [];
      for (const piece of this.#pieces(count, reconstructs)) {
        this.#submit(piece, count, reconstructs);
        const heads = await this.#gpu.read(this.#heads!, this.#headBytes(piece, count));
        await before;
        ofChunk[piece.part] ??= [];
        before = this.#readCodes(piece, heads, ofChunk[piece.part]!);
        // A failure is thrown where it is awaited, also where the next piece fails first.
        before.catch(() => {});
        if (piece.endsSum) this.#unpad(new Float32Array(heads, startBytes(piece)), reconstruction, first, count);
      }
      parts.push(...ofChunk);
    }
    await before;
    return {
      codes: { ...joinCodes(parts, this.#offsets, rows), rows, width: this.#width },
      reconstruction,
    };
  }

  /** Buffers for as many rows and more. `chunk`: the first that they are for, of `rows` rows, on which products prove themselves. */
  async #lay(chunk: Float32Array, rows: number): Promise<void> {
    this.#release();
    const room = Math.max(LEAST_ROWS, 2 ** Math.ceil(Math.log2(rows)));
    const batch = await allocateBatch(this.#gpu, {
      saes: configsOf(this.#members.map(({ sae }) => sae)),
      rows: room,
      members: this.#members.length,
      keepsGradients: false,
      largestBuffer: this.#largestBuffer,
    });
    this.#batch = batch;
    const { together, microBatches, sizes } = batch.plan;
    this.#heads = this.#gpu.staging(together * (microBatches[0]!.count + 1) * 4 + sizes["activations"]! / 3);
    for (const [m, member] of this.#members.entries()) {
      const place = m % together;
      const { [`starts${place}`]: starts, [`codes${place}`]: codes } = batch.buffers;
      const own = { ...batch, buffers: { ...batch.buffers, starts: starts!, codes: codes! } };
      const make = () => new MemberPass(this.#gpu, member.sae, own, member.constants, member.layout);
      let pass = make();
      if (!member.isProven && !(await this.#proves(member, pass, chunk, rows))) {
        member.layout = withPlainProduct(member.layout);
        pass.destroy();
        pass = make();
      }
      member.isProven ||= rows >= PROVING_ROWS;
      this.#passes.push(pass);
    }
  }

  #proves({ layout }: Member, pass: MemberPass, chunk: Float32Array, rows: number): Promise<boolean> {
    return provesItself(this.#gpu, this.#layouts, layout, pass, this.#batch!.buffers, chunk, rows);
  }

  /** Members whose codes have buffers of their own together, micro-batch by micro-batch. */
  *#pieces(rows: number, reconstructs: boolean): Generator<Piece> {
    const { together, microBatches } = this.#batch!.plan;
    const parts = [...microBatches.entries()].filter(([, { first }]) => first < rows);
    for (let first = 0; first < this.#members.length; first += together) {
      const count = Math.min(together, this.#members.length - first);
      for (const [part, micro] of parts) {
        const isLast = first + count === this.#members.length && part === parts.length - 1;
        const own = Math.min(micro.count, rows - micro.first);
        yield { first, count, part, rows: own, endsSum: reconstructs && isLast };
      }
    }
  }

  /** `x` padded. */
  #begin(x: Float32Array, rows: number): void {
    const activations = this.#batch!.buffers["activations"]!;
    this.#gpu.write(activations, x);
    this.#gpu.submit([(encoder) => encoder.clearBuffer(activations, this.#sum, rows * vec4s(this.#d) * 16)]);
  }

  /** Where the reconstruction is added up, in the activations' buffer. */
  get #sum(): number {
    return 2 * this.#batch!.rows * vec4s(this.#d) * 16;
  }

  #submit({ first, count, part, rows, endsSum }: Piece, ofChunk: number, reconstructs: boolean): void {
    const { buffers } = this.#batch!;
    const work: Work[] = [];
    for (let place = 0; place < count; place++) {
      const pass = this.#passes[first + place]!;
      pass.prepare(undefined, this.#members[first + place]!.weight, ofChunk);
      if (part === 0) work.push(...pass.begin());
      work.push(...pass.encode(part, reconstructs), ...pass.codes(part));
    }
    work.push((encoder) => {
      const bytes = (rows + 1) * 4;
      for (let place = 0; place < count; place++)
        encoder.copyBufferToBuffer(buffers[`starts${place}`]!, 0, this.#heads!, place * bytes, bytes);
      if (!endsSum) return;
      const sum = ofChunk * vec4s(this.#d) * 16;
      encoder.copyBufferToBuffer(buffers["activations"]!, this.#sum, this.#heads!, count * bytes, sum);
    });
    this.#gpu.submit(work);
  }

  #headBytes(piece: Piece, ofChunk: number): number {
    return startBytes(piece) + (piece.endsSum ? ofChunk * vec4s(this.#d) * 16 : 0);
  }

  /** Copied before anything else is given to the device; in `parts` once they are here. */
  async #readCodes({ first, count, rows }: Piece, heads: ArrayBuffer, parts: CodePart[]): Promise<void> {
    const { buffers } = this.#batch!;
    const starts = Array.from(
      { length: count },
      (_, place) => new Uint32Array(heads, place * (rows + 1) * 4, rows + 1),
    );
    const all = starts.reduce((sum, own) => sum + own[rows]!, 0);
    let bytes = new ArrayBuffer(0);
    if (all > 0) {
      if (!this.#lists || this.#lists.size < all * 8) {
        this.#lists?.destroy();
        this.#lists = this.#gpu.staging(all * 8);
      }
      const lists = this.#lists;
      this.#gpu.submit([
        (encoder) => {
          let at = 0;
          for (const [place, own] of starts.entries()) {
            if (own[rows]! > 0) encoder.copyBufferToBuffer(buffers[`codes${place}`]!, 0, lists, at * 8, own[rows]! * 8);
            at += own[rows]!;
          }
        },
      ]);
      bytes = await this.#gpu.read(lists, all * 8);
    }
    const [words, floats] = [new Uint32Array(bytes), new Float32Array(bytes)];
    let at = 0;
    for (const [place, own] of starts.entries()) {
      const indices = new Uint32Array(own[rows]!);
      const values = new Float32Array(own[rows]!);
      for (let n = 0; n < indices.length; n++, at++) {
        indices[n] = words[2 * at]!;
        values[n] = floats[2 * at + 1]!;
      }
      parts[first + place] = { counts: own.subarray(1).map((end, t) => end - own[t]!), indices, values };
    }
  }

  #unpad(found: Float32Array, into: Float32Array, first: number, rows: number): void {
    const d = this.#d;
    const width = vec4s(d) * 4;
    for (let t = 0; t < rows; t++) into.set(found.subarray(t * width, t * width + d), (first + t) * d);
  }

  #release(): void {
    for (const pass of this.#passes.splice(0)) pass.destroy();
    for (const buffer of Object.values(this.#batch?.buffers ?? {})) buffer.destroy();
    this.#heads?.destroy();
    this.#heads = undefined;
    this.#batch = undefined;
  }
}

/** Of a piece's heads, those that say where codes begin. */
function startBytes({ count, rows }: Piece): number {
  return count * (rows + 1) * 4;
}

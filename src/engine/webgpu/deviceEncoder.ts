// An ensemble on the device, ready to encode: members one after the other over chunks of rows, boosting along its residuals; codes read back as compressed rows.
import { type Ensemble, ensembleWidth, memberOffsets } from "../../sae/ensemble.ts";
import { type Encoded, EngineError } from "../engine.ts";
import { type CodePart, joinCodes } from "../joinCodes.ts";
import { allocateBatch } from "./batchMemory.ts";
import type { Gpu } from "./gpu.ts";
import { constantsFor, vec4s } from "./kernels.ts";
import { type Layouts, withPlainProduct } from "./layouts.ts";
import { type BatchBuffers, configsOf, MemberPass } from "./memberPass.ts";
import { provesItself } from "./productCheck.ts";
import { padded, SaeBuffers } from "./saeBuffers.ts";

/** Rows done together, at most. */
const MOST_ROWS = 2048;

export class DeviceEncoder {
  readonly #gpu: Gpu;
  readonly #ensemble: Omit<Ensemble, "members"> & { readonly configs: Ensemble["members"][number]["config"][] };
  readonly #offsets: number[];
  readonly #width: number;
  readonly #saes: SaeBuffers[];
  readonly #largestBuffer: number;
  readonly #layouts: Layouts;
  #passes: MemberPass[] = [];
  #batch: BatchBuffers | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(gpu: Gpu, ensemble: Ensemble, saes: SaeBuffers[], largestBuffer: number, layouts: Layouts) {
    this.#gpu = gpu;
    const { members, ...rest } = ensemble;
    this.#ensemble = { ...rest, configs: members.map(({ config }) => config) };
    this.#offsets = memberOffsets(ensemble);
    this.#width = ensembleWidth(ensemble);
    this.#saes = saes;
    this.#largestBuffer = largestBuffer;
    this.#layouts = layouts;
  }

  static async open(gpu: Gpu, ensemble: Ensemble, largestBuffer: number, layouts: Layouts): Promise<DeviceEncoder> {
    const saes: SaeBuffers[] = [];
    for (const member of ensemble.members) saes.push(await SaeBuffers.ofSae(gpu, member, largestBuffer));
    return new DeviceEncoder(gpu, ensemble, saes, largestBuffer, layouts);
  }

  encode(x: Float32Array, rows: number): Promise<Encoded> {
    const result = this.#last.then(() => this.#encode(x, rows));
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#release();
    for (const sae of this.#saes) sae.destroy();
  }

  async #encode(x: Float32Array, rows: number): Promise<Encoded> {
    const d = this.#ensemble.configs[0]!.d_in;
    if (x.length !== rows * d) throw new EngineError(`${x.length} values are not ${rows} rows of d_in ${d}`);
    const reconstruction = new Float32Array(rows * d);
    const chunks: CodePart[][] = [];
    for (let first = 0; first < rows; first += MOST_ROWS) {
      const count = Math.min(MOST_ROWS, rows - first);
      const chunk = padded(x.subarray(first * d, (first + count) * d), d);
      if (this.#batch?.rows !== count) await this.#lay(count, chunk);
      chunks.push(...(await this.#encodeChunk(chunk, count)));
      reconstruction.set(await this.#reconstruction(count, d), first * d);
    }
    return {
      codes: { ...joinCodes(chunks, this.#offsets, rows), rows, width: this.#width },
      reconstruction,
    };
  }

  /** `first`: the first of the chunks of this many rows, on which the product proves itself. */
  async #lay(rows: number, first: Float32Array, isPlain = false): Promise<void> {
    this.#release();
    const { configs, method } = this.#ensemble;
    const largestBuffer = this.#largestBuffer;
    const batch = await allocateBatch(this.#gpu, {
      saes: configsOf(this.#saes),
      rows,
      members: 1,
      keepsGradients: false,
      largestBuffer,
    });
    this.#batch = batch;
    let isRight = true;
    for (const [m, sae] of this.#saes.entries()) {
      const constants = constantsFor(configs[m]!, { chain: method === "boosting" });
      const best = await this.#layouts.for(configs[m]!, rows, false);
      const layout = isPlain ? withPlainProduct(best) : best;
      const pass = new MemberPass(this.#gpu, sae, batch, constants, layout);
      this.#passes.push(pass);
      isRight &&= await provesItself(this.#gpu, this.#layouts, layout, pass, batch.buffers, first);
    }
    if (!isRight) await this.#lay(rows, first, true);
  }

  /** Codes of each micro-batch by member; `x` padded. */
  async #encodeChunk(x: Float32Array, rows: number): Promise<CodePart[][]> {
    const { buffers, plan } = this.#batch!;
    const V = vec4s(this.#ensemble.configs[0]!.d_in);
    const activations = buffers["activations"]!;
    this.#gpu.write(activations, x);
    this.#gpu.submit([(encoder) => encoder.clearBuffer(activations, 2 * rows * V * 16, rows * V * 16)]);
    const parts: CodePart[][] = plan.microBatches.map(() => []);
    for (const [m, pass] of this.#passes.entries()) {
      pass.prepare(undefined, this.#ensemble.weights[m]!);
      this.#gpu.submit(pass.begin());
      for (const [part, { count }] of pass.microBatches.entries()) {
        this.#gpu.submit([...pass.encode(part), ...pass.codes(part)]);
        parts[part]![m] = await this.#readCodes(count);
      }
    }
    return parts;
  }

  async #readCodes(count: number): Promise<CodePart> {
    const { buffers } = this.#batch!;
    const starts = new Uint32Array(await this.#gpu.readBuffer(buffers["starts"]!, 0, (count + 1) * 4));
    const total = starts[count]!;
    const counts = new Uint32Array(count);
    for (let t = 0; t < count; t++) counts[t] = starts[t + 1]! - starts[t]!;
    const indices = new Uint32Array(total);
    const values = new Float32Array(total);
    if (total > 0) {
      const bytes = await this.#gpu.readBuffer(buffers["codes"]!, 0, total * 8);
      const words = new Uint32Array(bytes);
      const floats = new Float32Array(bytes);
      for (let at = 0; at < total; at++) {
        indices[at] = words[2 * at]!;
        values[at] = floats[2 * at + 1]!;
      }
    }
    return { counts, indices, values };
  }

  async #reconstruction(rows: number, d: number): Promise<Float32Array> {
    const width = vec4s(d) * 4;
    const bytes = await this.#gpu.readBuffer(
      this.#batch!.buffers["activations"]!,
      2 * rows * width * 4,
      rows * width * 4,
    );
    const all = new Float32Array(bytes);
    if (width === d) return all;
    const result = new Float32Array(rows * d);
    for (let t = 0; t < rows; t++) result.set(all.subarray(t * width, t * width + d), t * d);
    return result;
  }

  #release(): void {
    for (const pass of this.#passes.splice(0)) pass.destroy();
    for (const buffer of Object.values(this.#batch?.buffers ?? {})) buffer.destroy();
    this.#batch = undefined;
  }
}

// The kernels: which test holds each to its reference, selections and lists of pairs against engine/reference by themselves, and what their texts have to keep to where no GPU at hand would show the fault.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { configOf, gpuLayout } from "../../../bench/gpuCounts.ts";
import { workgroupMemory } from "../../../bench/workgroupMemory.ts";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import type { TrainerConfig } from "../../../src/engine/engine.ts";
import { keepLargest } from "../../../src/engine/reference/selection.ts";
import { type Constants, constantsFor, GROUP, type KernelName } from "../../../src/engine/webgpu/kernels.ts";
import { layoutConstants, WIDTH } from "../../../src/engine/webgpu/layouts.ts";
import {
  groupsIn,
  HEADER_BYTES,
  LATENT_BYTES,
  type MicroBatch,
  mostListed,
  ROW_BYTES,
} from "../../../src/engine/webgpu/memoryPlan.ts";
import type { Numbers } from "../../../src/engine/webgpu/numbers.ts";
import {
  constantsOf,
  groupsOf,
  kernelOf,
  nameOf,
  PLAIN,
  productsFor,
  SOFTWARE_PLAIN,
  workgroupBytes,
} from "../../../src/engine/webgpu/products.ts";
import type { AdapterDescription } from "../../../src/engine/webgpu/protocol.ts";
import { ChildCalls } from "../../../src/formats/childCalls.ts";
import { largest } from "../../../src/sae/select.ts";
import type { KernelRuns } from "./kernelProcess.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "src", "engine", "webgpu", "kernels");

/** By kernel: a test file, and words in it, whose cases fail where the kernel is wrong. They compare with engine/reference/, with sae/encode.ts or with golden tensors. */
const tested: Readonly<Record<string, readonly [file: string, words: string]>> = {
  "shared.wgsl": ["randomCases.ts", "two members, d 24, F 72"],
  "activity.wgsl": ["webgpuKernels.test.ts", "pairs.wgsl lists what reference/selection.ts keeps"],
  "listRows.wgsl": ["webgpuKernels.test.ts", "keeps what reference/selection.ts keeps"],
  "batchCut.wgsl": ["webgpuKernels.test.ts", "keeps what reference/selection.ts keeps"],
  "pairs.wgsl": ["webgpuKernels.test.ts", "pairs.wgsl lists what reference/selection.ts keeps"],
  "begin.wgsl": ["againstReference.ts", "a stored threshold below zero acts as zero"],
  "centre.wgsl": ["encoding.ts", "encoding equals the definition"],
  "latentKey.wgsl": ["webgpuKernels.test.ts", "keeps what reference/selection.ts keeps"],
  "productTile.wgsl": ["webgpuKernels.test.ts", "gemm.wgsl says how far groups reach"],
  "gemm.wgsl": ["webgpuProducts.test.ts", "losses are the reference's"],
  "matrixGemm.wgsl": ["webgpuProducts.test.ts", "losses are the reference's"],
  "decode.wgsl": ["encoding.ts", "boosting encodes along the residual chain"],
  "rowCodes.wgsl": ["encoding.ts", "bagging carries α_j in its codes"],
  "latentGradient.wgsl": ["againstReference.ts", "20 steps at odd shapes equal the reference engine's"],
  "columns.wgsl": ["goldenRuns.ts", "AuxK over the residual's variance"],
  "finish.wgsl": ["goldenSteps.ts", "gradient norm of step"],
  "adam.wgsl": ["goldenSteps.ts", "adam_default"],
  "adamStep.wgsl": ["webgpu.test.ts", "Adam's 1 − β is float64's"],
  "reduceShared.wgsl": ["webgpuProducts.test.ts", "sums with and without subgroups are the same"],
  "reduceSubgroups.wgsl": ["webgpuProducts.test.ts", "sums with and without subgroups are the same"],
  "subgroupCheck.wgsl": ["webgpuKernels.test.ts", "subgroupCheck.wgsl says"],
};

test("every kernel has a test that holds it to its reference", () => {
  assert.deepEqual(Object.keys(tested).sort(), readdirSync(folder).sort());
  for (const [kernel, [file, words]] of Object.entries(tested)) {
    // Without this table.
    const text = readFileSync(join(import.meta.dirname, file), "utf8").replace(/^const tested[\s\S]*?^};$/m, "");
    assert.ok(text.includes(words), `${kernel}: ${file}`);
  }
});

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();

interface Values {
  readonly F: number;
  readonly rows: number;
  readonly k: number;
  /** Pre-activation times norm. */
  readonly value: (row: number, latent: number, random: SeededRandom) => number;
}

/** Cuts within equal latents beyond those that one byte of an index numbers, and two. */
const valuesOf: Readonly<Record<string, Values>> = {
  "no two alike": { F: 1100, rows: 7, k: 21, value: (_row, _i, random) => random.normal() },
  "equal latents far apart": {
    F: 1100,
    rows: 7,
    k: 500.5,
    value: (_row, _i, random) => [1.25, 1, 1, 1, 0, -0, -1][random.integer(7)]!,
  },
  "all equal": { F: 1100, rows: 7, k: 700, value: () => 3 },
  "equal in one row, larger in the last latents": {
    F: 1100,
    rows: 7,
    k: 40,
    value: (row, i, random) => (i >= 1090 ? 2 + i / 1e4 : row === 3 ? 1 : random.normal() / 4),
  },
  "fewer positive ones than are kept": { F: 1100, rows: 7, k: 600, value: (_, i) => (i % 9 === 0 ? 0.5 : -i) },
  "none positive": { F: 300, rows: 7, k: 3, value: () => -0 },
  "more rows than a segment of the sort has": { F: 200, rows: 150, k: 9, value: (_row, _i, random) => random.normal() },
  "more latents than two bytes number": { F: 66_000, rows: 2, k: 65_900, value: () => 1 },
};

const ROW_WORDS = ROW_BYTES / 4;
const LATENT_WORDS = LATENT_BYTES / 4;
/** In shared.wgsl's Latent, and in the header. */
const DEAD = 2;
const START = 4;
const COUNT = 5;
const DEAD_COUNT = 0;
const LISTED = 9;
const MAIN_KIND = 0x80000000;
const SECOND_KIND = 0x40000000;
const LATENT_OF = 0x3fffffff;
/** Of the counting sort, in shared.wgsl. */
const SEGMENT_ROWS = 32;
/** So that AuxK takes 48. */
const D_IN = 96;

function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

interface Listed {
  readonly main: number[];
  readonly second: number[];
}

/** A batch in two micro-batches, whose latents have norms of powers of two, so that products are exact; and what the kernels need beside it. */
class Problem {
  readonly F: number;
  readonly rows: number;
  /** By reference/selection.ts. */
  readonly codes: Float64Array;
  readonly buffers: Record<string, Uint32Array | Float32Array>;
  readonly #isBatch: boolean;
  readonly #room: number;
  readonly #scaled: Float32Array;
  readonly #pre: Float32Array;
  readonly #constants: Constants;
  readonly #parts: readonly [MicroBatch, MicroBatch];
  readonly #numbers: Numbers;

  constructor(architecture: "topk" | "batchtopk", values: Values, width: number, config: Partial<TrainerConfig> = {}) {
    const { F, rows, value } = values;
    this.F = F;
    this.rows = rows;
    this.#isBatch = architecture === "batchtopk";
    const k = this.#isBatch ? values.k : Math.floor(values.k);
    const training = { ...configOf({ architecture, d_in: D_IN, d_sae: F, active: k, rows }), ...config };
    const layout = layoutConstants({ ...gpuLayout, width }, D_IN);
    this.#constants = { ...constantsFor(training.sae, { training }), ...layout };
    const random = new SeededRandom(5);
    this.#scaled = Float32Array.from({ length: rows * F }, (_, at) => value(Math.floor(at / F), at % F, random));
    this.codes = keepLargest(Float64Array.from(this.#scaled), rows, training.sae);
    const normOf = (i: number) => [1, 0.5, 2][i % 3]!;
    this.#pre = this.#scaled.map((own, at) => own / normOf(at % F));
    const half = Math.ceil(rows / 2);
    const room = mostListed(training.sae, training);
    this.#room = room;
    const part = (first: number, count: number) => ({ first, count, segments: Math.ceil(count / SEGMENT_ROWS) });
    this.#parts = [part(0, half), part(half, rows - half)];
    this.#numbers = {
      rows,
      F,
      V: D_IN / 4,
      d: D_IN,
      k: Math.floor(k),
      keep: Math.floor(k * rows),
      room,
      groups: groupsIn(F),
    };
    const latents = new Uint32Array(F * LATENT_WORDS);
    for (let i = 0; i < F; i++) latents[i * LATENT_WORDS] = bitsOf(normOf(i));
    const known = new Uint32Array(rows * ROW_WORDS);
    this.buffers = {
      pre0: this.#pre.slice(0, half * F),
      pre1: this.#pre.slice(half * F),
      latents,
      vectors: new Float32Array(F * 4),
      rows: known,
      bias: new Uint32Array(HEADER_BYTES / 4),
      bins: new Uint32Array(2048),
      reach0: this.#reach().slice(0, half * groupsIn(F)),
      reach1: this.#reach().slice(half * groupsIn(F)),
      lists0: new Uint32Array(half * room),
      lists1: new Uint32Array(half * room),
      marks: new Uint32Array(this.#parts[0].segments * F),
      offsets: new Uint32Array(this.#parts[0].segments * F),
      pairs: new Uint32Array(2 * half * F),
    };
  }

  /** As the product leaves it: of every group of a row's latents the largest positive value's bits. */
  #reach(): Uint32Array {
    const groups = groupsIn(this.F);
    const reach = new Uint32Array(this.rows * groups);
    for (const [at, value] of this.#scaled.entries()) {
      const group = Math.floor(at / this.F) * groups + Math.floor((at % this.F) / GROUP);
      if (value > 0) reach[group] = Math.max(reach[group]!, bitsOf(value));
    }
    return reach;
  }

  /** Pre-activations times norms. */
  row(t: number): Float32Array {
    return this.#scaled.subarray(t * this.F, (t + 1) * this.F);
  }

  /** As MemberPass has them: of a batch the cut first, then the rows' lists. */
  lists(): KernelRuns["runs"] {
    const cut = (part: 0 | 1) => ["latents", "rows", "bias", "bins", `reach${part}`];
    const runs: KernelRuns["runs"][number][] = [];
    for (const PASS of this.#isBatch ? ["0u", "1u", "2u", "3u"] : []) {
      for (const part of [0, 1] as const) runs.push(this.#run("batchHistogram", part, cut(part), { PASS }));
      runs.push({ ...this.#run("batchChoose", 0, cut(0), { PASS }), groups: 1 });
    }
    if (this.#isBatch) {
      for (const part of [0, 1] as const) runs.push(this.#run("batchTies", part, cut(part)));
      runs.push({ ...this.#run("batchShare", 0, cut(0)), groups: 1 });
    }
    for (const part of [0, 1] as const)
      runs.push(this.#run("listRows", part, ["latents", "vectors", "rows", "bias", `lists${part}`, `reach${part}`]));
    return runs;
  }

  pairs(part: 0 | 1): KernelRuns["runs"] {
    const buffers = ["latents", "rows", `lists${part}`, "marks", "offsets", "pairs"];
    const across = Math.ceil(this.F / Number.parseInt(this.#constants["WIDTH"]!, 10));
    return [
      this.#run("pairMark", part, buffers),
      { ...this.#run("pairWithin", part, buffers), groups: [across, 1] },
      { ...this.#run("pairBetween", part, buffers), groups: 1 },
      this.#run("pairPlace", part, buffers),
    ];
  }

  /** A row's list as found: latents that are kept, and those that AuxK takes. */
  async listed(run: (runs: KernelRuns["runs"], read: readonly string[]) => Promise<Uint32Array[]>): Promise<Listed[]> {
    const [rows, ...lists] = await run(this.lists(), ["rows", "lists0", "lists1"]);
    return Array.from({ length: this.rows }, (_, t) => {
      const part = t < this.#parts[1].first ? 0 : 1;
      const start = (t - this.#parts[part].first) * this.#room;
      const own = [...lists[part]!.subarray(start, start + rows![t * ROW_WORDS + LISTED]!)];
      const ofKind = (kind: number) => own.filter((entry) => (entry & kind) !== 0).map((entry) => entry & LATENT_OF);
      return { main: ofKind(MAIN_KIND), second: ofKind(SECOND_KIND) };
    });
  }

  /** By definition: latent by latent in the order of rows, each the row and its pre-activation. */
  pairsOf(part: 0 | 1): number[] {
    const { first, count } = this.#parts[part];
    const words: number[] = [];
    for (let i = 0; i < this.F; i++) {
      for (let t = first; t < first + count; t++)
        if (this.codes[t * this.F + i]! > 0) words.push(MAIN_KIND + t, bitsOf(this.#pre[t * this.F + i]!));
    }
    return words;
  }

  #run(kernel: KernelName, part: 0 | 1, buffers: string[], constants: Constants = {}): KernelRuns["runs"][number] {
    const micro = this.#parts[part];
    return {
      kernel,
      constants: { ...this.#constants, ...constants },
      numbers: { ...this.#numbers, ...micro },
      buffers: [`pre${part}`, ...buffers],
      groups: micro.count,
    };
  }
}

describe("kernels by themselves, on a software GPU", { skip: missing }, () => {
  let device: ChildCalls<KernelRuns>;
  before(() => {
    const says = {
      process: "the kernels' process",
      device: "the GPU",
      advice: () => "",
      error: (m: string) => Error(m),
    };
    const options = { environment: softwareGpuEnvironment, patience: 900_000 };
    device = new ChildCalls(new URL("./kernelProcess.ts", import.meta.url), says, options);
  });
  after(() => device.close());
  const run = (problem: Problem, runs: KernelRuns["runs"], read: readonly string[]): Promise<Uint32Array[]> =>
    device.call({ kind: "run", buffers: problem.buffers, runs, read });

  for (const width of [32, WIDTH]) {
    for (const what of Object.keys(valuesOf)) {
      for (const architecture of ["topk", "batchtopk"] as const) {
        const file = architecture === "topk" ? "listRows.wgsl" : "batchCut.wgsl";
        test(`${file} keeps what reference/selection.ts keeps, ${width} threads: ${what}`, async () => {
          const problem = new Problem(architecture, valuesOf[what]!, width);
          const { F } = problem;
          const found = await problem.listed((runs, read) => run(problem, runs, read));
          for (const [t, { main }] of found.entries()) {
            const expected = Array.from({ length: F }, (_, i) => i).filter((i) => problem.codes[t * F + i]! > 0);
            assert.deepEqual(main, expected, `row ${t}`);
          }
        });

        test(`pairs.wgsl lists what reference/selection.ts keeps by latent and row, ${architecture}, ${width} threads: ${what}`, async () => {
          const problem = new Problem(architecture, valuesOf[what]!, width);
          for (const part of [0, 1] as const) {
            const runs = [...problem.lists(), ...problem.pairs(part)];
            const [latents, pairs] = await run(problem, runs, ["latents", "pairs"]);
            const expected = problem.pairsOf(part);
            assert.deepEqual(Array.from(pairs!.subarray(0, expected.length)), expected);
            let start = 0;
            for (let i = 0; i < problem.F; i++) {
              const known = latents!.subarray(i * LATENT_WORDS);
              if (known[START] !== start) assert.fail(`latent ${i} starts at ${known[START]} and not at ${start}`);
              start += known[COUNT]!;
            }
            assert.equal(2 * start, expected.length);
          }
        });
      }
    }

    for (const aux_loss_form of ["sae_lens", "dictionary_learning"] as const) {
      test(`listRows.wgsl keeps the dead latents that reference/auxK.ts takes, ${aux_loss_form}, ${width} threads`, async () => {
        const problem = new Problem("topk", valuesOf["equal latents far apart"]!, width, { aux_loss_form });
        const isRaw = aux_loss_form === "sae_lens";
        const dead = Array.from({ length: problem.F }, (_, i) => i).filter((i) => i % 3 === 1);
        for (const i of dead) problem.buffers["latents"]![i * LATENT_WORDS + DEAD] = 1;
        problem.buffers["bias"]![DEAD_COUNT] = dead.length;
        const found = await problem.listed((runs, read) => run(problem, runs, read));
        for (const [t, { second }] of found.entries()) {
          const candidates = dead.map((i) => (isRaw ? problem.row(t)[i]! : Math.max(0, problem.row(t)[i]!)));
          const expected = largest(candidates, D_IN / 2).map((n) => dead[n]!);
          assert.deepEqual(second, expected, `row ${t}`);
        }
      });
    }
  }

  for (const product of [SOFTWARE_PLAIN, PLAIN]) {
    for (const architecture of ["standard", "topk", "batchtopk", "jumprelu", "gated"] as const) {
      test(`gemm.wgsl says how far groups reach, ${architecture}, ${nameOf(product)}`, async () => {
        const [rows, F, d] = [19, 90, 12];
        const training = configOf({ architecture, d_in: d, d_sae: F, active: 5, rows });
        const own = { ...constantsFor(training.sae, { training }), ...layoutConstants(gpuLayout, d) };
        const random = new SeededRandom(3);
        const values = (length: number, scale = 1) => Float32Array.from({ length }, () => scale * random.normal());
        // As far from zero as leaves some groups without anything active.
        const vectors = Float32Array.from({ length: F * 4 }, (_, at) => (at % 4 === 0 ? -6 : at % 4 === 1 ? 2 : 0.1));
        const latents = new Float32Array(F * LATENT_WORDS).fill(0.5);
        const bandwidth = 0.75;
        const pre = new Float32Array(rows * F);
        const reach = new Uint32Array(rows * groupsIn(F));
        const activations = new Float32Array(2 * rows * d);
        activations.set(values(rows * d), rows * d);
        const [found, reached] = await device.call<Uint32Array[]>({
          kind: "run",
          buffers: { activations, parameters: values(2 * F * d), vectors, latents, pre, reach },
          runs: [
            {
              kernel: "gemm",
              constants: { ...own, ...constantsOf(product) },
              numbers: { rows, count: rows, F, V: d / 4, d, groups: groupsIn(F), bandwidth },
              buffers: ["activations", "parameters", "vectors", "latents", "pre", "reach"],
              groups: groupsOf(product, F, rows),
            },
          ],
          read: ["pre", "reach"],
        });
        const p = new Float32Array(found!.buffer, found!.byteOffset, found!.length);
        // By definition: the largest positive value's bits where there is a selection, else whether anything is active.
        const reachOf = (value: number): number => {
          if (architecture === "standard") return Number(value > 0);
          if (architecture === "jumprelu") return Number(value > 2 || Math.abs((value - 2) / bandwidth) < 0.5);
          if (architecture === "gated") return Number(value - 6 > 0);
          return value > 0 ? bitsOf(value * 0.5) : 0;
        };
        const expected = new Uint32Array(reach.length);
        for (const [at, value] of p.entries()) {
          const group = Math.floor(at / F) * groupsIn(F) + Math.floor((at % F) / GROUP);
          expected[group] = Math.max(expected[group]!, reachOf(value));
        }
        assert.deepEqual(reached, expected);
        assert.ok(expected.includes(0) && expected.some((one) => one > 0), "some reach and some don't");
      });
    }
  }

  test("listRows.wgsl does not look where a group can't reach", async () => {
    const problem = new Problem("topk", { F: 160, rows: 2, k: 3, value: (_, i) => (i % 16 === 0 ? 2 + i : 1) }, WIDTH);
    // What lies in a group that is said not to reach is not what it is: nothing is to read it.
    (problem.buffers["pre0"] as Float32Array)[5] = 1e6;
    const [first] = await problem.listed((runs, read) => run(problem, runs, read));
    assert.deepEqual(first!.main, [112, 128, 144]);
  });

  test("listRows.wgsl looks again where groups are said to reach further than their latents do", async () => {
    const problem = new Problem("topk", { F: 160, rows: 2, k: 3, value: (_, i) => (i % 16 === 5 ? 2 + i : -1) }, WIDTH);
    const reach = problem.buffers["reach0"] as Uint32Array;
    reach.set(reach.map((key) => key + 1));
    const [first] = await problem.listed((runs, read) => run(problem, runs, read));
    assert.deepEqual(first!.main, [117, 133, 149]);
  });

  test("subgroupCheck.wgsl says the same of every thread", async () => {
    const constants = { WIDTH: "128u", LATENTS_EACH: "1u", INNER: "0u", INNER_VECS: "0u" };
    const [found] = await device.call<Uint32Array[]>({
      kind: "run",
      buffers: { found: new Uint32Array(128).fill(7) },
      runs: [{ kernel: "subgroupCheck", constants, numbers: {}, buffers: ["found"], groups: 1 }],
      read: ["found"],
    });
    assert.equal(new Set(found).size, 1);
    assert.ok(found![0] === 0 || found![0] === 1);
  });
});

test("whole numbers of the header are never read as floats, in which a GPU may flush them to 0", () => {
  let readers = 0;
  for (const file of readdirSync(folder)) {
    if (file === "shared.wgsl") continue;
    const text = readFileSync(join(folder, file), "utf8");
    if (!/\b(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/.test(text)) continue;
    readers += 1;
    assert.match(text, /> header: array<(u32|atomic<u32>)>;/, file);
    assert.doesNotMatch(text, /\bbias\[[^\]]*\]\[(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/, file);
  }
  assert.equal(readers, 3);
});

const topk = configOf({ architecture: "topk", d_in: 512, d_sae: 16_384, active: 32, rows: 4096 });
const constants = { ...constantsFor(topk.sae, { training: topk }), ...layoutConstants(gpuLayout, 512) };

test("workgroup memory of the kernels of a step is what docs/gpu.md says", () => {
  const document = readFileSync(join(import.meta.dirname, "../../../docs/gpu.md"), "utf8");
  const line = document.split("\n").find((one) => one.startsWith("- Workgroup memory"))!;
  const jumprelu = configOf({ architecture: "jumprelu", d_in: 2304, d_sae: 16_128, active: 64, rows: 4096 });
  const ofJumprelu = { ...constantsFor(jumprelu.sae, { training: jumprelu }), ...layoutConstants(gpuLayout, 2304) };
  for (const own of [constants, ofJumprelu]) {
    for (const name of ["gemm", "listRows", "decode", "latentGradient"] as const) {
      const bytes = workgroupMemory(name, { ...own, ...constantsOf(PLAIN) });
      assert.ok(line.includes(bytes.toLocaleString("en")), `${name}: ${bytes}`);
      assert.ok(bytes <= 16_384, "what every device has");
    }
  }
});

test("every product's tile is whole groups of latents", () => {
  const adapter = { features: ["shader-f16"], lanes: 32, largestWorkgroup: 1024 };
  const matrices = [8, 16].map((N) => ({ operand: "f16", result: "f32", M: N, N, K: N }));
  for (const software of [false, true]) {
    const products = productsFor({ ...adapter, software, matrices } as unknown as AdapterDescription, true);
    assert.ok(products.some(({ kind }) => kind === "matrix"));
    // Of so many latents all tiles are whole.
    for (const product of products) {
      const [tiles] = groupsOf(product, 2 ** 20, 1);
      assert.equal((2 ** 20 / tiles) % GROUP, 0, nameOf(product));
    }
  }
});

test("a product's workgroup memory is what choosing among them takes it for", () => {
  const adapter = {
    software: false,
    features: ["shader-f16"],
    lanes: 32,
    largestWorkgroup: 256,
    matrices: [
      { operand: "f16", result: "f32", M: 16, N: 16, K: 16 },
      { operand: "f32", result: "f32", M: 8, N: 8, K: 8 },
    ],
  } as unknown as AdapterDescription;
  for (const autocast of [false, true]) {
    for (const product of productsFor(adapter, autocast)) {
      const counted = workgroupMemory(kernelOf(product), { ...constants, ...constantsOf(product) });
      const taken = workgroupBytes(product);
      // A product that isn't split still declares a fragment for the low parts, which Dawn leaves out.
      assert.ok(
        counted === taken || (product.kind === "matrix" && !product.split && counted > taken),
        `${nameOf(product)}: ${counted}, ${taken}`,
      );
    }
  }
});

// Cosines of all pairs of decoder rows, of which only each feature's nearest in every member are kept: blocks of matrix products with the selection inside, never the whole matrix.
import { plainProduct } from "../evaluation/plainProduct.ts";
import { encodeOnnx } from "../formats/onnx.ts";
import { loadOnnxRuntime } from "../formats/onnxRuntime.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { decoderRows, memberRanges } from "./decoderRows.ts";
import type { NearestFeature } from "./featureIndex.ts";

/** One block is 512 × 8,192 cosines: 16 MiB, and some 40 ms of two cores at d = 768. */
const blockRows = 512;
const blockColumns = 8192;
/** More candidates than asked for, since float32 products may order near ties differently from the float64 cosines that are stored. */
const spareCandidates = 2;

export interface NearestOptions {
  /** Features kept of each member. */
  readonly perMember: number;
  readonly signal?: AbortSignal;
  /** Rows done. */
  readonly onProgress?: (done: number) => void;
}

/**
 * For every feature in turn: its nearest features in each member by the cosine of decoder rows (float64, ties by id),
 * without itself; empty for a row of zeros. Memory: a few blocks, whatever the width.
 */
export async function* nearestFeatures(
  ensemble: Ensemble,
  options: NearestOptions,
): AsyncGenerator<{ feature: number; nearest: NearestFeature[][] }> {
  const width = ensembleWidth(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  const ranges = memberRanges(ensemble);
  const search = await openSearch(d, options.signal);
  try {
    const rows = new Float32Array(Math.min(blockRows, width) * d);
    const columns = new Float32Array(Math.min(blockColumns, Math.max(...ranges.map(({ size }) => size))) * d);
    for (let first = 0; first < width; first += blockRows) {
      const count = Math.min(blockRows, width - first);
      decoderRows(ensemble, first, first + count, "unit", rows);
      const candidates: number[][][] = Array.from({ length: count }, () => ranges.map(() => []));
      for (const [member, range] of ranges.entries()) {
        for (let from = range.first; from < range.first + range.size; from += blockColumns) {
          options.signal?.throwIfAborted();
          const size = Math.min(blockColumns, range.first + range.size - from);
          decoderRows(ensemble, from, from + size, "unit", columns);
          // One more, since a feature's own row is among its member's.
          const k = Math.min(size, options.perMember + 1 + spareCandidates);
          const indices = await search.largest(
            rows.subarray(0, count * d),
            count,
            columns.subarray(0, size * d),
            size,
            k,
          );
          for (let row = 0; row < count; row++) {
            const list = candidates[row]![member]!;
            for (let c = 0; c < k; c++) list.push(from + indices[row * k + c]!);
          }
        }
      }
      const one = new Float32Array(d);
      for (let row = 0; row < count; row++) {
        const feature = first + row;
        const unit = rows.subarray(row * d, (row + 1) * d);
        const zero = unit.every((value) => value === 0);
        const nearest = candidates[row]!.map((list) => {
          const exact: NearestFeature[] = [];
          for (const id of zero ? [] : list) {
            if (id === feature) continue;
            decoderRows(ensemble, id, id + 1, "unit", one);
            exact.push({ id, cosine: dot(unit, one) });
          }
          exact.sort((a, b) => b.cosine - a.cosine || a.id - b.id);
          return exact.slice(0, options.perMember);
        });
        yield { feature, nearest };
      }
      options.onProgress?.(first + count);
    }
  } finally {
    await search.close();
  }
}

interface Search {
  /** Of each row of [m, d] the indices of the k rows of [n, d] with the largest products: [m, k], in any order. */
  largest(rows: Float32Array, m: number, columns: Float32Array, n: number, k: number): Promise<Uint32Array>;
  close(): Promise<void>;
}

/** By onnxruntime, or plain where that is missing. */
async function openSearch(d: number, signal: AbortSignal | undefined): Promise<Search> {
  const ort = await loadOnnxRuntime();
  if (!ort) {
    return {
      largest: async (rows, m, columns, n, k) =>
        largestOfRows(await plainProduct(rows, columns, { m, n, d }, signal), m, n, k),
      close: () => Promise.resolve(),
    };
  }
  const session = await ort.InferenceSession.create(cosineGraph(d));
  return {
    largest: async (rows, m, columns, n, k) => {
      const { indices } = await session.run({
        rows: new ort.Tensor("float32", rows, [m, d]),
        columns: new ort.Tensor("float32", columns, [n, d]),
        k: new ort.Tensor("int64", BigInt64Array.of(BigInt(k)), [1]),
      });
      // int64, non-negative and below 2^32: every other word.
      const words = indices!.data as BigInt64Array;
      const halves = new Uint32Array(words.buffer, words.byteOffset, 2 * words.length);
      return Uint32Array.from({ length: words.length }, (_, i) => halves[2 * i]!);
    },
    close: () => session.release(),
  };
}

/** The k largest of each row, largest first, ties by index: k is small, so each row keeps a sorted list. */
function largestOfRows(values: Float32Array, m: number, n: number, k: number): Uint32Array {
  const indices = new Uint32Array(m * k);
  for (let row = 0; row < m; row++) {
    const kept = indices.subarray(row * k, (row + 1) * k);
    const valueAt = (place: number) => values[row * n + kept[place]!]!;
    let size = 0;
    for (let column = 0; column < n; column++) {
      const value = values[row * n + column]!;
      if (size === k && !(value > valueAt(k - 1))) continue;
      let place = size < k ? size++ : k - 1;
      for (; place > 0 && value > valueAt(place - 1); place--) kept[place] = kept[place - 1]!;
      kept[place] = column;
    }
  }
  return indices;
}

/** rows · columnsᵀ, and of each row the indices of the k largest. */
function cosineGraph(d: number): Uint8Array {
  return encodeOnnx({
    opsets: { "": 21 },
    graph: {
      name: "cosines",
      nodes: [
        {
          opType: "Gemm",
          inputs: ["rows", "columns"],
          outputs: ["cosines"],
          attributes: { transB: { int: 1 } },
        },
        { opType: "TopK", inputs: ["cosines", "k"], outputs: ["values", "indices"] },
      ],
      initializers: [],
      inputs: [
        { name: "rows", dtype: "F32", shape: ["rows", d] },
        { name: "columns", dtype: "F32", shape: ["columns", d] },
        { name: "k", dtype: "I64", shape: [1] },
      ],
      outputs: [{ name: "indices", dtype: "I64", shape: ["rows", "kept"] }],
    },
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

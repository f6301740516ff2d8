// Cosines of all pairs of decoder rows, of which only each feature's nearest in every member are kept: blocks of matrix products with the selection inside, never the whole matrix.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeOnnx } from "../formats/onnx.ts";
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
  const session = await InferenceSession.create(cosineGraph(d));
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
          const indices = await largest(session, rows, count, columns, size, d, k);
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
    await session.release();
  }
}

async function largest(
  session: InferenceSession,
  rows: Float32Array,
  rowCount: number,
  columns: Float32Array,
  columnCount: number,
  d: number,
  k: number,
): Promise<Uint32Array> {
  const { indices } = await session.run({
    rows: new Tensor("float32", rows.subarray(0, rowCount * d), [rowCount, d]),
    columns: new Tensor("float32", columns.subarray(0, columnCount * d), [columnCount, d]),
    k: new Tensor("int64", BigInt64Array.of(BigInt(k)), [1]),
  });
  // int64, non-negative and below 2^32: every other word.
  const words = indices!.data as BigInt64Array;
  const halves = new Uint32Array(words.buffer, words.byteOffset, 2 * words.length);
  return Uint32Array.from({ length: words.length }, (_, i) => halves[2 * i]!);
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

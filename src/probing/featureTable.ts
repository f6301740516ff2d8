// Features of texts as concept detection wants them, dense (activations) or sparse (codes): class means, a few columns, products with all columns.
import type { SparseCodes } from "../engine/engine.ts";
import type { Rows } from "./examples.ts";

/** Rows that a linear model is fitted to, without saying how they are stored. */
export interface DesignMatrix {
  readonly rows: number;
  readonly width: number;
  /** X v, [rows] */
  times(v: Float64Array): Float64Array;
  /** Xᵀ r, [width] */
  transposedTimes(r: Float64Array): Float64Array;
  /** Σ_t r_t X_tj², [width] */
  weightedSquares(r: Float64Array): Float64Array;
}

export interface FeatureTable {
  readonly width: number;
  /** Σ_t weights_t X_t over the given rows, [width]. */
  weightedSum(rows: Uint32Array, weights: Float64Array): Float64Array;
  /** The given rows and features, side by side. */
  columns(rows: Uint32Array, features: Uint32Array): Rows;
  /** The given rows, all features. */
  design(rows: Uint32Array): DesignMatrix;
}

export function denseTable(x: Rows): FeatureTable {
  const { d, values } = x;
  return {
    width: d,
    weightedSum: (rows, weights) => denseDesign(x, rows).transposedTimes(weights),
    columns(rows, features) {
      const result = new Float64Array(rows.length * features.length);
      let at = 0;
      for (const row of rows) for (const feature of features) result[at++] = values[row * d + feature]!;
      return { rows: rows.length, d: features.length, values: result };
    },
    design: (rows) => denseDesign(x, rows),
  };
}

export function denseDesign({ d, values }: Rows, rows: Uint32Array): DesignMatrix {
  const own = new Float64Array(rows.length * d);
  for (let t = 0; t < rows.length; t++) own.set(values.subarray(rows[t]! * d, (rows[t]! + 1) * d), t * d);
  return {
    rows: rows.length,
    width: d,
    times(v) {
      const result = new Float64Array(rows.length);
      for (let t = 0, at = 0; t < rows.length; t++) {
        let sum = 0;
        for (let j = 0; j < d; j++) sum += own[at++]! * v[j]!;
        result[t] = sum;
      }
      return result;
    },
    transposedTimes(r) {
      const result = new Float64Array(d);
      for (let t = 0, at = 0; t < rows.length; t++)
        for (let j = 0, weight = r[t]!; j < d; j++) result[j]! += own[at++]! * weight;
      return result;
    },
    weightedSquares(r) {
      const result = new Float64Array(d);
      for (let t = 0, at = 0; t < rows.length; t++)
        for (let j = 0, weight = r[t]!; j < d; j++, at++) result[j]! += own[at]! * own[at]! * weight;
      return result;
    },
  };
}

/**
 * `scales` [F] multiply the codes: with ‖W_dec,i‖ the codes are those of an SAE whose decoder norms were folded, which
 * changes both which features are chosen and how strongly the penalty holds them.
 */
export function codesTable(codes: SparseCodes, scales?: Float64Array): FeatureTable {
  return {
    width: codes.width,
    weightedSum: (rows, weights) => sparseDesign(codes, rows, scales).transposedTimes(weights),
    columns(rows, features) {
      const place = new Map(Array.from(features, (feature, at) => [feature, at]));
      const values = new Float64Array(rows.length * features.length);
      for (let t = 0; t < rows.length; t++) {
        const row = rows[t]!;
        for (let at = codes.offsets[row]!; at < codes.offsets[row + 1]!; at++) {
          const feature = codes.indices[at]!;
          const to = place.get(feature);
          if (to !== undefined) values[t * features.length + to] = codes.values[at]! * (scales?.[feature] ?? 1);
        }
      }
      return { rows: rows.length, d: features.length, values };
    },
    design: (rows) => sparseDesign(codes, rows, scales),
  };
}

/** The rows are gathered once: a fit goes over them a thousand times. */
function sparseDesign(codes: SparseCodes, rows: Uint32Array, scales?: Float64Array): DesignMatrix {
  const offsets = new Uint32Array(rows.length + 1);
  for (let t = 0; t < rows.length; t++)
    offsets[t + 1] = offsets[t]! + codes.offsets[rows[t]! + 1]! - codes.offsets[rows[t]!]!;
  const indices = new Uint32Array(offsets[rows.length]!);
  const values = new Float64Array(indices.length);
  for (let t = 0, to = 0; t < rows.length; t++) {
    for (let at = codes.offsets[rows[t]!]!; at < codes.offsets[rows[t]! + 1]!; at++, to++) {
      indices[to] = codes.indices[at]!;
      values[to] = codes.values[at]! * (scales?.[indices[to]!] ?? 1);
    }
  }
  return {
    rows: rows.length,
    width: codes.width,
    times(v) {
      const result = new Float64Array(rows.length);
      for (let t = 0; t < rows.length; t++) {
        let sum = 0;
        for (let at = offsets[t]!; at < offsets[t + 1]!; at++) sum += values[at]! * v[indices[at]!]!;
        result[t] = sum;
      }
      return result;
    },
    transposedTimes(r) {
      const result = new Float64Array(codes.width);
      for (let t = 0; t < rows.length; t++)
        for (let at = offsets[t]!; at < offsets[t + 1]!; at++) result[indices[at]!]! += values[at]! * r[t]!;
      return result;
    },
    weightedSquares(r) {
      const result = new Float64Array(codes.width);
      for (let t = 0; t < rows.length; t++)
        for (let at = offsets[t]!; at < offsets[t + 1]!; at++)
          result[indices[at]!]! += values[at]! * values[at]! * r[t]!;
      return result;
    },
  };
}

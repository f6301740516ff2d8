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
  const each = (visit: (t: number, j: number, value: number) => void): void => {
    for (let t = 0; t < rows.length; t++) {
      const start = rows[t]! * d;
      for (let j = 0; j < d; j++) visit(t, j, values[start + j]!);
    }
  };
  return products(rows.length, d, each);
}

/**
 * `scales` [F] multiply the codes: with ‖W_dec,i‖ the codes are those of an SAE whose decoder norms were folded, which
 * changes both which features are chosen and how strongly the penalty holds them.
 */
export function codesTable(codes: SparseCodes, scales?: Float64Array): FeatureTable {
  const scale = (feature: number): number => scales?.[feature] ?? 1;
  const eachOf =
    (rows: Uint32Array) =>
    (visit: (t: number, j: number, value: number) => void): void => {
      for (let t = 0; t < rows.length; t++) {
        const row = rows[t]!;
        for (let at = codes.offsets[row]!; at < codes.offsets[row + 1]!; at++) {
          const feature = codes.indices[at]!;
          visit(t, feature, codes.values[at]! * scale(feature));
        }
      }
    };
  const design = (rows: Uint32Array): DesignMatrix => products(rows.length, codes.width, eachOf(rows));
  return {
    width: codes.width,
    weightedSum: (rows, weights) => design(rows).transposedTimes(weights),
    columns(rows, features) {
      const position = new Map(Array.from(features, (feature, at) => [feature, at]));
      const values = new Float64Array(rows.length * features.length);
      eachOf(rows)((t, feature, value) => {
        const at = position.get(feature);
        if (at !== undefined) values[t * features.length + at] = value;
      });
      return { rows: rows.length, d: features.length, values };
    },
    design,
  };
}

function products(
  rows: number,
  width: number,
  each: (visit: (t: number, j: number, value: number) => void) => void,
): DesignMatrix {
  const visited = (size: number, visit: (result: Float64Array, t: number, j: number, value: number) => void) => {
    const result = new Float64Array(size);
    each((t, j, value) => visit(result, t, j, value));
    return result;
  };
  return {
    rows,
    width,
    times: (v) =>
      visited(rows, (result, t, j, value) => {
        result[t]! += value * v[j]!;
      }),
    transposedTimes: (r) =>
      visited(width, (result, t, j, value) => {
        result[j]! += value * r[t]!;
      }),
    weightedSquares: (r) =>
      visited(width, (result, t, j, value) => {
        result[j]! += r[t]! * value * value;
      }),
  };
}

// Labelled rows: what probes are trained and scored on. Values are pooled activations, one row a text; no texts and no files here.

/** A dense matrix in float64, row-major. */
export interface Rows {
  readonly rows: number;
  /** Columns. */
  readonly d: number;
  /** [rows, d] */
  readonly values: Float64Array;
}

/** Some rows of a matrix, in an order, with a label of 0 or 1 each. A row may stand in several sets. */
export interface Examples {
  readonly x: Rows;
  /** [n] row numbers in `x`. */
  readonly rows: Uint32Array;
  /** [n] 0 or 1. */
  readonly labels: Uint8Array;
}

/** The same rows with another order or another choice; `positions` counts within the set. */
export function subset(examples: Examples, positions: Uint32Array): Examples {
  return { x: examples.x, rows: positions.map((at) => examples.rows[at]!), labels: pick(examples.labels, positions) };
}

export function pick(values: Uint8Array, positions: Uint32Array): Uint8Array {
  return Uint8Array.from(positions, (at) => values[at]!);
}

/** Throws RangeError where a set has no row of one of the two labels: nothing can be learnt or compared. */
export function requireBothLabels(labels: ArrayLike<number>, what: string): void {
  const seen = [false, false];
  for (let at = 0; at < labels.length; at++) {
    const label = labels[at]!;
    if (label !== 0 && label !== 1) throw new RangeError(`${what}: the label ${label}; labels are 0 and 1`);
    seen[label] = true;
  }
  const missing = seen.indexOf(false);
  if (missing >= 0) throw new RangeError(`${what}: no row with the label ${missing} among ${labels.length}`);
}

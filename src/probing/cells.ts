// Accuracy by cell: label and attribute make four groups of texts, and the worst of them is what a fair classifier is judged by.

/** In this order everywhere. */
export const CELLS = ["y1a1", "y1a0", "y0a1", "y0a0"] as const;
export type Cell = (typeof CELLS)[number];

export function cellOf(label: number, attribute: number): number {
  return 2 * (1 - label) + (1 - attribute);
}

export interface CellScores {
  /** Over all rows. */
  readonly accuracy: number;
  /** Accuracy of each cell, in the order of CELLS; NaN where a cell has no rows. */
  readonly cells: readonly number[];
  /** The least of the cells that have rows; NaN where none has. */
  readonly worst_group: number;
  /** Rows of each cell. */
  readonly counts: readonly number[];
}

/** `target`: what the logits are held against, 0 or 1 a row; it need not be the label that makes the cells. */
export function cellScores(
  logits: Float64Array,
  target: ArrayLike<number>,
  labels: ArrayLike<number>,
  attributes: ArrayLike<number>,
): CellScores {
  const right = [0, 0, 0, 0];
  const counts = [0, 0, 0, 0];
  for (let t = 0; t < logits.length; t++) {
    const cell = cellOf(labels[t]!, attributes[t]!);
    counts[cell]!++;
    if (logits[t]! > 0 === (target[t] === 1)) right[cell]!++;
  }
  const cells = right.map((n, cell) => n / counts[cell]!);
  const present = cells.filter((share) => !Number.isNaN(share));
  const accuracy = right.reduce((a, b) => a + b) / logits.length;
  return { accuracy, cells, worst_group: present.length === 0 ? Number.NaN : Math.min(...present), counts };
}

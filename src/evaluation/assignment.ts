// Linear assignment: matches rows to columns for the greatest total. Shortest augmenting paths with dual variables (Jonker and Volgenant), O(rows²·columns) at worst.
// npm's one maintained package for it takes arrays of float64 arrays and brings ten more packages; this is the whole algorithm.

/**
 * For scores [rows, columns] row-major, rows ≤ columns: the column of every row such that the sum of scores is greatest.
 */
export function bestAssignment(scores: Float32Array | Float64Array, rows: number, columns: number): Int32Array {
  if (rows > columns) throw new RangeError(`${rows} rows, more than ${columns} columns`);
  // Costs are −score; u and v keep cost − u − v ≥ 0, with equality on matched pairs.
  const u = new Float64Array(rows);
  const v = new Float64Array(columns);
  const columnOf = new Int32Array(rows).fill(-1);
  const rowOf = new Int32Array(columns).fill(-1);
  const distance = new Float64Array(columns);
  const cameFrom = new Int32Array(columns);
  const open = new Int32Array(columns);
  for (let root = 0; root < rows; root++) {
    // Dijkstra over alternating paths from `root` to the nearest free column.
    distance.fill(Number.POSITIVE_INFINITY);
    for (let c = 0; c < columns; c++) open[c] = c;
    const scannedRows = [root];
    const scannedColumns: number[] = [];
    let opened = columns;
    let row = root;
    let shortest = 0;
    let sink = -1;
    while (sink < 0) {
      const offset = shortest - u[row]!;
      const at = row * columns;
      let lowest = Number.POSITIVE_INFINITY;
      let lowestAt = -1;
      for (let k = 0; k < opened; k++) {
        const c = open[k]!;
        const through = offset - scores[at + c]! - v[c]!;
        if (through < distance[c]!) {
          distance[c] = through;
          cameFrom[c] = row;
        }
        const reached = distance[c]!;
        if (reached < lowest || (reached === lowest && rowOf[c]! < 0 && rowOf[open[lowestAt]!]! >= 0)) {
          lowest = reached;
          lowestAt = k;
        }
      }
      if (lowestAt < 0) throw new RangeError("scores must be finite");
      const column = open[lowestAt]!;
      open[lowestAt] = open[--opened]!;
      shortest = lowest;
      if (rowOf[column]! < 0) {
        sink = column;
      } else {
        scannedColumns.push(column);
        row = rowOf[column]!;
        scannedRows.push(row);
      }
    }
    u[root]! += shortest;
    for (let k = 1; k < scannedRows.length; k++) {
      const r = scannedRows[k]!;
      u[r]! += shortest - distance[columnOf[r]!]!;
    }
    for (const c of scannedColumns) v[c]! -= shortest - distance[c]!;
    // Flip the path from the sink back to the root.
    for (let column = sink; ; ) {
      const r = cameFrom[column]!;
      rowOf[column] = r;
      const previous = columnOf[r]!;
      columnOf[r] = column;
      if (r === root) break;
      column = previous;
    }
  }
  return columnOf;
}

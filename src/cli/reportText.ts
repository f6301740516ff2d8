// A report's Markdown for a terminal: the first table of each part, in columns that fit.

/** Headings of parts, each with its first table; columns that are beyond `width` are named below it. All else stays in the file. */
export function reportText(markdown: string, width: number): string {
  const parts = markdown.split(/^## /m);
  const texts = parts.flatMap((part, at) => {
    const table = /(?:^\|.*\n?)+/m.exec(part)?.[0];
    if (table === undefined) return [];
    const heading = at > 0 ? [part.slice(0, part.indexOf("\n"))] : [];
    return [[...heading, ...aligned(cellsOf(table), width)].join("\n")];
  });
  return texts.join("\n\n");
}

/** Rows of a Markdown table, without the rule beneath its head. */
function cellsOf(table: string): string[][] {
  const rows = table.trimEnd().split("\n");
  const cells = rows.map((row) => row.split("|").slice(1, -1));
  return cells.filter((_, at) => at !== 1).map((row) => row.map((cell) => cell.replaceAll("**", "").trim()));
}

function aligned(rows: readonly string[][], width: number): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  let shown = 1;
  for (let taken = widths[0]!; shown < widths.length; shown++) {
    taken += 2 + widths[shown]!;
    if (taken > width) break;
  }
  const lines = rows.map((row) =>
    row
      .slice(0, shown)
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
  const beyond = rows[0]!.slice(shown);
  return beyond.length === 0 ? lines : [...lines, `(in a wider terminal, and in the file: ${beyond.join(", ")})`];
}

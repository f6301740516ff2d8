// The charts and the table as files: CSV and Markdown of the numbers, SVG and PNG of the charts.
import type { ReportTable } from "../../src/protocol/reportTable.ts";
import { column } from "../components/numbers.ts";
import { quantityMark, rangeOfOne, roundMarks, tokensMark } from "./axis.ts";
import { memberMean, type Quantity, quantities, type Training, trainingSeedSet } from "./series.ts";

/** Every point of a training: tokens, member, and the four quantities. */
export function trainingCsv(training: Training): string {
  const lines = [`tokens,member,${quantities.map(({ key }) => key).join(",")}`];
  for (const [member, columns] of training.values) {
    for (const [i, tokens] of training.tokens.entries()) {
      if (columns.loss[i] === null) continue;
      lines.push([tokens, member, ...quantities.map(({ key }) => columns[key][i] ?? "")].join(","));
    }
  }
  return `${lines.join("\n")}\n`;
}

export function tableMarkdown({ over, columns, rows }: ReportTable): string {
  const shown = columns
    .map(({ title }, i) => ({ title, values: rows.map((row) => row.cells[i]?.value ?? null) }))
    .filter(({ values }) => values.some((value) => value !== null))
    .map(({ title, values }) => ({ title, cells: column(values) }));
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return `${[
    line(["method", ...shown.map(({ title }) => title)]),
    line(["---", ...shown.map(() => "---:")]),
    ...rows.map(({ label }, row) => line([label, ...shown.map(({ cells }) => cells[row]!)])),
    ...(over ? ["", over] : []),
  ].join("\n")}\n`;
}

/** Sizes in pixels: a panel's plot, and what stands around it. */
const plot = { width: 400, height: 190 };
const panel = { left: 62, right: 18, top: 34, bottom: 46 };
const panelWidth = panel.left + plot.width + panel.right;
const panelHeight = panel.top + plot.height + panel.bottom;
const heading = 34;
const legendEntry = 104;
const legendLine = 20;
/** Okabe and Ito's, which people with any colour vision tell apart, on paper as well. */
const colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

interface Line {
  readonly name: string;
  readonly color: string;
  readonly width: number;
  /** Where another line has the colour already. */
  readonly dashed: boolean;
  readonly valuesOf: (quantity: Quantity) => readonly (number | null)[];
}

function linesOf(training: Training): Line[] {
  const members = [...training.values].sort(([a], [b]) => a - b);
  const lines = members.map(
    ([member, columns], i): Line => ({
      name: `member ${member}`,
      color: colors[i % colors.length]!,
      width: members.length === 1 ? 2 : 1.2,
      dashed: i >= colors.length,
      valuesOf: (quantity) => columns[quantity],
    }),
  );
  if (training.together)
    lines.push({
      name: "mean",
      color: "#000",
      width: 2.2,
      dashed: false,
      valuesOf: (quantity) => memberMean(training, quantity),
    });
  return lines;
}

function strokeOf({ color, width, dashed }: Line): string {
  return `stroke="${color}" stroke-width="${width}"${dashed ? ' stroke-dasharray="6 3"' : ""}`;
}

/** The four charts on white as a figure, two by two below the legend. */
export function chartsSvg(training: Training, run: string): string {
  const { method, seedSet } = trainingSeedSet(training.stage);
  const lines = linesOf(training);
  const legend = lines.length > 1 ? legendOf(lines) : { parts: [], height: 0 };
  const top = heading + legend.height;
  const charts = quantities.map(({ key, title }, i) =>
    oneChart(training.tokens, lines, key, title, (i % 2) * panelWidth, top + Math.floor(i / 2) * panelHeight),
  );
  const [width, height] = [2 * panelWidth, top + 2 * panelHeight];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${label(panel.left, 22, `${run} · ${method}${seedSet > 1 ? `, seed set ${seedSet}` : ""}`, 'font-size="15" font-weight="bold"')}
${[...legend.parts, ...charts].join("\n")}
</svg>\n`;
}

function legendOf(lines: readonly Line[]): { readonly parts: string[]; readonly height: number } {
  const inLine = Math.floor((2 * panelWidth - panel.left) / legendEntry);
  const parts = lines.map((line, i) => {
    const x = panel.left + (i % inLine) * legendEntry;
    const y = heading + 10 + Math.floor(i / inLine) * legendLine;
    return `<path d="M${x} ${y}h20" ${strokeOf(line)}/>${label(x + 26, y + 4, line.name)}`;
  });
  return { parts, height: Math.ceil(lines.length / inLine) * legendLine };
}

function oneChart(
  tokens: readonly number[],
  lines: readonly Line[],
  quantity: Quantity,
  title: string,
  left: number,
  top: number,
): string {
  const [x0, y0] = [left + panel.left, top + panel.top + plot.height];
  const columns = lines.map(({ valuesOf }) => valuesOf(quantity));
  const end = tokens.at(-1) ?? 1;
  const across = roundMarks(0, end, 5);
  const upwards = marksOf(columns);
  const [low, high] = [upwards[0]!, upwards.at(-1)!];
  const x = (value: number) => (x0 + (plot.width * value) / end).toFixed(1);
  const y = (value: number) => (y0 - (plot.height * (value - low)) / (high - low)).toFixed(1);
  const rows = upwards.map(
    (value) =>
      `<path d="M${x0} ${y(value)}h${plot.width}" stroke="#ddd"/>${label(x0 - 8, Number(y(value)) + 4, quantityMark(quantity, value), END)}`,
  );
  const stops = across
    .filter((value) => value <= end)
    .map(
      (value) =>
        `<path d="M${x(value)} ${y0}v5" stroke="#333"/>${label(Number(x(value)), y0 + 19, tokensMark(value), MIDDLE)}`,
    );
  const paths = lines.map((line, i) => {
    const points = columns[i]!.flatMap((value, at) => (value === null ? [] : [`${x(tokens[at]!)},${y(value)}`]));
    return `<polyline fill="none" ${strokeOf(line)} stroke-linejoin="round" points="${points.join(" ")}"/>`;
  });
  return `<g>${label(x0, top + 20, title, 'font-size="13" font-weight="bold"')}
${[...rows, ...stops, ...paths].join("\n")}
<path d="M${x0} ${y0 - plot.height}V${y0}h${plot.width}" fill="none" stroke="#333"/>
${label(x0 + plot.width / 2, y0 + 38, "tokens", MIDDLE)}</g>`;
}

/** Marks that enclose every value. */
function marksOf(columns: readonly (readonly (number | null)[])[]): number[] {
  const values = columns.flat().filter((value) => value !== null);
  if (values.length === 0) return [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return roundMarks(...(low === high ? rangeOfOne(low) : ([low, high] as const)), 4);
}

const END = 'text-anchor="end"';
const MIDDLE = 'text-anchor="middle"';

function label(x: number, y: number, text: string, attributes = ""): string {
  return `<text x="${x}" y="${y}" fill="#222" ${attributes}>${escapeXml(text)}</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** The SVG drawn at three times its size, 300 dots an inch where it is as wide as a page; base64 of a PNG. */
export async function svgToPng(svg: string): Promise<string> {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 3 * image.naturalWidth;
  canvas.height = 3 * image.naturalHeight;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").split(",")[1]!;
}

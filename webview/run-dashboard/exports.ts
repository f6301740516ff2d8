// The charts and the table as files: CSV and Markdown of the numbers, SVG and PNG of the charts.
import type { ReportTable } from "../../src/protocol/reportTable.ts";
import { significant } from "../components/numbers.ts";
import { memberMean, type Quantity, quantities, type Training, trainingName } from "./series.ts";

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

export function tableMarkdown({ columns, rows }: ReportTable): string {
  const shown = columns.filter((_, i) => rows.some((row) => row.cells[i]?.value !== null));
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return `${[
    line(["method", ...shown.map(({ title }) => title)]),
    line(["---", ...shown.map(() => "---:")]),
    ...rows.map((row) =>
      line([row.label, ...shown.map((column) => significant(row.cells[columns.indexOf(column)]?.value ?? null))]),
    ),
  ].join("\n")}\n`;
}

const width = 460;
const height = 200;
const colors = ["#1a85ff", "#652d90", "#388a34", "#b89500", "#e51400", "#d18616"];

/** The four charts on white, two by two. */
export function chartsSvg(training: Training, name: string): string {
  const charts = quantities.map(({ key, title }, i) =>
    oneChart(training, key, title, (i % 2) * (width + 20), 30 + Math.floor(i / 2) * (height + 40)),
  );
  const names = [...training.values.keys()].map((member) => ({
    name: `member ${member}`,
    color: colors[member % colors.length],
  }));
  if (training.together) names.push({ name: "mean", color: "black" });
  const legend = names.map(
    ({ name, color }, i) =>
      `<rect x="${50 + 80 * i}" y="${2 * height + 100}" width="10" height="3" fill="${color}"/><text x="${64 + 80 * i}" y="${2 * height + 106}">${name}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * width + 40} ${2 * height + 120}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/><text x="10" y="18" font-size="13">${escapeXml(name)} · ${escapeXml(trainingName(training.stage))}</text>
${charts.join("\n")}${names.length > 1 ? legend.join("") : ""}</svg>\n`;
}

function oneChart(training: Training, quantity: Quantity, title: string, left: number, top: number): string {
  const members = [...training.values];
  const lines = members.map(([, columns]) => columns[quantity]);
  if (training.together) lines.push(memberMean(training, quantity));
  const values = lines.flat().filter((value) => value !== null);
  const [low, high] = values.length
    ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
    : [0, 1];
  const last = training.tokens.at(-1) ?? 1;
  const x = (tokens: number) => left + 50 + ((width - 60) * tokens) / last;
  const y = (value: number) => top + height - ((height - 20) * (value - low)) / (high - low || 1);
  const paths = lines.map((line, i) => {
    const points = line.flatMap((value, at) =>
      value === null ? [] : [`${x(training.tokens[at]!).toFixed(1)},${y(value).toFixed(1)}`],
    );
    const mean = i === members.length;
    return `<polyline fill="none" stroke="${mean ? "black" : colors[i % colors.length]}" stroke-width="${mean ? 2 : 1}" points="${points.join(" ")}"/>`;
  });
  return `<g><text x="${left + 50}" y="${top + 10}" font-weight="bold">${title}</text>
<text x="${left + 46}" y="${y(high) + 4}" text-anchor="end">${significant(high)}</text><text x="${left + 46}" y="${y(low)}" text-anchor="end">${significant(low)}</text>
<text x="${left + width - 10}" y="${top + height + 16}" text-anchor="end">${last.toLocaleString("en-US")} tokens</text>
<path d="M${left + 50} ${top + 20}V${top + height}H${left + width - 10}" fill="none" stroke="#999"/>${paths.join("")}</g>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** The SVG drawn at twice its size; base64 of a PNG. */
export async function svgToPng(svg: string): Promise<string> {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * (2 * width + 40);
  canvas.height = 2 * (2 * height + 120);
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").split(",")[1]!;
}

// Charts as standalone SVG for reports: bars with whiskers, and lines with bands. Drawn on white, so that they read the same in any theme and on paper.

export interface Value {
  readonly mean: number;
  /** Half the length of the whisker or of the band; none where it is not a number. */
  readonly sd: number;
}

export interface BarChart {
  readonly title: string;
  /** What each bar of a row is, in order. */
  readonly series: readonly string[];
  /** From top to bottom; a value a series. */
  readonly rows: readonly { readonly label: string; readonly values: readonly Value[] }[];
}

export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  /** Evenly spaced, whatever they say. */
  readonly x: readonly string[];
  readonly lines: readonly { readonly label: string; readonly values: readonly Value[] }[];
  /** Dashed lines across. */
  readonly levels: readonly { readonly label: string; readonly value: number }[];
}

/** Okabe and Ito's, which people with any colour vision tell apart. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const LIGHT = "#a6cee3";
const WIDTH = 760;

/** Shares from 0 to 1 as horizontal bars, one group a row. */
export function barsSvg({ title, series, rows }: BarChart): string {
  const left = 300;
  const right = 70;
  const thick = 11;
  const group = thick * series.length + 9;
  const top = 62;
  const bottom = top + rows.length * group;
  const colour = (at: number): string => (at === series.length - 1 ? COLOURS[0]! : LIGHT);
  const x = (value: number): number => left + (WIDTH - left - right) * value;
  const parts = [0, 0.25, 0.5, 0.75, 1].map(
    (tick) =>
      `<path d="M${x(tick)} ${top - 4}V${bottom}" stroke="#ddd"/>${label(x(tick), bottom + 16, tick.toFixed(2), "middle")}`,
  );
  series.forEach((name, at) => {
    parts.push(`<rect x="${left + at * 140}" y="34" width="11" height="11" fill="${colour(at)}"/>`);
    parts.push(label(left + at * 140 + 17, 44, name));
  });
  rows.forEach((row, at) => {
    const y = top + at * group;
    parts.push(label(left - 8, y + (thick * series.length) / 2 + 4, row.label, "end"));
    row.values.forEach(({ mean, sd }, bar) => {
      if (Number.isNaN(mean)) return;
      const from = y + bar * thick;
      parts.push(
        `<rect x="${left}" y="${from}" width="${(x(mean) - left).toFixed(1)}" height="${thick - 1}" fill="${colour(bar)}"/>`,
      );
      const reach = Number.isNaN(sd) ? 0 : sd;
      if (reach > 0)
        parts.push(
          `<path d="M${x(Math.max(0, mean - reach)).toFixed(1)} ${from + 5}H${x(Math.min(1, mean + reach)).toFixed(1)}" stroke="#333"/>`,
        );
      parts.push(label(x(Math.min(1, mean + reach)) + 5, from + 9, mean.toFixed(3), "start", 10));
    });
  });
  return svg(title, bottom + 26, parts);
}

/** Lines over evenly spaced places, each with its band; the axis holds 0 and 1. */
export function linesSvg({ title, xTitle, x: places, lines, levels }: LineChart): string {
  const [left, top, right, bottom] = [54, 40, 540, 330];
  const reach = ({ mean, sd }: Value): number[] => (Number.isNaN(sd) ? [mean] : [mean - sd, mean + sd]);
  const all = [
    0,
    1,
    ...lines.flatMap(({ values }) => values.flatMap(reach)),
    ...levels.map(({ value }) => value),
  ].filter((value) => Number.isFinite(value));
  // A curve that falls far below 0 must not flatten what happens above it.
  const low = Math.max(-1, Math.floor(Math.min(...all) * 4) / 4);
  const high = Math.min(2, Math.ceil(Math.max(...all) * 4) / 4);
  const x = (at: number): number => left + ((right - left) * (at + 0.5)) / places.length;
  const y = (value: number): number =>
    bottom - ((bottom - top) * (Math.min(high, Math.max(low, value)) - low)) / (high - low);
  const parts: string[] = [];
  for (let tick = low; tick <= high + 1e-9; tick += 0.25) {
    const stroke = Math.abs(tick) < 1e-9 ? "#888" : "#e3e3e3";
    parts.push(`<path d="M${left} ${y(tick).toFixed(1)}H${right}" stroke="${stroke}"/>`);
    parts.push(label(left - 6, y(tick) + 4, tick.toFixed(2), "end"));
  }
  parts.push(...places.map((place, at) => label(x(at), bottom + 17, place, "middle")));
  parts.push(label((left + right) / 2, bottom + 36, xTitle, "middle"));
  const legend: string[] = [];
  const entry = (stroke: string, text: string, dash = ""): void => {
    const at = top + 8 + (legend.length / 2) * 20;
    legend.push(`<path d="M${right + 14} ${at}h22" stroke="${stroke}" stroke-width="2"${dash}/>`);
    legend.push(label(right + 42, at + 4, text));
  };
  lines.forEach(({ label: name, values }, at) => {
    const colour = COLOURS[at % COLOURS.length]!;
    const known = values.flatMap((value, place) => (Number.isNaN(value.mean) ? [] : [{ ...value, place }]));
    const point = (place: number, value: number): string => `${x(place).toFixed(1)},${y(value).toFixed(1)}`;
    const banded = known.filter(({ sd }) => !Number.isNaN(sd));
    const above = banded.map(({ place, mean, sd }) => point(place, mean + sd));
    const below = banded.map(({ place, mean, sd }) => point(place, mean - sd)).reverse();
    if (banded.length > 1)
      parts.push(`<polygon points="${[...above, ...below].join(" ")}" fill="${colour}" fill-opacity="0.13"/>`);
    parts.push(
      `<polyline points="${known.map(({ place, mean }) => point(place, mean)).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...known.map(
        ({ place, mean }) => `<circle cx="${x(place).toFixed(1)}" cy="${y(mean).toFixed(1)}" r="3" fill="${colour}"/>`,
      ),
    );
    entry(colour, name);
  });
  levels.forEach(({ label: name, value }, at) => {
    if (Number.isNaN(value)) return;
    const dash = ` stroke-dasharray="${at % 2 === 0 ? "6 4" : "2 3"}"`;
    parts.push(`<path d="M${left} ${y(value).toFixed(1)}H${right}" stroke="#555" stroke-width="2"${dash}/>`);
    entry("#555", name, dash);
  });
  return svg(title, bottom + 50, [...parts, ...legend]);
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="sans-serif" font-size="12">
<title>${escapeXml(title)}</title><rect width="100%" height="100%" fill="white"/>${label(12, 20, title, "start", 14)}
${parts.join("\n")}
</svg>
`;
}

function label(x: number, y: number, text: string, anchor = "start", size = 12): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="#222">${escapeXml(text)}</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

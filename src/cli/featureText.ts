// Features as text in a terminal: a list with one line each, and everything about one.
import { type DistinctSequence, distinctSequences } from "../features/distinctSequences.ts";
import type {
  FeatureDetail,
  FeatureIndexInfo,
  FeatureSequence,
  FeatureSummary,
  Histogram,
  TokenLogit,
} from "../features/featureIndex.ts";
import { bar, density, integer, metric, tokenShown } from "./words.ts";

/** "2/1047" */
export function featureName({ member, index }: Pick<FeatureSummary, "member" | "index">): string {
  return `${member}/${index}`;
}

/** Head and rows of a list; `width` columns at most. */
export function featureList(rows: readonly FeatureSummary[], info: FeatureIndexInfo, width = 100): string {
  const members = info.members.length;
  const dots = Math.max(5, Math.min(members, 12));
  const head = `${"feature".padEnd(9)} ${"density".padStart(12)} ${"max".padStart(7)}  ${members > 1 ? `${"found".padEnd(dots)}  ` : ""}tokens`;
  const lines = rows.map((row) => {
    const left = `${featureName(row).padEnd(9)} ${density(row.density).padStart(12)} ${metric(row.max).padStart(7)}  ${members > 1 ? `${found(row.found).padEnd(dots)}  ` : ""}`;
    return `${left}${tokenChips(row, width - left.length)}`.trimEnd();
  });
  return [head, ...lines].join("\n");
}

/** A dot a member, filled where the feature was found; numbers where there are too many members for dots. */
function found(flags: readonly boolean[]): string {
  if (flags.length > 12) return `${flags.filter((flag) => flag).length}/${flags.length}`;
  return flags.map((flag) => (flag ? "●" : "○")).join("");
}

function tokenChips(row: FeatureSummary, width: number): string {
  const label = row.annotation.label ? `${row.annotation.label} · ` : "";
  let line = `${row.annotation.flagged ? "⚑ " : ""}${label}`;
  for (const [position, token] of row.tokens.entries()) {
    const next = `${position > 0 ? "  " : ""}${tokenShown(token.text)}`;
    if (line.length + next.length > width) break;
    line += next;
  }
  return line || "–";
}

/** Everything about one feature, as Neuronpedia orders it. `color`: activations as background tints; else the strongest token in brackets. */
export function featureDetail(detail: FeatureDetail, info: FeatureIndexInfo, color: boolean, width = 100): string {
  const parts = [
    `Feature ${featureName(detail)}${detail.annotation.label ? `  ${detail.annotation.label}` : ""}${detail.annotation.flagged ? "  ⚑" : ""}`,
    `${info.method}, ${info.hook}${info.modelName ? `, ${info.modelName}` : ""}`,
  ];
  const foundIn = info.members.length > 1 ? `, found in ${found(detail.found)}` : "";
  if (detail.count === 0)
    return [...parts, `never fired on the ${integer(info.tokens)} tokens of the index${foundIn}`].join("\n");
  parts.push(
    `fires on ${density(detail.density)} of tokens (${integer(detail.count)} of ${integer(info.tokens)}), mean ${metric(detail.mean)}, max ${metric(detail.max)}${foundIn}`,
  );
  parts.push("", ...histogramLines(detail.histogram), "", ...tokenLines(detail));
  parts.push("", ...logitLines(detail.logits.top, detail.logits.bottom));
  for (const band of detail.bands) {
    const [low, high] = band.range;
    const title =
      band.kind === "top"
        ? "Top activations"
        : `Activations from ${percent(band.quantiles[0])} to ${percent(band.quantiles[1])}`;
    parts.push("", `${title} (max ${metric(low)} to ${metric(high)})`);
    for (const distinct of distinctSequences(band.sequences).slice(0, 5))
      parts.push(distinctLine(distinct, detail.max, color, width));
  }
  const nearest = detail.nearest.flatMap((list, member) =>
    list.map(({ id, cosine }) => ({ name: `${member}/${id - info.members[member]!.first}`, cosine })),
  );
  if (nearest.length > 0) {
    const best = nearest.sort((a, b) => b.cosine - a.cosine).slice(0, 8);
    parts.push(
      "",
      `Nearest features (cosine of decoder rows): ${best.map(({ name, cosine }) => `${name} ${cosine.toFixed(2)}`).join("  ")}`,
    );
  }
  return parts.join("\n");
}

function percent(quantile: number): string {
  return `${Math.round(100 * quantile)}%`;
}

function histogramLines({ width, counts }: Histogram): string[] {
  const most = Math.max(...counts);
  // Logarithmic, as activations fall off steeply; bins are joined to at most 16 lines.
  const joined = Math.ceil(counts.length / 16);
  const lines = ["Activations (log count)"];
  for (let from = 0; from < counts.length; from += joined) {
    const count = counts.slice(from, from + joined).reduce((sum, value) => sum + value, 0);
    const length = count === 0 ? 0 : Math.log1p(count) / Math.log1p(most * joined);
    lines.push(
      `  ${metric(from * width).padStart(7)}  ${bar(length, 32).replaceAll("░", " ")} ${integer(count)}`.trimEnd(),
    );
  }
  return lines;
}

function tokenLines(detail: FeatureDetail): string[] {
  const rows = detail.tokens.slice(0, 12);
  const width = Math.max(5, ...rows.map((token) => tokenShown(token.text).length));
  return [
    `${"Token".padEnd(width)}  share of mass    mean     max  fires on`,
    ...rows.map(
      (token) =>
        `${tokenShown(token.text).padEnd(width)}  ${`${(100 * token.share).toFixed(1)}%`.padStart(13)} ${metric(token.mean).padStart(7)} ${metric(token.max).padStart(7)}  ${integer(token.count)} of ${integer(token.occurrences)}`,
    ),
    ...(detail.distinctTokens > rows.length ? [`… ${integer(detail.distinctTokens)} different tokens in all`] : []),
  ];
}

function logitLines(top: readonly TokenLogit[], bottom: readonly TokenLogit[]): string[] {
  const cell = (logit: TokenLogit | undefined) =>
    logit ? `${tokenShown(logit.text).padEnd(16)} ${logit.logit.toFixed(2).padStart(6)}` : "";
  const lines = [`${"Top logits".padEnd(27)} Bottom logits`];
  for (let i = 0; i < Math.min(8, Math.max(top.length, bottom.length)); i++)
    lines.push(`${cell(top[i]).padEnd(27)} ${cell(bottom[i])}`);
  return lines;
}

/** The same for a sequence that is there several times, which it says. */
export function distinctLine({ sequence, count }: DistinctSequence, max: number, color: boolean, width = 100): string {
  const times = count > 1 ? `  (${integer(count)} times)` : "";
  return `${sequenceLine(sequence, max, color, width - times.length)}${times}`;
}

/** One line around the peak, cut to the width. */
export function sequenceLine(sequence: FeatureSequence, max: number, color: boolean, width = 100): string {
  const { tokens, peak } = sequence;
  // Tokens of no document stand between documents; at the beginning of a row they say nothing.
  const own = tokens.map((token, i) =>
    token.document !== null ? token.text.replace(/\s+/g, " ") : i === 0 ? "" : " ¶ ",
  );
  const marked = (i: number) =>
    color ? tint(own[i]!, tokens[i]!.activation / max) : i === peak ? bracketed(own[i]!) : own[i]!;
  const budget = width - 12;
  let [from, to] = [peak, peak + 1];
  let length = own[peak]!.length + 2;
  // Two tokens of what came before for each that follows: what fires a feature lies to the left.
  for (let turn = 0; ; turn++) {
    const left = turn % 3 !== 2;
    const next = left && from > 0 ? from - 1 : to < tokens.length ? to : from > 0 ? from - 1 : -1;
    if (next < 0 || length + own[next]!.length > budget) break;
    length += own[next]!.length;
    if (next < from) from = next;
    else to = next + 1;
  }
  let text = "";
  for (let i = from; i < to; i++) text += marked(i);
  const value = metric(tokens[peak]!.activation).padStart(7);
  return `${value}  ${from > 0 ? "…" : " "}${text}${to < tokens.length ? "…" : ""}`;
}

/** " she" → " [she]" */
function bracketed(token: string): string {
  const space = /^\s*/.exec(token)![0];
  return `${space}[${token.slice(space.length)}]`;
}

/** Background in 256-colour ramps of one hue; the text stays as it is, on dark and on light. */
function tint(token: string, strength: number): string {
  if (!(strength > 0.05)) return token;
  const level = Math.min(4, Math.floor(Math.sqrt(strength) * 5));
  return `\u001b[48;5;${[22, 28, 34, 40, 46][level]}m${level >= 2 ? "\u001b[30m" : ""}${token}\u001b[0m`;
}

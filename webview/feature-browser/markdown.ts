// A feature as Markdown, for notes and issues.
import type { FeatureDetail, Sequence } from "../../src/protocol/featureBrowser.ts";
import { joinedTokens } from "../components/joinedTokens.ts";
import { density, significant } from "../components/numbers.ts";

/** Tokens of a sequence before its peak (what fires a feature lies to the left), and behind it. */
const before = 20;
const behind = 8;

const code = (text: string) => `\`${text.replaceAll("`", "ˋ").replaceAll("\n", "↵")}\``;

/** Header, tokens, logits and what stands around the peaks of the sequences, these in bold. */
export function featureAsMarkdown({ row, topLogits, bottomLogits, bands }: FeatureDetail): string {
  const lines = [
    `### Feature ${row.member}/${row.index}${row.label ? `: ${row.label}` : ""}`,
    "",
    `density ${density(row.density)} · max ${significant(row.max)} · found in ${row.foundIn.filter(Boolean).length} of ${row.foundIn.length}${row.flagged ? " · flagged" : ""}`,
    "",
    `Activating tokens: ${row.tokens.map((token) => code(token.text)).join(" ")}`,
  ];
  lines.push("", `Raises: ${topLogits.map((logit) => code(logit.text)).join(" ")}`);
  lines.push("", `Lowers: ${bottomLogits.map((logit) => code(logit.text)).join(" ")}`);
  for (const band of bands) {
    lines.push("", `${band.name} (${significant(band.from)} – ${significant(band.to)})`, "");
    for (const sequence of band.sequences)
      lines.push(`- ${passage(sequence)}${sequence.count > 1 ? ` (× ${sequence.count})` : ""}`);
  }
  if (row.note) lines.push("", row.note);
  return `${lines.join("\n")}\n`;
}

/** What stands around a sequence's peak, in one line. */
function passage({ tokens, peak }: Sequence): string {
  const joined = joinedTokens(tokens);
  const at = joined.findLastIndex(({ from }) => from <= peak);
  const [from, to] = [Math.max(0, at - before), Math.min(joined.length, at + 1 + behind)];
  const text = joined
    .slice(from, to)
    .map((token, i) => (from + i === at ? ` **${token.text.trim()}** ` : token.text))
    .join("");
  return `${from > 0 ? "… " : ""}${text.replaceAll(/\s+/g, " ").trim()}${to < joined.length ? " …" : ""}`;
}

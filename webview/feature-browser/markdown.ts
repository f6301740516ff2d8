// A feature as Markdown, for notes and issues.
import type { FeatureDetail } from "../../src/protocol/featureBrowser.ts";
import { density, significant } from "../components/numbers.ts";

const code = (text: string) => `\`${text.replaceAll("`", "ˋ").replaceAll("\n", "↵")}\``;

/** Header, tokens, logits and the top sequences; peaks in bold. */
export function featureAsMarkdown({ row, topLogits, bottomLogits, bands }: FeatureDetail): string {
  const lines = [
    `### Feature ${row.member}/${row.index}${row.label ? `: ${row.label}` : ""}`,
    "",
    `density ${density(row.density)} · max ${significant(row.max)} · found in ${row.foundIn.filter(Boolean).length} of ${row.foundIn.length}${row.flagged ? " · flagged" : ""}`,
    "",
    `Activating tokens: ${row.tokens.map((token) => code(token.text)).join(" ")}`,
  ];
  if (topLogits) lines.push("", `Raises: ${topLogits.map((logit) => code(logit.text)).join(" ")}`);
  if (bottomLogits) lines.push("", `Lowers: ${bottomLogits.map((logit) => code(logit.text)).join(" ")}`);
  for (const band of bands) {
    lines.push("", `${band.name} (${significant(band.from)} – ${significant(band.to)})`, "");
    for (const { tokens, peak } of band.sequences) {
      const text = tokens.map((token, i) => (i === peak ? ` **${token.text.trim()}** ` : token.text)).join("");
      lines.push(`- ${text.replaceAll(/\s+/g, " ").trim()}`);
    }
  }
  if (row.note) lines.push("", row.note);
  return `${lines.join("\n")}\n`;
}

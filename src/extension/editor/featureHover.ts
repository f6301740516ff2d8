// The hover on an inspected token: its strongest features with what one can do with them, then the token itself and how likely the model held it.
import * as vscode from "vscode";
import type { InspectedToken, NamedFeature } from "../../protocol/inspection.ts";
import { withSigns } from "../../protocol/whiteSpace.ts";
import { commands } from "../ids.ts";
import { featureWords, foundInDots, foundInLegend, strengthBar } from "../words.ts";
import { maxima } from "./inspected.ts";
import type { Inspected, TextInspector } from "./textInspector.ts";

const linked = [
  commands.showFeature,
  commands.flagFeature,
  commands.labelFeature,
  commands.tintByFeature,
  commands.pinFeature,
  commands.ablateFeature,
  commands.steerFeature,
];

export class FeatureHovers implements vscode.HoverProvider {
  readonly #inspector: TextInspector;

  constructor(inspector: TextInspector) {
    this.#inspector = inspector;
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const inspected = this.#inspector.of(document);
    const tokens = this.#inspector.tokensAt(document, position);
    const ensemble = this.#inspector.ensemble;
    if (!inspected || !ensemble || tokens.length === 0) return undefined;
    const text = new vscode.MarkdownString("", true);
    text.isTrusted = { enabledCommands: linked };
    text.supportHtml = true; // for the flag's colour alone: what is data is escaped
    for (const token of tokens) text.appendMarkdown(tokenMarkdown(token, inspected, ensemble));
    const at = (offset: number) => document.positionAt(inspected.base + offset);
    return new vscode.Hover(text, new vscode.Range(at(tokens[0]!.start), at(tokens[0]!.end)));
  }
}

const flag = '<span style="color:var(--vscode-editorWarning-foreground);">⚑</span> ';

function tokenMarkdown(token: InspectedToken, inspected: Inspected, ensemble: string): string {
  const most = maxima(inspected);
  const lines = token.features.map(({ feature, value }) => {
    const row = inspected.rows.get(feature);
    if (!row) return "";
    const link = (title: string, command: string, ...args: unknown[]) =>
      `[${title}](command:${command}?${encodeURIComponent(JSON.stringify(args))})`;
    const dots = foundInDots(row.foundIn);
    const found = dots && ` <span title="${foundInLegend(row.foundIn)}">${dots}</span>`;
    const links = [
      link(row.flagged ? "unflag" : "flag", commands.flagFeature, ensemble, feature, !row.flagged),
      link("label", commands.labelFeature, ensemble, feature),
      link("tint", commands.tintByFeature, feature),
      link("pin", commands.pinFeature, feature),
      link("ablate", commands.ablateFeature, ensemble, feature),
      link("steer", commands.steerFeature, ensemble, feature, most(feature)),
    ].join(" · ");
    const open = link(`**${row.member}/${row.index}**`, commands.showFeature, ensemble, feature);
    return `${row.flagged ? flag : ""}${open} ${named(row)} — ${strengthBar(value, most(feature))} ${value.toPrecision(3)}${found} · ${links}  \n`;
  });
  const likely =
    token.logprob === null
      ? inspected.result.likelihoods
        ? "first token: nothing stands before it"
        : "its probability is being read…"
      : `p ${percent(Math.exp(token.logprob))} (log p ${token.logprob.toFixed(2).replace("-", "−")}), rank ${(token.rank! + 1).toLocaleString("en-US")}`;
  const none = token.special ? "_A special token: no feature is trained on it._  \n" : "_No feature fires here._  \n";
  return `${lines.join("") || none}\n\n\`${withSigns(token.text).replaceAll("`", "ˋ") || "␀"}\` id ${token.id} · ${likely}\n\n`;
}

/** Its label, if it has one, and the tokens that fire it most. */
function named({ label, tokens }: NamedFeature): string {
  const texts = escaped(featureWords({ label: "", tokens }));
  return label ? `_${escaped(label)}_ (${texts})` : texts;
}

function percent(share: number): string {
  return share < 1e-4 ? `${(100 * share).toExponential(1)}%` : `${(100 * share).toPrecision(3)}%`;
}

/** Tokens are data: none of their characters is markup. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~$&:]/g, (character) => `\\${character}`);
}

// The hover on an inspected token: its strongest features with what one can do with them, then the token itself and how likely the model held it.
import * as vscode from "vscode";
import type { InspectedToken, NamedFeature } from "../../protocol/inspection.ts";
import { withSigns } from "../../protocol/whiteSpace.ts";
import { commands, pinColors } from "../ids.ts";
import { featureWords, foundInDots, foundInLegend, strengthBar } from "../words.ts";
import type { Place } from "./followedEditor.ts";
import { firing, maxima } from "./inspected.ts";
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
    text.supportHtml = true; // for the colours of flags and pins alone: what is data is escaped
    const at = (offset: number) => document.positionAt(inspected.base + offset);
    for (const token of tokens) {
      const { line, character } = at(token.end);
      const place: Place = { document: document.uri.toString(), line, character };
      text.appendMarkdown(tokenMarkdown(token, inspected, ensemble, place));
    }
    return new vscode.Hover(text, new vscode.Range(at(tokens[0]!.start), at(tokens[0]!.end)));
  }
}

const flag = '<span style="color:var(--vscode-editorWarning-foreground);">⚑</span> ';

/** A dot of the colour that a pinned feature tints in. */
function pinMark(pin: number): string {
  return `<span style="color:var(--vscode-${pinColors[pin]!.replace(".", "-")});">●</span> `;
}

function tokenMarkdown(token: InspectedToken, inspected: Inspected, ensemble: string, place: Place): string {
  const most = maxima(inspected);
  const features = firing(token, inspected);
  const lines = features.map(({ feature, value }) => {
    const row = inspected.rows.get(feature);
    if (!row) return "";
    const link = (title: string, command: string, ...args: unknown[]) =>
      `[${title}](command:${command}?${encodeURIComponent(JSON.stringify(args))})`;
    const dots = foundInDots(row.foundIn);
    const found = dots && ` <span title="${foundInLegend(row.foundIn).replace("\n", ". ")}">${dots}</span>`;
    const pin = inspected.pinned.indexOf(feature);
    const links = [
      link(row.flagged ? "unflag" : "flag", commands.flagFeature, ensemble, feature, !row.flagged),
      link("label", commands.labelFeature, ensemble, feature),
      link("tint", commands.tintByFeature, feature),
      link(pin < 0 ? "pin" : "unpin", commands.pinFeature, feature),
      link("ablate", commands.ablateFeature, ensemble, feature, place),
      link("steer", commands.steerFeature, ensemble, feature, most(feature), place),
    ].join(" · ");
    const open = link(`**${row.member}/${row.index}**`, commands.showFeature, ensemble, feature);
    return `${pin < 0 ? "" : pinMark(pin)}${row.flagged ? flag : ""}${open} ${named(row)} — ${strengthBar(value, most(feature))} ${value.toPrecision(3)}${found} · ${links}  \n`;
  });
  const likely =
    token.logprob === null
      ? inspected.result.likelihoods
        ? "first token: nothing stands before it"
        : "its probability is being read…"
      : `p ${percent(Math.exp(token.logprob))} (log p ${token.logprob.toFixed(2).replace("-", "−")}), rank ${(token.rank! + 1).toLocaleString("en-US")}`;
  const pins = features.filter(({ feature }) => inspected.pinned.includes(feature)).length;
  const several =
    pins > 1 ? `_${pins} pinned features fire here: the tint is that of the one nearest to its maximum._  \n` : "";
  const none = token.special ? "_A special token: no feature is trained on it._  \n" : "_No feature fires here._  \n";
  return `${lines.join("") || none}${several}\n\n\`${withSigns(token.text).replaceAll("`", "ˋ") || "␀"}\` id ${token.id} · ${likely}\n\n`;
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

// The status bar item of inspection: which ensemble and feature tint the active editor, what is going on, what went wrong; a click is the way out.
import * as vscode from "vscode";
import { commands } from "../ids.ts";
import { featureWords } from "../words.ts";
import { partOf, partSize } from "./fileParts.ts";
import { nothingPinnedFires } from "./inspected.ts";
import type { TextInspector } from "./textInspector.ts";

/** Share of unknown characters from which the numbers mean little. */
const mostUnknown = 0.3;

export class InspectionStatus implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem("saeEnsembles.inspection", vscode.StatusBarAlignment.Right, 90);
  readonly #subscription: vscode.Disposable;

  constructor(inspector: TextInspector) {
    this.#item.name = "SAE Ensembles: inspection";
    this.#item.command = commands.inspectionMenu;
    this.#subscription = inspector.onChanged(() => this.#show(inspector));
  }

  dispose(): void {
    vscode.Disposable.from(this.#item, this.#subscription).dispose();
  }

  #show(inspector: TextInspector): void {
    const document = inspector.editor?.document;
    const phase = document && inspector.phase(document);
    if (!document || !phase) {
      this.#item.hide();
      return;
    }
    const inspected = inspector.of(document);
    const name = inspector.ensembleName ?? "no ensemble";
    if (phase.state === "gone") {
      this.#item.backgroundColor = undefined;
      this.#item.text = `$(circle-slash) ${name} is gone`;
      this.#item.tooltip = `${phase.reason} A click offers another ensemble.`;
      this.#item.show();
      return;
    }
    const pinned = inspector.pinned.map((feature) => {
      const row = inspector.named(feature);
      return row ? `${row.member}/${row.index} ${featureWords(row)}` : `feature ${feature}`;
    });
    const unknown = (inspected?.result.unknown ?? 0) > mostUnknown;
    this.#item.backgroundColor =
      phase.state === "failed"
        ? new vscode.ThemeColor("statusBarItem.errorBackground")
        : unknown
          ? new vscode.ThemeColor("statusBarItem.warningBackground")
          : undefined;
    const icon =
      phase.state === "reading"
        ? "$(sync~spin)"
        : phase.state === "failed"
          ? "$(error)"
          : unknown
            ? "$(warning)"
            : "$(eye)";
    const partly = inspected?.result.wholeScreen === false;
    const part = partOf(document.uri);
    // Of what is pinned now, not of what was before it is read again.
    const nowhere = inspected?.pinned === inspector.pinned && nothingPinnedFires(inspected);
    const notes = [
      ...(part ? [`part ${part.part} of ${part.parts} of the file`] : []),
      ...(partly ? ["part of the screen"] : []),
      ...(nowhere ? [pinned.length > 1 ? "none pinned fires here" : "fires nowhere here"] : []),
    ];
    const tinting = pinned.length > 1 ? `${pinned.length} pinned` : (pinned[0] ?? name);
    const subject = `${tinting}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`;
    this.#item.text = `${icon} ${phase.state === "failed" ? `${name}: failed` : subject}`;
    const lines = [`Inspecting through ${name}`];
    if (phase.state === "failed") lines.push(phase.reason);
    if (phase.state === "reading") lines.push(inspected ? "Reading…" : "Opening the model and reading…");
    if (pinned.length > 0) lines.push(`Tinted by ${pinned.join(", ")}`);
    else lines.push("Every token is tinted by its strongest feature");
    if (nowhere)
      lines.push(
        `${pinned.length > 1 ? "None of them fires" : "It fires nowhere"} in what was read, so nothing is tinted. A click offers to tint by the strongest feature.`,
      );
    if (unknown)
      lines.push(
        `The model's tokenizer has no names for ${Math.round(100 * inspected!.result.unknown)}% of these characters: it reads them byte by byte, and features say little about them.`,
      );
    const read = inspected?.result.read;
    if (read && inspected) {
      lines.push(
        `${inspected.result.tokens.length.toLocaleString("en-US")} tokens read, characters ${(inspected.base + read.start).toLocaleString("en-US")} to ${(inspected.base + read.end).toLocaleString("en-US")}`,
      );
    }
    if (part)
      lines.push(
        `VS Code doesn't show all of so large a file to extensions: this is part ${part.part} of ${part.parts}, ${partSize} each, of ${part.file.fsPath}. A click offers the others.`,
      );
    if (partly)
      lines.push("The screen shows more than is read at a time: its end is not read. Scroll there to read it.");
    this.#item.tooltip = lines.join("\n");
    this.#item.show();
  }
}

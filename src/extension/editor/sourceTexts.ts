// "Open the source text": the file that was indexed, at a token's place; documents of packed or compressed files as read-only editors of their own.
import { basename } from "node:path";
import * as vscode from "vscode";
import type { SourceQuestion } from "../../protocol/featureBrowser.ts";
import type { ServiceClient } from "../serviceClient.ts";

const scheme = "sae-ensembles-text";
/** Language of documents that are shown outside their file, which the manifest has wrapped: they are often one long line. */
const language = "sae-ensembles-text";

export class SourceTexts implements vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #registration: vscode.Disposable;

  constructor(service: ServiceClient) {
    this.#service = service;
    this.#registration = vscode.workspace.registerTextDocumentContentProvider(scheme, this);
  }

  /** Opens the text beside the panel, the token selected. The keys stay the panel's: who goes on with j means no edit of a text that runs depend on. */
  async open(ensemble: string, question: SourceQuestion): Promise<void> {
    const place = await this.#ask(ensemble, question);
    const uri = place.plain
      ? vscode.Uri.file(place.file)
      : vscode.Uri.from({
          scheme,
          path: `/${basename(place.file)}, line ${place.line}.txt`,
          query: JSON.stringify({ ensemble, ...question }),
        });
    const selection = new vscode.Range(place.from.line, place.from.character, place.to.line, place.to.character);
    const document = await vscode.workspace.openTextDocument(uri);
    if (!place.plain) await vscode.languages.setTextDocumentLanguage(document, language);
    await vscode.window.showTextDocument(document, {
      selection,
      viewColumn: vscode.ViewColumn.Beside,
      preview: true,
      preserveFocus: true,
    });
    if (place.changed)
      void vscode.window.showWarningMessage(
        `${basename(place.file)} has changed since it was indexed: this may be another place.`,
      );
  }

  /** The document that a URI of ours names; asked again after a reload of the window. */
  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const { ensemble, ...question } = JSON.parse(uri.query) as { ensemble: string } & SourceQuestion;
    return (await this.#ask(ensemble, question)).text;
  }

  #ask(ensemble: string, question: SourceQuestion) {
    return this.#service.request("source", { ensemble, ...question }, { timeout: 120_000 });
  }

  dispose(): void {
    this.#registration.dispose();
  }
}

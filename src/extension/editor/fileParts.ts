// Files too large for VS Code to show to extensions (50 MB and more; in a browser less): a part at a time as a read-only editor of its own, which keeps the file's extension and says which part it is.
import { stat } from "node:fs/promises";
import { posix } from "node:path";
import * as vscode from "vscode";
import { PART_BYTES, readFilePart } from "../../data/fileParts.ts";

const scheme = "sae-ensembles-part";
/** From here on VS Code itself leaves out what costs time for a file's length. */
const mostBytes = 20_000_000;

/** A part of a file that is open: `part` of `parts`, from 1. */
export interface OpenPart {
  readonly file: vscode.Uri;
  readonly part: number;
  readonly parts: number;
}

export class FileParts implements vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #registration = vscode.workspace.registerTextDocumentContentProvider(scheme, this);

  /** The text that a URI of ours names; asked again after a reload of the window. */
  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const { file, part } = partOf(uri)!;
    return (await readFilePart(file.fsPath, part)).text;
  }

  dispose(): void {
    this.#registration.dispose();
  }
}

/** Shows a text file as an editor: the whole of it, or the first part of one that is large. */
export async function showFile(uri: vscode.Uri, viewColumn = vscode.ViewColumn.Active): Promise<vscode.TextDocument> {
  if (uri.scheme === "file" && (await stat(uri.fsPath)).size > mostBytes) return showPart(uri, 1, viewColumn);
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document, { preview: false, viewColumn });
  return document;
}

/** Throws for a file that isn't on the machine of the extensions, or isn't text. */
export async function showPart(
  file: vscode.Uri,
  part: number,
  viewColumn = vscode.ViewColumn.Active,
): Promise<vscode.TextDocument> {
  if (file.scheme !== "file") throw new Error("VS Code doesn't show this editor's text to extensions.");
  // Read here as well, since VS Code shows what a provider throws as an empty editor.
  const { parts } = await readFilePart(file.fsPath, part);
  const { dir, name, ext } = posix.parse(file.path);
  const uri = vscode.Uri.from({
    scheme,
    path: `${dir === "/" ? "" : dir}/${name} (part ${part} of ${parts.toLocaleString("en-US")})${ext}`,
    query: JSON.stringify({ file: file.toString(), part, parts }),
  });
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document, { viewColumn });
  return document;
}

/** The file's part that a document shows; undefined for any other document. */
export function partOf(uri: vscode.Uri): OpenPart | undefined {
  if (uri.scheme !== scheme) return undefined;
  const { file, ...numbers } = JSON.parse(uri.query) as { file: string; part: number; parts: number };
  return { ...numbers, file: vscode.Uri.parse(file) };
}

/** "2 MB" */
export const partSize = `${PART_BYTES / 1e6} MB`;

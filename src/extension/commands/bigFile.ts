// Files that VS Code keeps from extensions for their size (50 MB and more): their beginning as a document of its own.
import { open, stat } from "node:fs/promises";
import * as vscode from "vscode";

const shownBytes = 200_000;

/** Asks, then opens the first lines; nothing where a person says no or the file isn't one of this machine. */
export async function bigFile(uri: vscode.Uri): Promise<vscode.TextDocument[]> {
  if (uri.scheme !== "file") throw new Error("VS Code doesn't show this editor's text to extensions.");
  const { size } = await stat(uri.fsPath);
  const megabytes = Math.round(size / 1e6).toLocaleString("en-US");
  const first = "Open the First 200 KB";
  const answer = await vscode.window.showInformationMessage(
    `VS Code doesn't show files of this size (${megabytes} MB) to extensions. A part of it can be inspected.`,
    first,
  );
  if (answer !== first) return [];
  const file = await open(uri.fsPath);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(shownBytes), 0, shownBytes, 0);
    const lines = buffer.subarray(0, bytesRead);
    const end = lines.lastIndexOf(0x0a) + 1 || bytesRead;
    const document = await vscode.workspace.openTextDocument({ content: lines.toString("utf8", 0, end) });
    await vscode.window.showTextDocument(document);
    return [document];
  } finally {
    await file.close();
  }
}

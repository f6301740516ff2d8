// "Doctor": what this machine has and can run, as the command line's doctor says it, in a document.
import * as vscode from "vscode";
import type { Parts } from "./register.ts";

export async function doctor({ service }: Parts): Promise<void> {
  const { text } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: "SAE Ensembles: looking at this machine…" },
    () => service.request("doctor", {}, { timeout: 120_000 }),
  );
  await vscode.window.showTextDocument(
    await vscode.workspace.openTextDocument({ content: text, language: "plaintext" }),
  );
}

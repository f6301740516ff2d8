// "Doctor": what this machine has and can run, as the command line's doctor says it, in a read-only document.
import { homedir } from "node:os";
import * as vscode from "vscode";
import type { ServiceClient } from "../serviceClient.ts";

const uri = vscode.Uri.from({ scheme: "sae-ensembles-doctor", path: "Doctor" });

export class DoctorReport implements vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.#changed.event;
  readonly #registration = vscode.workspace.registerTextDocumentContentProvider(uri.scheme, this);

  constructor(service: ServiceClient) {
    this.#service = service;
  }

  /** Examines the machine each time that the document is asked for, after a reload of the window as well. */
  async provideTextDocumentContent(): Promise<string> {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? homedir();
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: "SAE Ensembles: looking at this machine…",
    };
    return vscode.window.withProgress(options, async () => {
      const asked = this.#service.request("doctor", { folder }, { timeout: 120_000 });
      // VS Code shows what is thrown here as an empty editor.
      return asked.then(({ text }) => text, String);
    });
  }

  async show(): Promise<void> {
    this.#changed.fire(uri);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: false });
  }

  dispose(): void {
    vscode.Disposable.from(this.#registration, this.#changed).dispose();
  }
}

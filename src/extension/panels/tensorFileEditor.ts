// The read-only editor of .safetensors files and ensemble.json: a click shows what the file is. Numbers are the service's.
import * as vscode from "vscode";
import { editors } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { fillPanel } from "./webviewPanel.ts";

/** Milliseconds that reading a large file may take. */
const READING = 300_000;

export function registerTensorFileEditor(extension: vscode.Uri, service: ServiceClient): vscode.Disposable {
  const provider: vscode.CustomReadonlyEditorProvider = {
    openCustomDocument: (uri) => ({ uri, dispose: () => {} }),
    resolveCustomEditor: ({ uri }, panel) => {
      const title = vscode.workspace.asRelativePath(uri);
      const file = uri.fsPath;
      fillPanel(
        panel,
        extension,
        { bundle: "tensor-file", element: "sae-tensor-file", title },
        {
          ready: (_, signal) => service.request("describeTensorFile", { file }, { timeout: READING, signal }),
          statistics: ({ tensor }, signal) =>
            service.request("tensorStatistics", { file, tensor }, { timeout: READING, signal }),
          openAsText: async () => {
            await vscode.commands.executeCommand("vscode.openWith", uri, "default");
            return {};
          },
        },
      );
    },
  };
  return vscode.window.registerCustomEditorProvider(editors.tensorFile, provider, {
    supportsMultipleEditorsPerDocument: true,
  });
}

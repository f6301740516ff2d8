// Dropping on the Ensembles view: folders and files of SAEs are imported.
import * as vscode from "vscode";
import { commands } from "../ids.ts";
import type { EnsembleRow } from "./ensemblesTree.ts";

const URIS = "text/uri-list";

export const ensembleDrop: vscode.TreeDragAndDropController<EnsembleRow> = {
  dropMimeTypes: [URIS],
  dragMimeTypes: [],
  handleDrop: async (_, data) => {
    const list = await data.get(URIS)?.asString();
    const uris = (list ?? "").split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#"));
    const files = uris.map((uri) => vscode.Uri.parse(uri, true)).flatMap(here);
    if (files.length > 0) await vscode.commands.executeCommand(commands.importSaes, files);
    else if (uris.length > 0)
      void vscode.window.showWarningMessage("Only files and folders of this machine are imported.");
  },
};

/** The file of this machine that a URI means: the window may be elsewhere, and names it with the remote before its path. */
function here({ scheme, path }: vscode.Uri): vscode.Uri[] {
  return scheme === "file" || scheme === "vscode-remote" ? [vscode.Uri.file(path)] : [];
}

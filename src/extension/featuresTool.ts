// The language model tool #saeFeatures: which features fire on a text, described from their index, for chat in the editor; only where the editor has such tools.
import * as vscode from "vscode";
import type { TextInspector } from "./editor/textInspector.ts";
import { featuresTool } from "./ids.ts";
import type { RunStore } from "./runStore.ts";
import type { ServiceClient } from "./serviceClient.ts";

const mostCharacters = 20_000;
const patience = 10 * 60_000;

interface Input {
  readonly text: string;
}

export function registerFeaturesTool(
  service: ServiceClient,
  store: RunStore,
  inspector: TextInspector,
): vscode.Disposable {
  if (typeof vscode.lm?.registerTool !== "function") return new vscode.Disposable(() => {});
  return vscode.lm.registerTool<Input>(featuresTool, {
    prepareInvocation: ({ input }) => ({
      invocationMessage: `Reading ${String(input.text).length.toLocaleString("en-US")} characters through the ensemble`,
    }),
    invoke: async ({ input }, token) => {
      const said = (text: string) => new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
      await store.listed();
      const folders = store.readable.map(({ ensemble }) => ensemble.folder);
      const ensemble = folders.find((folder) => folder === inspector.ensemble) ?? folders[0];
      if (!ensemble)
        return said(
          "There is no ensemble of sparse autoencoders in this workspace yet. The user can train one with the command “SAE Ensembles: Run the Demo”.",
        );
      if (typeof input.text !== "string" || input.text.trim() === "")
        return said("There is no text to read: give `text`.");
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const { text } = await service.request(
        "describeText",
        { ensemble, text: input.text.slice(0, mostCharacters) },
        { timeout: patience, signal: abort.signal },
      );
      const cut = input.text.length > mostCharacters;
      const number = (n: number) => n.toLocaleString("en-US");
      return said(
        cut
          ? `Only the first ${number(mostCharacters)} of the text's ${number(input.text.length)} characters were read.\n${text}`
          : text,
      );
    },
  });
}

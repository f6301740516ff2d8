// "Set Hugging Face Token": keeps the user's token in VS Code's secret storage and tells the service, which downloads gated models with it.
import * as vscode from "vscode";
import type { ServiceClient } from "../serviceClient.ts";
import type { Parts } from "./register.ts";

const KEY = "huggingFaceToken";

export async function setHubToken({ context, service }: Parts): Promise<void> {
  const token = await vscode.window.showInputBox({
    title: "Hugging Face access token",
    prompt:
      "For gated and private models and data sets. Kept in VS Code's secret storage; leave it empty to forget it.",
    placeHolder: "hf_…",
    password: true,
    ignoreFocusOut: true,
    validateInput: (value) => (/^[\x21-\x7e]*$/.test(value.trim()) ? undefined : "A token has no spaces"),
  });
  if (token === undefined) return;
  if (token.trim() === "") await context.secrets.delete(KEY);
  else await context.secrets.store(KEY, token.trim());
  await service.request("setHubToken", { token: token.trim() || null });
}

/** Tells each service that starts; runs that it starts have the token as well. */
export function keepHubToken(context: vscode.ExtensionContext, service: ServiceClient): vscode.Disposable {
  return service.onStarted(async () => {
    const token = await context.secrets.get(KEY);
    if (token !== undefined) await service.request("setHubToken", { token });
  });
}

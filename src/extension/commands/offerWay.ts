// Shows what is missing to a feature index, and goes the way that a person chooses.
import * as vscode from "vscode";
import type { WayToIndex } from "./wayToIndex.ts";

export async function offerWay(way: { readonly message: string } & Partial<WayToIndex>): Promise<void> {
  const { message, button, command, argument } = way;
  const answer = await vscode.window.showInformationMessage(message, ...(button ? [button] : []));
  if (answer && command) await vscode.commands.executeCommand(command, argument);
}

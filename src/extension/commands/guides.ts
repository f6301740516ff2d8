// The guides that come along (docs/*.md), as the editor renders Markdown.
import * as vscode from "vscode";
import type { Parts } from "./register.ts";

/** The order in which a newcomer reads them. */
const order = ["vscode", "models", "devices", "probing", "import-export", "glossary", "correctness", "results"];

/** `name`: of a guide's file, without its ending; asked for where there is none. */
export async function openGuide({ context }: Parts, name?: string): Promise<void> {
  const folder = vscode.Uri.joinPath(context.extensionUri, "docs");
  const chosen = name ?? (await choose(folder));
  if (chosen === undefined) return;
  await vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.joinPath(folder, `${chosen}.md`));
}

async function choose(folder: vscode.Uri): Promise<string | undefined> {
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const files = await vscode.workspace.fs.readDirectory(folder);
  const names = files.map(([file]) => file.replace(/\.md$/, "")).sort((a, b) => place(a) - place(b));
  const guides = names.map(async (name) => {
    const text = new TextDecoder().decode(
      await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder, `${name}.md`)),
    );
    return { label: /^# (.*)$/m.exec(text)?.[1] ?? name, name };
  });
  const picked = await vscode.window.showQuickPick(Promise.all(guides), { placeHolder: "Which guide?" });
  return picked?.name;
}

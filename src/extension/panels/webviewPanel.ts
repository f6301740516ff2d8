// A webview panel with a strict content policy and a JSON-RPC line to its page. What it shows and answers is the caller's.
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { Message } from "vscode-jsonrpc";
import type * as z from "zod";
import type { Handlers } from "../../protocol/rpc.ts";
import type { PanelType } from "../ids.ts";
import type { Pages } from "../talk.ts";
import type { Heard } from "./panelLine.ts";

export interface PanelPage<B extends keyof Pages> {
  /** Bundle under dist/webview, without .js; the name of its contracts. */
  readonly bundle: B;
  /** Custom element that fills the page. */
  readonly element: string;
  readonly title: string;
}

/** What the page is told; what is said before the line is open waits for it. */
export interface Teller<B extends keyof Pages> {
  notify<K extends keyof Notifications<B> & string>(name: K, content: z.infer<Notifications<B>[K]>): void;
}
type Notifications<B extends keyof Pages> = Pages[B]["view"]["notifications"];

/** What the page asks, answered. */
export type Answers<B extends keyof Pages> = Handlers<Pages[B]["host"]>;

/** Has `serializer` fill the panels of a type that a window brings back when it is loaded again. */
export function restorePanels(viewType: PanelType, serializer: vscode.WebviewPanelSerializer): vscode.Disposable {
  return vscode.window.registerWebviewPanelSerializer(viewType, serializer);
}

/** What stands in a panel's tab: VS Code draws it as it is, so that dark and light themes need one each. */
export function tabIcon(extension: vscode.Uri): { light: vscode.Uri; dark: vscode.Uri } {
  const file = (name: string) => vscode.Uri.joinPath(extension, "media", name);
  return { light: file("activity-light.svg"), dark: file("activity.svg") };
}

/** Fills a panel with a page and opens the line; the line ends with the panel, and so does every open request. */
export function fillPanel<B extends keyof Pages>(
  panel: vscode.WebviewPanel,
  extension: vscode.Uri,
  page: PanelPage<B>,
  answers: Answers<B>,
): Teller<B> {
  const { webview } = panel;
  webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extension, "dist", "webview")] };
  const heard = listenTo(webview);
  webview.html = pageHtml(webview, extension, page);
  const opened = import("../talk.ts").then(
    ({ PanelLine, pages }) =>
      new PanelLine<Pages[B]["host"], Pages[B]["view"]>(webview, heard, pages[page.bundle], answers),
  );
  let gone = false;
  panel.onDidDispose(() => {
    gone = true;
    void opened.then((line) => line.dispose());
  });
  return {
    notify: (name, content) =>
      void opened.then((line) => {
        if (!gone) line.notify(name, content);
      }),
  };
}

/** Keeps what the page says until somebody listens. */
function listenTo(webview: vscode.Webview): Heard {
  const kept: Message[] = [];
  let listener: ((message: Message) => void) | undefined;
  const subscription = webview.onDidReceiveMessage((message: Message) => {
    if (listener) listener(message);
    else kept.push(message);
  });
  return {
    to: (given) => {
      for (const message of kept.splice(0)) given(message);
      listener = given;
      return subscription;
    },
  };
}

function pageHtml(
  webview: vscode.Webview,
  extension: vscode.Uri,
  { bundle, element, title }: PanelPage<keyof Pages>,
): string {
  const nonce = randomBytes(16).toString("base64url");
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extension, "dist", "webview", `${bundle}.js`));
  // Styles are inline (Lit falls back to <style> elements only where constructable sheets are missing; style attributes carry tints).
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'unsafe-inline'; img-src ${webview.cspSource} data:; font-src ${webview.cspSource}`;
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escapeHtml(title)}</title>
  <style>
    html { background: var(--vscode-editor-background); }
    html, body { margin: 0; padding: 0; height: 100%; overflow: hidden; }
  </style>
</head>
<body><${element}></${element}><script type="module" nonce="${nonce}" src="${script}"></script></body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

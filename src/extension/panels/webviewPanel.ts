// A webview panel with a strict content policy and a JSON-RPC line to its page. What it shows and answers is the caller's.
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc/node";

class PanelReader extends AbstractMessageReader {
  readonly #webview: vscode.Webview;
  constructor(webview: vscode.Webview) {
    super();
    this.#webview = webview;
  }
  listen(callback: DataCallback): Disposable {
    return this.#webview.onDidReceiveMessage((message: Message) => {
      if (message?.jsonrpc === "2.0") callback(message);
    });
  }
}

class PanelWriter extends AbstractMessageWriter {
  readonly #webview: vscode.Webview;
  constructor(webview: vscode.Webview) {
    super();
    this.#webview = webview;
  }
  async write(message: Message): Promise<void> {
    await this.#webview.postMessage(message);
  }
  end(): void {}
}

export interface PanelPage {
  /** Bundle under dist/webview, without .js. */
  readonly bundle: string;
  /** Custom element that fills the page. */
  readonly element: string;
  readonly title: string;
}

/** Fills a panel with a page and opens the line; the line ends with the panel, and so does every open request. */
export function fillPanel(panel: vscode.WebviewPanel, extension: vscode.Uri, page: PanelPage): MessageConnection {
  const { webview } = panel;
  webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extension, "dist", "webview")] };
  const connection = createMessageConnection(new PanelReader(webview), new PanelWriter(webview));
  connection.listen();
  panel.onDidDispose(() => connection.dispose());
  webview.html = pageHtml(webview, extension, page);
  return connection;
}

function pageHtml(webview: vscode.Webview, extension: vscode.Uri, { bundle, element, title }: PanelPage): string {
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
  <style>html, body { margin: 0; padding: 0; height: 100%; overflow: hidden; }</style>
</head>
<body><${element}></${element}><script type="module" nonce="${nonce}" src="${script}"></script></body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

// The line to a panel's page: JSON-RPC over the webview's messages, checked by the page's contract. Loaded with the first message (talk.ts).
import type * as vscode from "vscode";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc/node";
import type * as z from "zod";
import { answer, type Contract, type Handlers, notify } from "../../protocol/rpc.ts";

/** What a page said before anything listened, then what it says. */
export interface Heard {
  /** Hands over what has been said so far, and from now on all that follows. */
  to(listener: (message: Message) => void): Disposable;
}

class PanelReader extends AbstractMessageReader {
  readonly #heard: Heard;
  constructor(heard: Heard) {
    super();
    this.#heard = heard;
  }
  listen(callback: DataCallback): Disposable {
    return this.#heard.to((message) => {
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

export class PanelLine<H extends Contract, V extends Contract> {
  readonly #connection: MessageConnection;
  readonly #view: V;

  /** Opens the line and answers what the page asks. */
  constructor(webview: vscode.Webview, heard: Heard, { host, view }: { host: H; view: V }, handlers: Handlers<H>) {
    this.#view = view;
    this.#connection = createMessageConnection(new PanelReader(heard), new PanelWriter(webview));
    answer(this.#connection, host, handlers);
    this.#connection.listen();
  }

  notify<K extends keyof V["notifications"] & string>(name: K, content: z.infer<V["notifications"][K]>): void {
    notify(this.#connection, this.#view, name, content);
  }

  dispose(): void {
    this.#connection.dispose();
  }
}

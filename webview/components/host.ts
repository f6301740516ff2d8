// The webview's end of the line to its host: a JSON-RPC connection over acquireVsCodeApi's messages, and the little state that survives a reload.
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageConnection,
  type MessageReader,
  type MessageWriter,
} from "vscode-jsonrpc/browser";

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): VsCodeApi;

const vscode = acquireVsCodeApi();

class WindowReader extends AbstractMessageReader implements MessageReader {
  listen(callback: DataCallback): Disposable {
    const receive = (event: MessageEvent) => {
      if (event.data?.jsonrpc === "2.0") callback(event.data as Message);
    };
    window.addEventListener("message", receive);
    return { dispose: () => window.removeEventListener("message", receive) };
  }
}

class HostWriter extends AbstractMessageWriter implements MessageWriter {
  async write(message: Message): Promise<void> {
    vscode.postMessage(message);
  }
  end(): void {}
}

/** Opens the line; call once a page. */
export function connectToHost(): MessageConnection {
  const connection = createMessageConnection(new WindowReader(), new HostWriter());
  connection.listen();
  return connection;
}

/** Scroll position, selection and filters: all that a webview may keep. */
export function loadViewState<T extends object>(fallback: T): T {
  const state = vscode.getState();
  return typeof state === "object" && state !== null ? { ...fallback, ...state } : fallback;
}

export function saveViewState(state: object): void {
  vscode.setState(state);
}

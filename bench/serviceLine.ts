// The service as the extension host has it: the built bundle in a process of its own, asked over its line.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";

export interface ServiceLine {
  readonly child: ChildProcess;
  readonly line: MessageConnection;
  /** Ends the process. */
  end(): Promise<void>;
}

export function startService(): ServiceLine {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", "dist", "service.js")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const line = createMessageConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin));
  line.listen();
  return {
    child,
    line,
    end: async () => {
      const ended = once(child, "exit");
      line.dispose();
      child.kill();
      await ended;
    },
  };
}

// What a command ends in where nothing went wrong: a question that was cancelled is no error to show.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import { Hint, wasCancelled } from "../../../src/extension/hint.ts";
import { request } from "../../../src/protocol/rpc.ts";
import { service } from "../../../src/protocol/service.ts";

test("a question to the service that was cancelled is told from one that failed", async () => {
  const line = createMessageConnection(
    new StreamMessageReader(new PassThrough()),
    new StreamMessageWriter(new PassThrough()),
  );
  line.listen();
  const ask = (options: { signal?: AbortSignal; timeout?: number }) =>
    request(line, service, "doctor", { folder: "" }, options).then(
      () => assert.fail("nobody answers"),
      (error: unknown) => error,
    );
  const abort = new AbortController();
  const asked = ask({ signal: abort.signal });
  abort.abort();
  assert.equal(wasCancelled(await asked), true);
  assert.equal(wasCancelled(await ask({ timeout: 1 })), false);
  assert.equal(wasCancelled(new Hint("Open a text.")), false);
  line.dispose();
});

// Messages over a stream: what is sent arrives, however the bytes are cut, with arrays of every kind and without touching them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex, PassThrough } from "node:stream";
import { test } from "node:test";
import { MessageChannel } from "../../../src/formats/messageChannel.ts";

/** Two channels, each hearing what the other says, in pieces of `bytes`. */
function pair(bytes: number): { sender: MessageChannel; received: unknown[]; next: (count: number) => Promise<void> } {
  const wire = new PassThrough();
  const received: unknown[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const end = () => {};
  const message = (one: unknown) => {
    received.push(one);
    for (const { count, resolve } of waiting) if (received.length >= count) resolve();
  };
  const into = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      for (let at = 0; at < chunk.length; at += bytes) wire.write(Buffer.from(chunk.subarray(at, at + bytes)));
      done();
    },
  });
  new MessageChannel(Duplex.from({ readable: wire }), { message, end });
  const next = (count: number) =>
    received.length >= count
      ? Promise.resolve()
      : new Promise<void>((resolve) => {
          waiting.push({ count, resolve });
        });
  return { sender: new MessageChannel(into, { message: () => {}, end }), received, next };
}

const messages = [
  { id: 3, call: { kind: "step", x: Float32Array.of(1.5, -0, Number.NaN), rows: 1, nothing: undefined } },
  { deep: [{ a: [Uint32Array.of(2 ** 32 - 1)] }, new Map([["key", Float64Array.of(Math.PI)]]), null, "ä"] },
  { empty: new Float32Array(0), bytes: Uint8Array.of(1, 2), whole: Int32Array.of(-7) },
  "no arrays at all",
  // A part of a larger array arrives by itself.
  { part: Float32Array.of(0, 1, 2, 3, 4).subarray(2, 4) },
];

for (const bytes of [1, 7, 64 * 1024]) {
  test(`messages arrive whole and in order where ${bytes} bytes come at a time`, async () => {
    const { sender, received, next } = pair(bytes);
    await Promise.all(messages.map((message) => sender.send(message)));
    await next(messages.length);
    assert.deepEqual(received, messages);
    assert.equal((received[4] as { part: Float32Array }).part.buffer.byteLength, 8);
  });
}

test("an array is larger than what is given to the stream at a time, and shared memory is read as any other", async () => {
  const { sender, received, next } = pair(1 << 20);
  const large = new Uint32Array(new SharedArrayBuffer(68 * 2 ** 20));
  for (let at = 0; at < large.length; at += 1021) large[at] = at;
  await sender.send({ large });
  await next(1);
  const { large: found } = received[0] as { large: Uint32Array };
  assert.equal(found.length, large.length);
  assert.equal(Buffer.compare(Buffer.from(found.buffer), Buffer.from(new Uint8Array(large.buffer))), 0);
});

test("what can't travel is refused, and what comes after it is heard", async () => {
  const { sender, received, next } = pair(64);
  await assert.rejects(sender.send({ x: new BigInt64Array(1) }), /a message can't hold a BigInt64Array/);
  await sender.send("next");
  await next(1);
  assert.deepEqual(received, ["next"]);
});

test("a message to an end that is gone fails", async () => {
  const stream = new PassThrough();
  const channel = new MessageChannel(stream, { message: () => {}, end: () => {} });
  channel.close();
  await once(stream, "close");
  await assert.rejects(channel.send("anybody?"));
});

test("what can't be read ends the channel, which says why, and nothing after it is heard", async () => {
  const wire = new PassThrough();
  const received: unknown[] = [];
  const ended = new Promise<Error | undefined>((end) => {
    new MessageChannel(Duplex.from({ readable: wire }), { message: (one) => received.push(one), end });
  });
  // An array longer than any memory.
  const header = new Float64Array([2, 1, 2 ** 52]);
  wire.write(Buffer.from(header.buffer));
  wire.write(Buffer.alloc(64));
  assert.match(String(await ended), /RangeError/);
  assert.deepEqual(received, []);
});

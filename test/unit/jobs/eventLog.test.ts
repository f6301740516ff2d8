// The events file: written by one process, followed by others, in whatever state a crash left it.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EventLog, followEvents, readEvents } from "../../../src/jobs/eventLog.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const info = (message: string) => ({ type: "log", level: "info", message }) as const;
const messages = (events: readonly { type: string; message?: string }[]) => events.map((event) => event.message);

test("what is appended is read back, in order, each with its time", async () => {
  const file = join(folder, "order.jsonl");
  const log = new EventLog(file);
  for (const word of ["one", "two", "drei ☃"]) log.append(info(word));
  const events = await readEvents(file);
  assert.deepEqual(messages(events as never), ["one", "two", "drei ☃"]);
  assert.ok(events.every((event) => Math.abs(event.time - Date.now()) < 60_000));
});

test("a line that is no event is passed over; a number that was none is null", async () => {
  const file = join(folder, "strange.jsonl");
  const log = new EventLog(file);
  appendFileSync(
    file,
    '{"time":1,"type":"train","stage":"train single","tokens":"many"}\n{"time":1,"type":"applause"}\n',
  );
  const numbers = { member: 0, loss: Number.NaN, mse: 2, l0: 16, explained_variance: 0.5, dead: 0, lr: 0.001 };
  log.append({ type: "train", stage: "train single", step: 1, tokens: 1024, members: [numbers] });
  const [event, ...others] = await readEvents(file);
  assert.deepEqual(others, []);
  assert.deepEqual(event?.type === "train" && event.members, [{ ...numbers, loss: null }]);
});

test("a line torn by a crash costs that line and no other", async () => {
  const file = join(folder, "torn.jsonl");
  new EventLog(file).append(info("before"));
  appendFileSync(file, '{"time":1,"type":"log","mess');
  new EventLog(file).append(info("after"));
  assert.deepEqual(messages((await readEvents(file)) as never), ["before", "after"]);
  assert.ok(readFileSync(file, "utf8").endsWith("\n"));
});

test("a follower sees events that come later, even when they arrive in pieces", async () => {
  const file = join(folder, "follow.jsonl");
  const stop = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const event of followEvents(file, { signal: stop.signal, interval: 1 })) {
      seen.push((event as { message: string }).message);
      if (seen.length === 1) {
        // Half a line with half a character in it, then the rest.
        const bytes = Buffer.from(`${JSON.stringify({ time: 2, ...info("☃") })}\n`);
        const cut = bytes.indexOf(0xe2) + 1;
        appendFileSync(file, bytes.subarray(0, cut));
        setImmediate(() => appendFileSync(file, bytes.subarray(cut)));
      }
      if (seen.length === 2) stop.abort();
    }
  })();
  new EventLog(file).append(info("first"));
  await following;
  assert.deepEqual(seen, ["first", "☃"]);
});

test("following ends once the writer has, with everything read", async () => {
  const file = join(folder, "ended.jsonl");
  const log = new EventLog(file);
  log.append(info("a"));
  let asked = 0;
  const seen: unknown[] = [];
  const ended = () => {
    asked++;
    if (asked === 2) log.append(info("last words"));
    return asked === 2;
  };
  for await (const event of followEvents(file, { ended, interval: 1 })) seen.push(event);
  assert.deepEqual(messages(seen as never), ["a", "last words"]);
});

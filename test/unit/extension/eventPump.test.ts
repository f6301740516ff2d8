// The events that a dashboard's page is sent: all of them, and to the page that is there alone.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { EventPump } from "../../../src/extension/panels/eventPump.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";

const event = (message: string): RunEvent => ({ time: 0, type: "log", level: "warning", message });

/** A file of two events that are read one by one, a pump of it, and what both were asked and sent. */
function pumped() {
  const file = [event("first"), event("second")];
  const asked: number[] = [];
  const sent: string[] = [];
  const pump = new EventPump(
    async (from) => {
      asked.push(from);
      return { events: file.slice(from, from + 1), next: Math.min(from + 1, file.length) };
    },
    (events) => sent.push(...events.map((one) => ("message" in one ? one.message : ""))),
  );
  return { file, asked, sent, pump };
}

test("a page that is loaded again has every event once, and one look a pause", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { file, asked, sent, pump } = pumped();
    for (let shown = 1; shown <= 3; shown++) {
      pump.start();
      await turn();
      assert.deepEqual(sent.splice(0), ["first", "second"], `shown ${shown} times`);
      assert.deepEqual(asked.splice(0), [0, 1, 2], `shown ${shown} times`);
    }
    file.push(event("third"));
    mock.timers.tick(700);
    await turn();
    assert.deepEqual(sent.splice(0), ["third"]);
    assert.deepEqual(asked.splice(0), [2, 3]);
    pump.stop();
    mock.timers.tick(700);
    await turn();
    assert.deepEqual(asked, []);
  } finally {
    mock.timers.reset();
  }
});

test("an answer that comes after the page was loaded again is not sent to it", async () => {
  const answers: PromiseWithResolvers<{ events: RunEvent[]; next: number }>[] = [];
  const sent: RunEvent[] = [];
  const pump = new EventPump(
    () => {
      const answer = Promise.withResolvers<{ events: RunEvent[]; next: number }>();
      answers.push(answer);
      return answer.promise;
    },
    (events) => sent.push(...events),
  );
  pump.start();
  pump.start();
  assert.equal(answers.length, 2);
  answers[0]!.resolve({ events: [event("old")], next: 1 });
  await turn();
  assert.deepEqual(sent, []);
  answers[1]!.resolve({ events: [event("new")], next: 1 });
  await turn();
  assert.deepEqual(sent, [event("new")]);
  pump.stop();
});

// Rates and times left, on a clock of the test's own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProgressMeter } from "../../../src/jobs/progressMeter.ts";
import type { ProgressEvent } from "../../../src/protocol/runEvents.ts";

function measured() {
  const events: ProgressEvent[] = [];
  const clock = { now: 0 };
  const meter = new ProgressMeter(
    (event) => events.push(event),
    500,
    () => clock.now,
  );
  return { events, clock, meter };
}

test("rate and time left come from the last seconds", () => {
  const { events, clock, meter } = measured();
  for (let second = 0; second <= 60; second++) {
    clock.now = second * 1000;
    // 100 a second at first, 1,000 a second in the last half minute.
    meter.update("train", second <= 30 ? second * 100 : 3000 + (second - 30) * 1000, 100_000, "tokens");
  }
  assert.equal(events[0]!.rate, null);
  const last = events.at(-1)!;
  assert.equal(last.done, 33_000);
  assert.equal(last.rate, 1000);
  assert.equal(last.eta, 67);
});

test("at most one event an interval, but always the last of a stage", () => {
  const { events, clock, meter } = measured();
  for (let i = 0; i <= 1000; i++) {
    clock.now = i;
    meter.update("harvest", i, 1000, "tokens");
  }
  assert.deepEqual(
    events.map((event) => event.done),
    [0, 500, 1000],
  );
});

test("the end of a stage is said once, though its units are too large to show what is left", () => {
  const { events, clock, meter } = measured();
  for (let tenth = 0; tenth <= 10; tenth++) {
    clock.now = tenth;
    meter.update("convert model", Math.round(tenth / 10), 1, "MiB");
  }
  assert.deepEqual(
    events.map((event) => event.done),
    [0, 1],
  );
});

test("a stage that goes on in the middle has a rate of its own", () => {
  const { events, clock, meter } = measured();
  meter.update("harvest", 0, 10, "tokens");
  clock.now = 1000;
  meter.update("train", 900, 1000, "tokens");
  clock.now = 2000;
  meter.update("train", 950, 1000, "tokens");
  assert.equal(events.at(-1)!.rate, 50);
  assert.equal(events.at(-1)!.eta, 1);
});

test("a stage that is stopped within an interval shows how far it came, once", () => {
  const { events, clock, meter } = measured();
  for (const done of [0, 40, 70]) {
    meter.update("train", done, 100, "tokens");
    clock.now += 100;
  }
  meter.flush();
  meter.flush();
  assert.deepEqual(
    events.map((event) => event.done),
    [0, 70],
  );
});

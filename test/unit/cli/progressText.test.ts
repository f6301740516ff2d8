// The line of progress in a terminal: never wider than it, what ends says what it took.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProgressText } from "../../../src/cli/progressText.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";

const progress = (time: number, done: number) =>
  ({
    time,
    type: "progress",
    stage: "train bagging",
    done,
    total: 400_000,
    unit: "tokens",
    rate: 4184,
    eta: 61,
  }) as const;
const training: RunEvent = {
  time: 1000,
  type: "train",
  stage: "train bagging",
  step: 9,
  tokens: 145_408,
  members: [0, 1].map((member) => ({
    member,
    loss: 8629,
    mse: 3000,
    l0: 16,
    explained_variance: 0.713,
    dead: 0.02,
    lr: 0.001,
  })),
};

test("the stage in hand: everything in a wide terminal, and never more than fits into a narrow one", () => {
  const text = new ProgressText();
  assert.equal(text.take(progress(0, 0)), true);
  assert.equal(text.take(training), false);
  assert.equal(text.take(progress(1000, 145_408)), false);
  assert.equal(
    text.moving(200),
    "  train bagging        ████░░░░░░░░  36%  1 min 01 s left  4,184 tokens/s  EV 0.713  L0 16.0  dead 2%  loss 8,629  145,408 of 400,000",
  );
  for (const columns of [50, 80, 100, 120]) assert.ok(text.moving(columns).length < columns, `${columns} columns`);
  assert.match(text.moving(50), /train bagging .* 36%$/);
});

test("a stage that has ended says what it took; its numbers are not the next one's", () => {
  const text = new ProgressText();
  for (const event of [progress(0, 0), training, progress(90_000, 400_000)]) text.take(event);
  assert.equal(
    text.ended(progress(90_000, 400_000)),
    "✓ train bagging        400,000 tokens in 1 min 30 s  EV 0.713  L0 16.0  dead 2%  loss 8,629",
  );
  text.take({ ...progress(91_000, 0), stage: "train expanded" });
  assert.deepEqual(text.numbers, []);
});

test("a training that has lost its numbers says so with dashes", () => {
  const text = new ProgressText();
  text.take(progress(0, 0));
  text.take({ ...training, members: [{ ...training.members[0]!, loss: null }] } as RunEvent);
  assert.match(text.moving(200), /loss –/);
});

test("nothing is said of dead latents before any can be one", () => {
  const text = new ProgressText();
  text.take(progress(0, 0));
  text.take({ ...training, members: [{ ...training.members[0]!, dead: null }] } as RunEvent);
  assert.deepEqual(text.numbers, ["EV 0.713", "L0 16.0", "loss 8,629"]);
});

test("a later member of boosting learns what the earlier ones leave, and its explained variance is said to be of that", () => {
  const text = new ProgressText();
  for (const [member, words] of [
    [0, "EV 0.713"],
    [3, "EV 0.713 of what is left for member 3"],
  ] as const) {
    text.take(progress(0, 0));
    text.take({ ...training, members: [{ ...training.members[0]!, member }] } as RunEvent);
    assert.deepEqual(text.numbers, [words, "L0 16.0", "dead 2%", "loss 8,629"]);
  }
});

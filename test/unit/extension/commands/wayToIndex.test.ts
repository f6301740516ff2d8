// What is offered to somebody who wants to inspect a text where no ensemble has a feature index: what can be done now.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wayToIndex } from "../../../../src/extension/commands/wayToIndex.ts";
import type { EnsembleEntry, RunEntry } from "../../../../src/protocol/service.ts";

const ensemble = { folder: "/runs/a/ensembles/bagging", indexable: true, damage: "" } as EnsembleEntry;
const run = (state: RunEntry["state"]) => ({ name: "a", state, ensembles: [ensemble] }) as unknown as RunEntry;
const store = (...runs: RunEntry[]) => ({
  runs,
  ensembles: runs.flatMap((one) => one.ensembles.map((ensemble) => ({ run: one, ensemble }))),
});

test("without any run, the demo; only where runs may start", () => {
  assert.equal(wayToIndex(store(), true).button, "Run the Demo");
  const restricted = wayToIndex(store(), false);
  assert.equal(restricted.button, "Manage Workspace Trust");
  assert.match(restricted.message, /only in a trusted workspace/);
  assert.equal(wayToIndex(store(run("done")), false).button, "Manage Workspace Trust");
});

test("an ensemble that lacks its index gets one, but not while a run is at work", () => {
  const { button, argument } = wayToIndex(store(run("done")), true);
  assert.deepEqual([button, argument], ["Build Feature Index", ensemble.folder]);
  for (const state of ["running", "queued"] as const) {
    const atWork = wayToIndex(store(run(state)), true);
    assert.match(atWork.message, /the run “a” is at work/);
    assert.equal(atWork.button, "Open Dashboard");
  }
});

// What is offered to somebody who wants to inspect a text where no ensemble has a feature index: what can be done now.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wayToIndex, wayToIndexOf } from "../../../../src/extension/commands/wayToIndex.ts";
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

test("an ensemble without an index: built where its experiment asks for it, else what to add", () => {
  const of = (name: string, more: Partial<EnsembleEntry> = {}, state: RunEntry["state"] = "done", trusted = true) => {
    const entry = { ...ensemble, name, indexable: false, replaced: null, indexDamage: "", ...more };
    return wayToIndexOf({ run: { ...run(state), experiment: "/a.sae.jsonc" }, ensemble: entry }, trusted);
  };
  const indexable = { indexable: true };
  assert.equal(of("bagging", indexable).button, "Build Feature Index");
  assert.equal(of("bagging", indexable, "running").button, "Open Dashboard");
  assert.equal(of("bagging", indexable, "done", false).button, "Manage Workspace Trust");
  assert.match(of("bagging", { ...indexable, indexDamage: "no database" }).message, /index that can be read/);
  const boosting = of("boosting");
  assert.match(boosting.message, /^“a · boosting” has no feature index\. Add "boosting" to index\.methods/);
  assert.equal(boosting.button, "Open Experiment");
  // No key of an experiment leads to an index of these.
  for (const none of [of("bagging-1"), of("bagging", { replaced: "2026-11-22 20:30 UTC" })])
    assert.equal(none.button, undefined, none.message);
  assert.match(of("bagging-1").message, /first seed set/);
});

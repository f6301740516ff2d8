// What features are called in lists: their label, or their tokens with white space as signs.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  describeRun,
  featureWords,
  foundFirst,
  foundInDots,
  foundInLegend,
  namedFrom,
  shownFeatures,
} from "../../../src/extension/words.ts";
import type { RunEntry } from "../../../src/protocol/service.ts";
import { withSigns } from "../../../src/protocol/whiteSpace.ts";

const named = (label: string, ...tokens: string[]) => featureWords({ label, tokens: tokens.map((text) => ({ text })) });

test("a run in few words: how long it worked, or where it stopped", () => {
  const run: RunEntry = {
    folder: "runs/demo",
    name: "demo",
    state: "done",
    reason: null,
    experiment: null,
    worked: 7 * 60_000,
    ahead: null,
    progress: null,
    report: true,
    ensembles: [],
  };
  const progress = { stage: "train boosting-1", done: 43, total: 100, unit: "tokens", rate: 1, eta: 57 };
  assert.equal(describeRun(run), "done in 7 min");
  assert.equal(describeRun({ ...run, state: "stopped", progress }), "stopped · train boosting-1 43%");
  assert.equal(describeRun({ ...run, state: "stopped" }), "stopped");
  assert.equal(describeRun({ ...run, state: "running", worked: null, progress }), "train boosting-1 43% · 57 s left");
});

test("a label goes before tokens; three of them, with the signs that they have in every view", () => {
  assert.equal(named("pronouns", " she", " her"), "pronouns");
  assert.equal(named("", " she", "her ", " he", " his"), "␣she her␣ ␣he");
});

test("a token that is nothing but white space is seen", () => {
  assert.equal(named("", " ", "\n\n", "\t"), "␣ ↵↵ ⇥");
  assert.equal(withSigns(" a\r\n b"), "␣a␍↵␣b");
});

test("the Features view names its ensemble and what it is searched by; without an ensemble nothing", () => {
  assert.equal(shownFeatures("/runs/demo/ensembles/bagging", ""), "demo · bagging");
  assert.equal(shownFeatures("/runs/demo/ensembles/bagging", "her"), "demo · bagging · her");
  assert.equal(shownFeatures(undefined, "her"), "");
});

test("member stability is a dot a member, with a word on what it means; a member alone has none", () => {
  assert.equal(foundInDots([true]), "");
  assert.equal(foundInDots([true, false, true]), "●○●");
  assert.match(
    foundInLegend([true, false, true]),
    /^●○● found in 2 of 3 members \(decoder cosine at least 0\.7\)\nOne dot a member/,
  );
});

test("files of the workspace are called as they are there, others in full", () => {
  const [folder, other] = [join("/home", "a"), join("/home", "ab", "text.txt")];
  const message = `${join(folder, "runs", "x.sae.jsonc")}:5:3, seed: found ${other}`;
  assert.equal(namedFrom([folder], message), `${join("runs", "x.sae.jsonc")}:5:3, seed: found ${other}`);
});

test("what was found is said before where, and the file by its end", () => {
  const dots = "found 3, expected 4: odd";
  const said = "Found 3, expected 4: odd";
  assert.equal(foundFirst(`/a/long/way/saes/cfg.json, k: ${dots}`), `${said} (saes/cfg.json, k)`);
  assert.equal(foundFirst(`C:\\saes\\one.pt: ${dots}`), `${said} (saes/one.pt)`);
  assert.equal(foundFirst(`one.pt, member_0/W_enc: ${dots}`), `${said} (one.pt, member_0/W_enc)`);
  assert.equal(foundFirst("Open a folder first."), "Open a folder first.");
});

// A run that is killed at random moments and resumed gives the same bits as one that was left alone. Real processes, real kills.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { followEvents } from "../../../src/jobs/eventLog.ts";
import { readRunStatus } from "../../../src/jobs/runRecord.ts";
import { loadCheckpoint } from "../../../src/training/checkpoint.ts";
import { temporaryFolder } from "../fixtures.ts";
import { type Ended, runCommand, startCommand, weightsOf, writeTinyExperiment } from "./tinyExperiment.ts";

const JOBS = ["--jobs", "harvest,train", "--plain"];
const folder = temporaryFolder();
const file = writeTinyExperiment(folder);
let expected: Record<string, string>;
/** Events of a run that nothing interrupts. */
let events = 0;

before(async () => {
  const whole = join(folder, "whole");
  const { code, stderr } = await runCommand(["run", file, "--run-folder", whole, ...JOBS], folder);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /train boosting: 2 members one after the other, 6,400 tokens each/);
  expected = weightsOf(whole);
  for await (const _ of followEvents(join(whole, "events.jsonl"), { ended: () => true })) events++;
  // single 1, bagging 2, boosting 2, expanded 1; the first member of each but expanded is the same SAE.
  assert.equal(Object.keys(expected).length, 6);
  assert.equal(new Set(Object.values(expected)).size, 4);
});

/** Starts or resumes the run and sends `signal` once its log has `count` events, or training steps. */
async function interrupt(
  run: string,
  args: readonly string[],
  count: number,
  signal: NodeJS.Signals,
  of: "events" | "steps" = "events",
): Promise<Ended> {
  const { child, ended } = startCommand(args, folder);
  const stop = new AbortController();
  void ended.then(() => stop.abort());
  const log = join(run, "events.jsonl");
  let seen = 0;
  for await (const { type } of followEvents(log, { signal: stop.signal, interval: 5 }))
    if ((of === "events" || type === "train") && ++seen >= count) break;
  child.kill(signal);
  // As under npm, which hands on what the terminal has sent already.
  if (signal === "SIGINT") child.kill(signal);
  return ended;
}

describe("kill -9 at random moments, several times, then resume", () => {
  for (const trial of [1, 2, 3]) {
    test(`trial ${trial}`, async (context) => {
      const random = SeededRandom.derive(trial, "kills");
      const run = join(folder, `killed-${trial}`);
      let at = 0;
      for (let kill = 0; kill < 3; kill++) {
        const args = kill === 0 ? ["run", file, "--run-folder", run, ...JOBS] : ["resume", run, "--plain"];
        at += 1 + random.integer(Math.floor(events / 3));
        const { signal, stderr } = await interrupt(run, args, at, "SIGKILL");
        context.diagnostic(`killed at event ${at} of ${events}: ${signal ?? "had ended"}`);
        const { state } = readRunStatus(run);
        // Where this process was kept waiting, it may have ended first, or hardly begun.
        assert.ok(signal === null ? state === "done" : ["done", "failed", "stopped"].includes(state), stderr);
        if (state === "done") break;
      }
      const { code, stderr } = await runCommand(["resume", run, "--plain"], folder);
      assert.equal(code, 0, stderr);
      assert.deepEqual(weightsOf(run), expected);
      assert.equal(readRunStatus(run).state, "done");
    });
  }
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} saves a checkpoint, says how to go on, and exits with 130`, async () => {
    let run = "";
    let ended: Ended | undefined;
    // Where this process is kept waiting the run may end first: then once more, and earlier.
    for (let at = Math.floor(events / 2); ended === undefined || ended.code === 0; at = Math.floor(at / 2)) {
      assert.ok(at > 10, "the run always ends first");
      run = join(folder, `${signal}-${at}`);
      ended = await interrupt(run, ["run", file, "--run-folder", run, ...JOBS], at, signal);
    }
    assert.equal(ended.code, 130, ended.stderr);
    assert.match(ended.stderr, /saving a checkpoint/);
    assert.match(ended.stderr, new RegExp(`To go on: sae-ensembles resume ${signal}`));
    const { state, record, reason } = readRunStatus(run);
    assert.equal(state, "stopped");
    // What it says to have done is what the checkpoint has.
    const { stage, done, total } = record.progress!;
    assert.equal(reason, `stopped in ${stage} at ${Math.floor((100 * done) / total)}%; resume goes on from there`);
    const loaded = await loadCheckpoint(join(run, "checkpoints", stage.replace(/^train /, "")));
    if (loaded) assert.equal(done, loaded.state.finished.length * 6400 + loaded.state.tokens);
    const { code, stderr } = await runCommand(["resume", run, "--plain"], folder);
    assert.equal(code, 0, stderr);
    // Between two stages nothing is under way.
    if (loaded) assert.match(stderr, /goes on after/);
    assert.deepEqual(weightsOf(run), expected);
  });
}

test("a harvest that is killed goes on behind its last shard, to the same files", async () => {
  const own = join(folder, "harvest");
  mkdirSync(own);
  const long = writeTinyExperiment(own, { activations: { tokens: 80_000 } }, 4000);
  const harvest = (run: string) => startCommand(["harvest", long, "--run-folder", run, "--plain"], own);
  const whole = await harvest(join(own, "whole")).ended;
  assert.equal(whole.code, 0, whole.stderr);
  const run = join(own, "killed");
  const { child, ended } = harvest(run);
  const manifest = join(run, "activations", "train", "manifest.json");
  while (!existsSync(manifest) && child.exitCode === null) await eventLoopTurn();
  child.kill("SIGKILL");
  await ended;
  assert.equal(readRunStatus(run).state, "failed");
  const again = await runCommand(["resume", run, "--plain"], own);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /harvest: goes on after [\d,]+ tokens/);
  for (const part of ["train", "test"]) {
    const files = readdirSync(join(own, "whole", "activations", part));
    assert.ok(part === "test" || files.length > 20, `${files.length} files`);
    assert.deepEqual(readdirSync(join(run, "activations", part)), files);
    for (const file of files) {
      const [a, b] = ["whole", "killed"].map((name) => readFileSync(join(own, name, "activations", part, file)));
      assert.ok(a!.equals(b!), file);
    }
  }
});

test("an index whose build is killed at random moments goes on behind the codes that it has, to the same file", async (context) => {
  const own = join(folder, "index");
  mkdirSync(own);
  const change = { ensembles: { methods: ["bagging"], n_members: 2 }, index: { tokens: 30_000 } };
  const long = writeTinyExperiment(own, change, 2000);
  const index = (run: string) => startCommand(["index", long, "--run-folder", run, "--plain"], own);
  // The name of the run stands in its index.
  const whole = join(own, "whole", "run");
  const trained = await runCommand(["run", long, "--run-folder", whole, ...JOBS], own);
  assert.equal(trained.code, 0, trained.stderr);
  const run = join(own, "killed", "run");
  cpSync(whole, run, { recursive: true });
  assert.equal((await index(whole).ended).code, 0);
  const file = (of: string) => join(of, "ensembles", "bagging", "index.sqlite");
  const journal = join(run, "ensembles", "bagging", ".index.sqlite.building", "codes.journal");
  // Of 8 bytes an active latent, 4 latents of 2 members.
  const bytes = 30_000 * 8 * 8;
  const random = SeededRandom.derive(1, "index kills");
  let reached = 0;
  for (let kill = 0; kill < 3; kill++) {
    reached += random.uniform() * (bytes - reached);
    const { child, ended } = index(run);
    while ((statSync(journal, { throwIfNoEntry: false })?.size ?? 0) < reached && child.exitCode === null)
      await eventLoopTurn();
    child.kill("SIGKILL");
    const { signal, stderr } = await ended;
    context.diagnostic(`killed at ${Math.round((100 * reached) / bytes)} %: ${signal ?? "had ended"}`);
    assert.equal(signal, "SIGKILL", stderr);
    assert.ok(!existsSync(file(run)));
  }
  const { code, stderr } = await index(run).ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /index bagging: goes on after [\d,]+ tokens/);
  assert.ok(readFileSync(file(whole)).equals(readFileSync(file(run))));
  assert.ok(!existsSync(journal));
});

for (const [what, change] of [
  [
    "activations made on the fly",
    {
      // Long enough that the kill comes well before its end, as below.
      training_tokens: 19_200,
      activations: { store: "on_the_fly" },
      n_batches_in_buffer: 4,
      ensembles: { methods: ["boosting"], n_members: 2 },
    },
  ],
  [
    "a matryoshka batchtopk on scaled activations",
    {
      training_tokens: 38_400,
      sae: {
        architecture: "matryoshka_batchtopk",
        d_sae: 48,
        k: 4,
        matryoshka_widths: [8, 24],
        normalize_activations: "expected_average_only_in",
      },
      ensembles: { methods: ["bagging"], n_members: 2 },
    },
  ],
] as const) {
  test(`a kill is survived with ${what} as well`, async () => {
    const own = join(folder, what.replaceAll(" ", "-"));
    mkdirSync(own);
    const other = writeTinyExperiment(own, change);
    const whole = join(own, "whole");
    const first = await runCommand(["run", other, "--run-folder", whole, ...JOBS], own);
    assert.equal(first.code, 0, first.stderr);
    const run = join(own, "killed");
    await interrupt(run, ["run", other, "--run-folder", run, ...JOBS], 60, "SIGKILL", "steps");
    const second = await runCommand(["resume", run, "--plain"], own);
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /train .*: goes on after/);
    assert.deepEqual(weightsOf(run), weightsOf(whole));
  });
}

test("a run folder that was copied elsewhere goes on there", async () => {
  const run = join(folder, "moved-from");
  await interrupt(run, ["run", file, "--run-folder", run, ...JOBS], Math.floor(events / 2), "SIGKILL");
  const copy = join(folder, "moved-to");
  cpSync(run, copy, { recursive: true });
  const { code, stderr } = await runCommand(["resume", copy, "--plain"], folder);
  assert.equal(code, 0, stderr);
  assert.deepEqual(weightsOf(copy), expected);
});

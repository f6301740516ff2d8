// The queue of a device: runs in processes of their own wait for each other in order, leave when asked or killed, and stand beside each other only when told. Real processes.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nameBeside } from "../../../src/jobs/deviceQueue.ts";
import { requestStop, waitForEnd } from "../../../src/jobs/launch.ts";
import { type RunStatus, readRunStatus } from "../../../src/jobs/runRecord.ts";
import { temporaryFolder } from "../fixtures.ts";
import { runCommand, writeTinyExperiment } from "./tinyExperiment.ts";

const root = temporaryFolder();
const runs: string[] = [];

/** Starts a run that takes hours, as a window or a terminal does, and returns its folder. */
async function start(name: string, ...options: string[]): Promise<string> {
  const folder = join(root, name);
  mkdirSync(folder);
  const change = { training_tokens: 640_000_000, ensembles: { methods: ["bagging"], n_members: 2 } };
  writeTinyExperiment(folder, change);
  const run = join(folder, "runs", name);
  runs.push(run);
  const args = ["run", "tiny.sae.jsonc", "--run-folder", run, "--detach", "--json", ...options];
  const { code, stderr, stdout } = await runCommand(args, folder);
  assert.equal(code, 0, stderr + stdout);
  return run;
}

/** The run's status once it is as `wanted` says. */
async function until(run: string, wanted: (status: RunStatus) => boolean): Promise<RunStatus> {
  for (;;) {
    const status = readRunStatus(run);
    if (wanted(status)) return status;
    if (["failed", "done"].includes(status.state)) assert.fail(`${run}: ${status.state}, ${status.reason}`);
    await sleep(50);
  }
}

test("what is waited for is named so that it is not the run itself", () => {
  assert.equal(nameBeside("/a/runs/demo", "/b/runs/study"), "demo");
  assert.equal(nameBeside("/a/runs/demo", "/b/runs/demo"), "a/runs/demo");
  assert.equal(nameBeside("C:\\a\\runs\\demo", "C:\\b\\runs\\demo"), "a/runs/demo");
});

test("one run at a time, in order; a place can be given up, is freed by death, and passes on", {
  timeout: 600_000,
}, async (context) => {
  context.after(async () => {
    for (const run of runs) if (requestStop(run)) await waitForEnd(run);
  });
  const first = await start("first");
  await until(first, ({ state }) => state === "running");
  // Who has started may not have its place yet.
  const second = await start("second");
  await until(second, ({ record }) => record.ahead === 1);
  const third = await start("third");
  await until(third, ({ record }) => record.ahead === 2);
  const fourth = await start("fourth");
  const waiting = await until(fourth, ({ reason }) => reason === "waits for first and 2 more");
  assert.deepEqual([waiting.state, waiting.record.ahead], ["queued", 3]);
  assert.equal((await until(second, ({ reason }) => reason === "waits for first")).record.ahead, 1);

  const listed = await runCommand(["status", join(root, "second")], root);
  assert.match(listed.stdout, /second\s+queued\s+waits for first/);

  // Taken out of the queue: what it waited for and who waited for it go on as before.
  const stopped = await runCommand(["stop", second], root);
  assert.match(stopped.stderr, /stopped\. To go on: sae-ensembles resume/);
  assert.match(readRunStatus(second).reason!, /taken out of the queue/);
  await until(fourth, ({ record }) => record.ahead === 2);

  // Killed while it waits: nobody cleans up, and nobody need.
  process.kill(readRunStatus(third).record.pid, "SIGKILL");
  await waitForEnd(third);
  assert.match(readRunStatus(third).reason!, /ended while it waited; resume queues it again/);
  await until(fourth, ({ reason }) => reason === "waits for first");

  // Told not to wait, one works beside the others.
  const beside = await start("beside", "--no-queue");
  await until(beside, ({ state }) => state === "running");
  assert.equal(readRunStatus(first).state, "running");
  requestStop(beside);

  // Resumed, it stands at the end; and the killed one that was at work frees the device for the next.
  await runCommand(["resume", second, "--detach"], root);
  await until(second, ({ record, state }) => state === "queued" && record.ahead === 2);
  process.kill(readRunStatus(first).record.pid, "SIGKILL");
  await until(fourth, ({ state }) => state === "running");
  assert.equal((await until(second, ({ record }) => record.ahead === 1)).reason, "waits for fourth");
  requestStop(fourth);
  await until(second, ({ state }) => state === "running");
});

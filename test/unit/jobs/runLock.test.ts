// One process at a time on a run folder, and no lock outlives its process.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { acquireRunLock, isRunLocked } from "../../../src/jobs/runLock.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const fresh = () => mkdtempSync(join(folder, "run-"));

test("free, taken, free again", () => {
  const run = fresh();
  assert.equal(isRunLocked(run), false);
  const lock = acquireRunLock(run)!;
  assert.equal(isRunLocked(run), true);
  assert.equal(acquireRunLock(run), null);
  lock.release();
  assert.equal(isRunLocked(run), false);
  acquireRunLock(run)!.release();
});

test("another process holds it until it is killed", async () => {
  const run = fresh();
  const module = join(import.meta.dirname, "../../../src/jobs/runLock.ts");
  const program = `const { acquireRunLock } = await import(${JSON.stringify(module)});
    globalThis.lock = acquireRunLock(${JSON.stringify(run)});
    console.log(globalThis.lock ? "held" : "refused");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  assert.equal(said.toString().trim(), "held");
  assert.equal(isRunLocked(run), true);
  assert.equal(acquireRunLock(run), null);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  assert.equal(isRunLocked(run), false);
  acquireRunLock(run)!.release();
});

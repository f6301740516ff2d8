// The built service lets go of an index that a run wants to replace: Windows replaces nothing that is open.
import assert from "node:assert/strict";
import { readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startService } from "../../../bench/serviceLine.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { request } from "../../../src/protocol/rpc.ts";
import { service } from "../../../src/protocol/service.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "../jobs/tinyExperiment.ts";

const skip = process.platform === "linux" ? false : "only Linux shows which files a process has open";

test("an index that is wanted is closed within seconds, and opened again for who asks", { skip }, async (t) => {
  const file = writeTinyExperiment(temporaryFolder(), { training_tokens: 1280, ensembles: { methods: ["single"] } });
  const experiment = readExperiment(file);
  await runJobs(experiment, ["harvest", "train", "index"]);
  const ensembles = join(experiment.paths.runFolder, "ensembles");
  const ensemble = join(ensembles, "single");
  const { line, child, end } = startService();
  t.after(end);
  const isOpen = () => {
    const folder = `/proc/${child.pid}/fd`;
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(join(folder, fd)) === join(ensemble, "index.sqlite");
      } catch {
        return false; // closed meanwhile
      }
    });
  };
  await request(line, service, "openIndex", { ensemble });
  assert.equal(isOpen(), true);
  const mark = join(ensembles, ".single.wanted");
  writeFileSync(mark, "");
  const until = performance.now() + 8000;
  while (isOpen() && performance.now() < until) await sleep(50);
  assert.equal(isOpen(), false);
  rmSync(mark);
  await request(line, service, "openIndex", { ensemble });
  assert.equal(isOpen(), true);
});

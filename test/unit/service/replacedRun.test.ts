// The built service over its line: a run that was deleted and made anew in the same folder is read with its own weights, and in between nothing there can be opened.
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startService } from "../../../bench/serviceLine.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { ENSEMBLE_DELETED } from "../../../src/protocol/featureBrowser.ts";
import { request } from "../../../src/protocol/rpc.ts";
import { service } from "../../../src/protocol/service.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "../jobs/tinyExperiment.ts";

test("a run deleted and trained anew into the same folder is inspected with the new weights", async (t) => {
  const folder = temporaryFolder();
  const train = async (name: string, seed: number) => {
    const ensembles = { methods: ["single"] };
    const file = writeTinyExperiment(folder, { training_tokens: 1280, ensembles, seed });
    const runFolder = join(folder, name);
    await runJobs(readExperiment(file, { runFolder }), ["harvest", "train", "index"]);
    return runFolder;
  };
  const [run, anew] = [await train("run", 1), await train("anew", 2)];
  const { line, end } = startService();
  t.after(end);
  const inspect = async (folder: string) => {
    const { tokens } = await request(line, service, "inspect", {
      ensemble: join(folder, "ensembles", "single"),
      document: "d",
      kind: "text",
      text: "the nurse saw the king",
      visible: { start: 0, end: 22 },
      pinned: [],
      likelihoods: false,
    });
    return tokens;
  };
  const before = await inspect(run);
  await request(line, service, "delete", { folder: run });
  await assert.rejects(request(line, service, "openIndex", { ensemble: join(run, "ensembles", "single") }), {
    code: ENSEMBLE_DELETED,
    message: "This run was deleted.",
  });
  cpSync(anew, run, { recursive: true });
  const after = await inspect(run);
  assert.notDeepEqual(after, before);
  assert.deepEqual(after, await inspect(anew));
});

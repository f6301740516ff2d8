// Where a feature stands in the list: a place is of the same rows, in the same order, as the pages.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import type { ListQuery } from "../../../src/protocol/featureBrowser.ts";
import { OpenEnsemble } from "../../../src/service/openEnsembles.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "../jobs/tinyExperiment.ts";

const everything: ListQuery = {
  text: "",
  member: null,
  state: "all",
  minFoundIn: 0,
  flaggedOnly: false,
  density: null,
  sort: "clarity",
  descending: true,
};

test("a feature's place is that of its row in the pages, and null where the query leaves it out", async (t) => {
  const file = writeTinyExperiment(temporaryFolder(), {
    training_tokens: 1280,
    ensembles: { methods: ["bagging"], n_members: 2 },
  });
  const experiment = readExperiment(file);
  await runJobs(experiment, ["harvest", "train", "index"]);
  const ensemble = await OpenEnsemble.open(join(experiment.paths.runFolder, "ensembles", "bagging"));
  t.after(() => ensemble.close());
  for (const query of [
    everything,
    { ...everything, sort: "density", descending: false } as const,
    { ...everything, text: "the" },
    { ...everything, member: 1 },
  ]) {
    const { rows, total } = ensemble.page(query, 0, 500);
    assert.ok(total > 0);
    for (const [place, { feature }] of rows.entries()) assert.equal(ensemble.place(query, feature), place);
  }
  assert.equal(ensemble.place({ ...everything, member: 1 }, 0), null);
});

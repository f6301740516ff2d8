// Links to Neuronpedia: only where a member's config names a published SAE, and never to anywhere else.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { neuronpediaIds, neuronpediaPage } from "../../../src/features/neuronpedia.ts";
import { temporaryFolder } from "../fixtures.ts";

test("ids by member: of the metadata, of older flat configs, and only well-formed ones", () => {
  const folder = temporaryFolder();
  const configs = {
    published: { metadata: { neuronpedia_id: "gpt2-small/0-res-jb" } },
    older: { neuronpedia_id: "gemma-2-2b/20-gemmascope-res-16k" },
    own: { metadata: {} },
    hostile: { metadata: { neuronpedia_id: "../../evil.example/x" } },
  };
  for (const [name, config] of Object.entries(configs)) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "cfg.json"), JSON.stringify(config));
  }
  writeFileSync(join(folder, "ensemble.json"), JSON.stringify({ members: Object.keys(configs) }));
  const ids = neuronpediaIds(folder);
  assert.deepEqual(ids, ["gpt2-small/0-res-jb", "gemma-2-2b/20-gemmascope-res-16k", null, null]);
  assert.equal(neuronpediaPage(ids[0]!, 12), "https://www.neuronpedia.org/gpt2-small/0-res-jb/12");
});

test("a folder that can't be read has none", () => {
  assert.deepEqual(neuronpediaIds(join(temporaryFolder(), "nothing")), []);
});

// The Python module beside an exported ensemble, as far as it can be looked at without Python (scripts/crosscheck runs it).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PYTHON_FILE, savePythonEnsemble } from "../../../src/sae/pythonExport.ts";
import { ensembleOf, randomSae } from "../engine/randomCases.ts";
import { temporaryFolder } from "../fixtures.ts";

test("it reads its JSON as UTF-8 whatever the system's encoding is, and takes hook_z with its heads apart", async () => {
  const folder = join(temporaryFolder(), "exported");
  const members = [1, 2].map((seed) => randomSae({ architecture: "standard", reshape_activations: "hook_z" }, seed));
  await savePythonEnsemble(folder, ensembleOf("bagging", members));
  const module = readFileSync(join(folder, PYTHON_FILE), "utf8");
  const reads = module.match(/read_text\([^)]*\)/g)!;
  assert.deepEqual(new Set(reads), new Set(['read_text(encoding="utf-8")']));
  assert.match(module, /if self\.heads_apart and x\.shape\[-1\] != self\.W_enc\.shape\[0\]:\n +x = x\.flatten\(-2\)/);
  assert.match(module, /return self\.decode\(self\.encode\(x\)\)\.reshape\(x\.shape\)/);
  const cfg = JSON.parse(readFileSync(join(folder, "member_0", "cfg.json"), "utf8"));
  assert.equal(cfg.reshape_activations, "hook_z");
});

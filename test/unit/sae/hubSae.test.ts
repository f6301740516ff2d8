// SAEs by their names on a hub (on this machine): only what an SAE needs is fetched, and a repository of many says which there are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hubReference } from "../../../src/data/hub/reference.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { obtainSae } from "../../../src/sae/hubSae.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { localHub, put } from "../localHub.ts";

const hub = await localHub();
const options = { endpoint: hub.url, cacheFolder: join(temporaryFolder(), "hub") };
const read = (...path: string[]) => readFileSync(golden("saes", ...path));
put(hub, "someone/saes", {
  "README.md": "many",
  "layer_4/ae.pt": read("dictionary_learning", "AutoEncoderTopK", "ae.pt"),
  "layer_4/config.json": read("dictionary_learning", "AutoEncoderTopK", "config.json"),
  "layer_4/eval_results.json": "{}",
  "layer_12/width_128/average_l0_40/params.npz": read(
    "gemma_scope",
    "layer_12",
    "width_128",
    "average_l0_40",
    "params.npz",
  ),
});
const obtain = (name: string) => obtainSae(hubReference(name, "model")!, options);

test("a folder of a repository, or its file", async () => {
  const path = await obtain("someone/saes/layer_4");
  assert.match((await openSae(path)).layout, /AutoEncoderTopK/);
  const fetched = hub.requests.map((request) => request.path).filter((name) => name.includes("/resolve/"));
  assert.deepEqual(fetched.map((name) => name.split("/").at(-1)).sort(), ["ae.pt", "config.json"]);
  const npz = await obtain("someone/saes/layer_12/width_128/average_l0_40/params.npz");
  assert.equal((await openSae(npz)).layout, "Gemma Scope");
});

test("a repository of several says which there are", async () => {
  await assert.rejects(obtain("someone/saes"), (error: unknown) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /no single SAE, expected one SAE, e\.g\. someone\/saes\/layer_4/);
    return true;
  });
});

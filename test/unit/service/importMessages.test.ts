// What the editor says of imported SAEs: names tell members apart, in lines and in warnings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { importMessages } from "../../../src/service/importMessages.ts";

const member = (path: string, warnings: string[] = []) => ({
  path,
  layout: "SAELens",
  architecture: "topk",
  d_in: 8,
  d_sae: 32,
  explained_variance: 0.5,
  l0: 4,
  warnings,
});

test("each line and each warning begins with the SAE's folder and file", () => {
  const { lines, warnings } = importMessages([
    member("/saes/first/sae_weights.safetensors", ["odd", "even"]),
    member("C:\\saes\\second\\sae_weights.safetensors", ["odd"]),
  ]);
  assert.deepEqual(lines, [
    "first/sae_weights.safetensors: SAELens, topk, 8 → 32, explained variance 0.500, L0 4.0",
    "second/sae_weights.safetensors: SAELens, topk, 8 → 32, explained variance 0.500, L0 4.0",
  ]);
  assert.deepEqual(warnings, [
    "first/sae_weights.safetensors: odd",
    "first/sae_weights.safetensors: even",
    "second/sae_weights.safetensors: odd",
  ]);
});

test("an architecture that the layout says already is not said twice", () => {
  const { lines } = importMessages([
    { ...member("/a/sae.safetensors"), layout: "sparsify, topk SAE" },
    { ...member("/b/ae.pt"), layout: "dictionary_learning, AutoEncoderTopK" },
  ]);
  assert.match(lines[0]!, /: sparsify, topk SAE, 8 → 32,/);
  assert.match(lines[1]!, /: dictionary_learning, AutoEncoderTopK, topk, 8 → 32,/);
});

test("where folder and file are the same, as many folders more as tell them apart", () => {
  const paths = ["/scope/width_16k/l0_40/params.npz", "/scope/width_65k/l0_40/params.npz"];
  const { lines } = importMessages(paths.map((path) => member(path)));
  assert.match(lines[0]!, /^width_16k\/l0_40\/params\.npz: /);
  assert.match(lines[1]!, /^width_65k\/l0_40\/params\.npz: /);
  // One SAE twice ends too.
  assert.equal(importMessages([member(paths[0]!), member(paths[0]!)]).lines.length, 2);
});

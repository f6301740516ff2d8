// Checkpoints: read back to the same bits; damage of any kind is found and named, and the checkpoint before is used; leftovers of a killed process don't matter.
import assert from "node:assert/strict";
import { mkdir, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { newMemberState } from "../../../src/engine/memberState.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import type { SaeWeights } from "../../../src/sae/sae.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../src/training/checkpoint.ts";
import type { TrainingState } from "../../../src/training/trainingRun.ts";
import { temporaryFolder } from "../fixtures.ts";

function weights(seed: number): SaeWeights {
  const random = SeededRandom.derive(seed);
  const values = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return { W_enc: values(40), W_dec: values(40), b_dec: values(5), b_enc: values(8), threshold: values(8) };
}

function state(step: number, member = 1): TrainingState {
  const trained = newMemberState(weights(step), 0.9);
  trained.exp_avg = weights(step + 1000);
  trained.exp_avg_sq = weights(step + 2000);
  trained.n_forward_passes_since_fired.set([0, 1, 4_000_000_000, 3]);
  trained.last_updated = Uint32Array.of(1, 2, 3, 4, 5, 6, 7, step);
  trained.topk_threshold = Math.PI / 7;
  trained.step = step;
  return {
    fingerprint: "f",
    members: [trained],
    member,
    finished: [{ weights: weights(5), topk_threshold: 1 / 3 }],
    step,
    tokens: step * 32,
    cursor: { shard: 2, order: [3, 1, 2], nested: { "10": 1, "2": null } },
    scaling_factor: 0.1 + 0.2,
  };
}

test("a state is read back bit for bit", async () => {
  const folder = temporaryFolder();
  const path = await saveCheckpoint(folder, state(7));
  const loaded = await loadCheckpoint(folder);
  assert.deepEqual(loaded!.state, state(7));
  assert.equal(loaded!.path, path);
  assert.deepEqual(loaded!.damaged, []);
  const withoutMomentum = state(8);
  delete withoutMomentum.members[0]!.exp_avg;
  delete withoutMomentum.members[0]!.last_updated;
  const plain = { ...withoutMomentum, finished: [], scaling_factor: null };
  await saveCheckpoint(folder, plain);
  assert.deepEqual((await loadCheckpoint(folder))!.state, plain);
  const named = {
    ...state(9),
    plan: { method: "single", seeds: [1] },
    engine: "webgpu",
    engine_description: "WebGPU on Apple M2",
  };
  await saveCheckpoint(folder, named);
  assert.deepEqual((await loadCheckpoint(folder))!.state, named);
});

test("the newest counts: a later member before a later step; two are kept", async () => {
  const folder = temporaryFolder();
  for (const [step, member] of [
    [900, 0],
    [1000, 0],
    [90, 1],
    [100, 1],
  ] as const)
    await saveCheckpoint(folder, state(step, member));
  const loaded = await loadCheckpoint(folder);
  assert.deepEqual([loaded!.state.member, loaded!.state.step], [1, 100]);
  assert.equal((await readdir(folder)).length, 2);
});

test("the same step may be saved again", async () => {
  const folder = temporaryFolder();
  await saveCheckpoint(folder, state(7));
  await saveCheckpoint(folder, { ...state(7), tokens: 1 });
  assert.equal((await loadCheckpoint(folder))!.state.tokens, 1);
  assert.equal((await readdir(folder)).length, 1);
});

test("nothing there is null, not an error", async () => {
  assert.equal(await loadCheckpoint(temporaryFolder()), null);
  assert.equal(await loadCheckpoint(join(temporaryFolder(), "nowhere")), null);
});

const damages: [string, (path: string) => Promise<void>, RegExp][] = [
  ["tensors are cut short", (path) => truncate(join(path, "tensors.safetensors"), 900), /tensors\.safetensors/],
  [
    "a bit of a tensor is flipped",
    (path) => flip(join(path, "tensors.safetensors"), -3),
    /tensors\.safetensors, tensor .*SHA-256/,
  ],
  ["tensors are missing", (path) => rm(join(path, "tensors.safetensors")), /tensors\.safetensors/],
  ["the JSON is missing", (path) => rm(join(path, "checkpoint.json")), /checkpoint\.json/],
  [
    "the JSON is another program's",
    (path) => writeFile(join(path, "checkpoint.json"), '{"steps": 3}'),
    /^[^\n]*checkpoint\.json, sha256: found [^\n]*, expected a string \(a checkpoint of format 1\)$/,
  ],
  ["the JSON is cut short", (path) => truncate(join(path, "checkpoint.json"), 200), /checkpoint\.json/],
  [
    "a number in the JSON is changed",
    async (path) => {
      const file = join(path, "checkpoint.json");
      await writeFile(file, (await readFile(file, "utf8")).replace('"tokens":288', '"tokens":289'));
    },
    /checkpoint\.json: found content with SHA-256/,
  ],
  [
    "the files are empty",
    (path) =>
      Promise.all([truncate(join(path, "checkpoint.json"), 0), truncate(join(path, "tensors.safetensors"), 0)]).then(
        () => {},
      ),
    /checkpoint\.json/,
  ],
];

for (const [what, damage, message] of damages) {
  test(`${what}: refused by name, and the checkpoint before is used`, async () => {
    const folder = temporaryFolder();
    await saveCheckpoint(folder, state(8));
    const newest = await saveCheckpoint(folder, state(9));
    await damage(newest);
    const loaded = await loadCheckpoint(folder);
    assert.deepEqual(loaded!.state, state(8));
    assert.equal(loaded!.damaged.length, 1);
    assert.match(loaded!.damaged[0]!.message, message);
    await damage(loaded!.path).catch(() => {});
    await rm(join(loaded!.path, "checkpoint.json"), { force: true });
    await assert.rejects(loadCheckpoint(folder), InputError, "with none left that is whole, it is an error");
  });
}

test("what a killed process left half written is not a checkpoint, and goes with the next one", async () => {
  const folder = temporaryFolder();
  await saveCheckpoint(folder, state(8));
  const half = join(folder, ".member_1-step_000000009.abcd.tmp");
  await mkdir(half);
  await writeFile(join(half, "tensors.safetensors"), "half");
  assert.deepEqual((await loadCheckpoint(folder))!.state, state(8));
  await saveCheckpoint(folder, state(10));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith(".")),
    [],
  );
});

async function flip(path: string, fromEnd: number): Promise<void> {
  const file = await open(path, "r+");
  const { size } = await file.stat();
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, size + fromEnd);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, size + fromEnd);
  await file.close();
}

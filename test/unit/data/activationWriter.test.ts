// The activation writer: nothing half-written is ever seen, a killed harvest goes on to the same bytes, values it can't hold are refused.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readActivationManifest, readActivationStore } from "../../../src/data/activationManifest.ts";
import { readActivations, verifyActivations } from "../../../src/data/activationRows.ts";
import { createActivationWriter } from "../../../src/data/activationWriter.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";
import { numberedRows, provenance } from "./activationFixtures.ts";

const folder = temporaryFolder();
const options = { d_in: 4, dtype: "float32", shardRows: 10, provenance } as const;

/** Every file's name and hash. */
function contents(path: string): string[] {
  return readdirSync(path)
    .sort()
    .map(
      (name) =>
        `${name} ${createHash("sha256")
          .update(readFileSync(join(path, name)))
          .digest("hex")}`,
    );
}

test("an interrupted harvest goes on behind the last whole shard, to the same bytes", async () => {
  const harvest = async (path: string, stopAt: number) => {
    const writer = await createActivationWriter(path, options);
    let next = (writer.cursor as { next: number } | null)?.next ?? 0;
    for (; next < stopAt; next++) {
      await writer.append(numberedRows(next * 3, 3, 4), 3, { cursor: { next: next + 1 } });
    }
    return writer;
  };
  const whole = join(folder, "whole");
  await (await harvest(whole, 25)).finish();
  for (const stop of [1, 4, 5, 24]) {
    const broken = join(folder, `broken${stop}`);
    const first = await harvest(broken, stop);
    assert.equal(first.manifest.rows, Math.floor(stop / 4) * 12);
    assert.equal(first.complete, false);
    const second = await harvest(broken, 25);
    await second.finish();
    assert.deepEqual(contents(broken), contents(whole));
    const third = await createActivationWriter(broken, options);
    assert.equal(third.complete, true);
    await third.finish();
    assert.deepEqual(contents(broken), contents(whole));
    await assert.rejects(third.append(numberedRows(0, 1, 4), 1, { cursor: null }), /complete/);
  }
});

test("killed for real at random moments, again and again, it ends with the same bytes", {
  timeout: 120_000,
}, async () => {
  const script = join(import.meta.dirname, "harvestUntilKilled.ts");
  const run = (path: string, killAfter: number | null) =>
    new Promise<"killed" | "done">((resolve, reject) => {
      const child = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "inherit"] });
      let seen = 0;
      // The child reports each chunk; the kill falls some time into the next one's work, wherever that is.
      child.stdout.on("data", (data: Buffer) => {
        seen += data.length;
        if (killAfter !== null && seen > killAfter) child.kill("SIGKILL");
      });
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (signal === "SIGKILL") resolve("killed");
        else if (code === 0) resolve("done");
        else reject(new Error(`exit code ${code}`));
      });
    });
  const whole = join(folder, "uninterrupted");
  assert.equal(await run(whole, null), "done");
  const random = new SeededRandom(11);
  const path = join(folder, "killed");
  let kills = 0;
  while ((await run(path, kills < 8 ? random.integer(12) : null)) === "killed") {
    kills++;
    // What is named is whole, whatever else lies about.
    const manifest = existsSync(path) ? await readActivationManifest(path) : null;
    if (!manifest) continue;
    const view = join(folder, `view${kills}`);
    cpSync(path, view, { recursive: true });
    writeFileSync(join(view, "manifest.json"), JSON.stringify({ ...manifest, complete: true }));
    await verifyActivations(await readActivationStore(view));
    assert.deepEqual(manifest.cursor, manifest.rows === 0 ? null : { chunk: manifest.rows / 50 });
  }
  assert.ok(kills > 0, "a harvest was killed");
  assert.deepEqual(contents(path), contents(whole));
});

test("leftovers of a kill are cleared, other files are not touched", async () => {
  const path = join(folder, "leftovers");
  const writer = await createActivationWriter(path, options);
  await writer.append(numberedRows(0, 10, 4), 10, { cursor: 1 });
  for (const name of [
    "shard_00001.safetensors",
    ".shard_00001.safetensors.12.ab.tmp",
    ".manifest.json.12.ab.tmp",
    "notes.txt",
  ]) {
    writeFileSync(join(path, name), "x");
  }
  await createActivationWriter(path, options);
  assert.deepEqual(readdirSync(path).sort(), ["manifest.json", "notes.txt", "shard_00000.safetensors"]);
});

test("two harvests never mix: a folder of another model, width or dtype is refused, naming the key", async () => {
  const path = join(folder, "other");
  const writer = await createActivationWriter(path, options);
  await writer.append(numberedRows(0, 10, 4), 10, { cursor: 1 });
  const before = contents(path);
  for (const [key, other] of [
    ["d_in", { ...options, d_in: 5 }],
    ["dtype", { ...options, dtype: "float16" }],
    ["hook_name", { ...options, provenance: { ...provenance, hook_name: "blocks.1.hook_resid_post" } }],
    ["seed", { ...options, provenance: { ...provenance, seed: 3 } }],
  ] as const) {
    await assert.rejects(createActivationWriter(path, other), (error: unknown) => {
      assert.ok(error instanceof InputError);
      assert.equal(error.where, key);
      return true;
    });
  }
  await createActivationWriter(path, { ...options, provenance: { ...provenance, seed: undefined } });
  assert.deepEqual(contents(path), before);
});

test("float16: what it can't hold is refused with row and dimension, never written as infinity", async () => {
  const path = join(folder, "range");
  const writer = await createActivationWriter(path, { ...options, dtype: "float16" });
  const row = (value: number) => Float32Array.of(1, 2, value, 3);
  await writer.append(row(65504), 1, { cursor: 1 });
  await writer.append(row(-65519), 1, { cursor: 2 }); // rounds to -65504
  for (const value of [65520, -70000, 1e30]) {
    await assert.rejects(
      writer.append(row(value), 1, { cursor: 3 }),
      (error: unknown) =>
        error instanceof InputError &&
        /row 2, dimension 2: found the activation .* at most 65504 .* use float32/.test(error.message),
    );
  }
  await writer.append(row(1e-8), 1, { cursor: 3 }); // below the subnormals: zero, as rounding has it
  await writer.finish();
  const [chunk] = await Array.fromAsync(readActivations(path, { chunkRows: 10 }));
  assert.deepEqual([...chunk!.x], [1, 2, 65504, 3, 1, 2, -65504, 3, 1, 2, 0, 3]);
});

test("values that are not finite, arrays of the wrong length and an empty harvest are refused", async () => {
  const writer = await createActivationWriter(join(folder, "finite"), options);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(
      writer.append(Float32Array.of(1, 2, 3, 4, 5, value, 7, 8), 2, { cursor: 1 }),
      /row 1, dimension 1: found the activation (NaN|Infinity), expected a finite number/,
    );
  }
  await assert.rejects(writer.append(new Float32Array(7), 2, { cursor: 1 }), RangeError);
  await assert.rejects(writer.append(new Float32Array(8), 2, { cursor: 1, documents: new Uint32Array(1) }), RangeError);
  await assert.rejects(writer.finish(), /no activations/);
  assert.ok(!existsSync(join(folder, "finite", "manifest.json")));
});

test("a chunk that its owner changes afterwards is stored as it was", async () => {
  const path = join(folder, "copied");
  const writer = await createActivationWriter(path, options);
  const x = numberedRows(0, 2, 4);
  const documents = Uint32Array.of(3, 4);
  await writer.append(x, 2, { cursor: 1, documents });
  x.fill(9);
  documents.fill(9);
  await writer.finish();
  const [chunk] = await Array.fromAsync(readActivations(path, { chunkRows: 10 }));
  assert.deepEqual(chunk!.x, numberedRows(0, 2, 4));
});

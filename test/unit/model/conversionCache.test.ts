// Which conversions stay in the cache, whoever works with them, and what a conversion that fails leaves.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { acquireFileLock } from "../../../src/formats/fileLock.ts";
import { type ConvertedTensor, convertedCheckpoint } from "../../../src/model/convertedCheckpoint.ts";
import { temporaryFolder } from "../fixtures.ts";

const temporary = temporaryFolder();

interface Place {
  readonly folder: string;
  readonly cache: string;
}

function place(): Place {
  const folder = mkdtempSync(join(temporary, "place-"));
  mkdirSync(join(folder, "models"));
  return { folder, cache: join(folder, "cache") };
}

const one: ConvertedTensor["values"] = () => [Float32Array.of(1, 2)];

function convert({ folder, cache }: Place, name: string, values = one, version = "1") {
  const path = join(folder, "models", name);
  writeFileSync(path, name);
  const tensors = new Map([["a", { shape: [2], values }]]);
  return convertedCheckpoint({ path, format: "gguf", version, tensors }, cache);
}

/** Names of what is converted. */
function cached({ cache }: Place): string[] {
  const weights = readdirSync(join(cache, "gguf")).filter((name) => name.endsWith(".safetensors"));
  return weights.map((name) => /^\w+/.exec(name)![0]).sort();
}

test("a conversion that fails holds nothing and leaves no weights", async () => {
  const here = place();
  const failing = convert(here, "broken.gguf", () => {
    throw new Error("the disk is full");
  });
  await assert.rejects(failing, /the disk is full/);
  const left = readdirSync(join(here.cache, "gguf"));
  assert.ok(left.length === 1 && left[0]!.endsWith(".lock"), `${left}`);
  const lock = acquireFileLock(join(here.cache, "gguf", left[0]!), 0);
  assert.ok(lock, "nobody has it");
  lock.release();
  (await convert(here, "broken.gguf")).release!();
  assert.deepEqual(cached(here), ["broken"]);
});

test("what another process works with stays, and goes with the next conversion when that process is gone", async () => {
  const here = place();
  const path = join(here.folder, "models", "theirs.gguf");
  writeFileSync(path, "theirs");
  const module = join(import.meta.dirname, "../../../src/model/convertedCheckpoint.ts");
  const program = `const { convertedCheckpoint } = await import(${JSON.stringify(module)});
    const tensors = new Map([["a", { shape: [2], values: () => [Float32Array.of(1, 2)] }]]);
    const conversion = { path: ${JSON.stringify(path)}, format: "gguf", version: "1", tensors };
    globalThis.held = await convertedCheckpoint(conversion, ${JSON.stringify(here.cache)});
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const exited = once(child, "exit");
  try {
    rmSync(path);
    (await convert(here, "first.gguf")).release!();
    assert.deepEqual(cached(here), ["first", "theirs"]);
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
  (await convert(here, "second.gguf")).release!();
  assert.deepEqual(cached(here), ["first", "second"]);
});

test("one of a file whose folder is away stays: the drive may come back", async () => {
  const here = place();
  const [models, away] = [join(here.folder, "models"), join(here.folder, "away")];
  (await convert(here, "kept.gguf")).release!();
  renameSync(models, away);
  mkdirSync(join(here.folder, "other", "models"), { recursive: true });
  (await convert({ ...here, folder: join(here.folder, "other") }, "other.gguf")).release!();
  assert.deepEqual(cached(here), ["kept", "other"]);
  renameSync(away, models);
  rmSync(join(models, "kept.gguf"));
  (await convert(here, "last.gguf")).release!();
  assert.deepEqual(cached(here), ["last", "other"]);
});

test("a version that converts otherwise takes the other's place, so that a model is there once", async () => {
  const here = place();
  (await convert(here, "model.gguf")).release!();
  (await convert(here, "model.gguf", one, "2")).release!();
  assert.deepEqual(cached(here), ["model"]);
});

// The platform of a native binary by its first bytes, on the libraries of every platform that onnxruntime-node brings along.
import assert from "node:assert/strict";
import { globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { binaryPlatform, sliceFor } from "../../../scripts/binaryPlatform.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const binaries = join(root, "node_modules", "onnxruntime-node", "bin", "napi-v6");

test("every library lies under its own platform's name", () => {
  const files = globSync("*/*/*.{node,dll,dylib,so,so.1}", { cwd: binaries });
  assert.ok(files.length >= 10);
  for (const file of files) {
    const [platform, arch] = file.split(/[\\/]/);
    assert.equal(binaryPlatform(join(binaries, file)), `${platform}-${arch}`, file);
  }
});

test("the running Node is this platform's", () => {
  assert.equal(binaryPlatform(process.execPath), `${process.platform}-${process.arch}`);
});

test("what is no binary is none", () => {
  for (const file of ["package.json", join("media", "icon.png"), join("media", "demo", "model", "model.safetensors")])
    assert.equal(binaryPlatform(join(root, file)), null, file);
});

test("of a macOS library for two machines, each one's part is that machine's", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sae-slice-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const both = join(
    import.meta.dirname,
    "..",
    "..",
    "..",
    "node_modules",
    "webgpu",
    "dist",
    "darwin-universal",
    "dawn.node",
  );
  for (const platform of ["darwin-arm64", "darwin-x64"]) {
    const file = join(folder, platform);
    writeFileSync(file, sliceFor(both, platform));
    assert.equal(binaryPlatform(file), platform);
  }
  assert.throws(() => sliceFor(both, "linux-x64"), /holds nothing for linux-x64/);
});

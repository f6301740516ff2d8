// Safetensors and GGUF files damaged at random places (MUTATIONS says how many): each opens or is refused by an InputError, at once and in bounded memory.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { ggufFloat32, readGguf } from "../../../src/formats/gguf.ts";
import { readSafetensors, tensorBytes } from "../../../src/formats/safetensors.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const TRIES = Number(process.env["MUTATIONS"] ?? 400);
/** Far more than the files, far less than what a damaged length can claim. */
const MOST_MEMORY = 256 * 2 ** 20;

const readers: Record<string, { file: string; header: number; read: (path: string) => Promise<unknown> }> = {
  safetensors: {
    file: golden("formats", "types.safetensors"),
    header: 1500,
    read: async (path) => {
      const file = await readSafetensors(path);
      for (const name of file.tensors.keys()) await tensorBytes(file, name);
    },
  },
  gguf: {
    file: golden("formats", "types.gguf"),
    header: 1500,
    read: async (path) => {
      const file = await readGguf(path);
      for (const name of file.tensors.keys()) await ggufFloat32(file, name);
    },
  },
};

for (const [name, { file, header, read }] of Object.entries(readers))
  test(name, async () => {
    const whole = readFileSync(file);
    const random = SeededRandom.derive(88, name);
    const path = join(folder, `damaged.${name}`);
    let refused = 0;
    const before = process.memoryUsage().rss;
    for (let i = 0; i < TRIES; i++) {
      const bytes = Buffer.from(i % 4 === 0 ? whole.subarray(0, random.integer(whole.length)) : whole);
      // Most of what can go wrong stands at the beginning.
      const reach = Math.min(bytes.length, i % 2 === 0 ? header : whole.length);
      for (let n = 1 + random.integer(6); n > 0 && reach > 0; n--) bytes[random.integer(reach)] = random.integer(256);
      writeFileSync(path, bytes);
      await read(path).catch((error: Error) => {
        assert.equal(error.name, "InputError", String(error.stack));
        refused++;
      });
    }
    assert.ok(refused > TRIES / 4, `${refused} of ${TRIES} refused`);
    assert.ok(process.memoryUsage().rss - before < MOST_MEMORY);
  });

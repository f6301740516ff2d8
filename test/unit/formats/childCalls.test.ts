// What is said of a process of ours that ends: its reason, not the lines that Node puts around it, and advice that fits what it was asked for.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { ChildCalls } from "../../../src/formats/childCalls.ts";

const folder = mkdtempSync(join(tmpdir(), "sae-child-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const words = {
  process: "the process",
  device: "the device",
  advice: (asked: ReadonlySet<string>) => (asked.has("work") ? "What was done is kept" : "Nothing was begun"),
  error: (message: string) => new Error(message),
};

/** The error of a call to a process of this text. */
async function endOf(text: string, ...kinds: string[]): Promise<string> {
  const file = join(folder, `${Math.random()}.mjs`);
  writeFileSync(file, text);
  const calls = new ChildCalls(pathToFileURL(file), words);
  const replies = await Promise.allSettled(kinds.map((kind) => calls.call({ kind })));
  await calls.close();
  return (replies.at(-1) as PromiseRejectedResult).reason.message;
}

test("a process that fails as it starts: the error's own line is given", async () => {
  const message = await endOf('throw new TypeError("the driver is too old");', "list");
  assert.equal(message, "the process ended (code 1): TypeError: the driver is too old. Nothing was begun");
});

test("an error with a code and properties below its trace, as for a library that can't be loaded", async () => {
  const text = `const error = new Error("dawn.node: libvulkan.so.1: cannot open shared object file");
    error.code = "ERR_DLOPEN_FAILED";
    throw error;`;
  assert.match(await endOf(text, "list"), /: Error: dawn\.node: libvulkan\.so\.1: cannot open shared object file\. /);
});

test("words that are no error of Node's, and advice by what was asked", async () => {
  const text = `import { Socket } from "node:net";
    new Socket({ fd: 3 }).on("data", () => { console.error("device removed"); process.exit(3); });`;
  assert.equal(await endOf(text, "list", "work"), "the process ended (code 3): device removed. What was done is kept");
});

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

/** A process that answers: what it is sent back, nothing for "silent", the end for "exit", and what can't travel for "strange". */
const answering = `import { answerCalls } from ${JSON.stringify(new URL("../../../src/formats/answerCalls.ts", import.meta.url).href)};
  answerCalls(async (call) => {
    if (call.kind === "silent") return new Promise(() => {});
    if (call.kind === "exit") process.exit(5);
    if (call.kind === "strange") return new BigInt64Array(1);
    return call.x;
  }, { inWords: (error) => error.message });`;

function startAnswering(): ChildCalls<{ kind: string; x?: unknown }> {
  const file = join(folder, `${Math.random()}.mjs`);
  writeFileSync(file, answering);
  return new ChildCalls(pathToFileURL(file), words);
}

test("a call and a reply that can't travel fail by themselves: others go on", async () => {
  const calls = startAnswering();
  const echo = calls.call({ kind: "echo", x: Float32Array.of(1, 2) });
  await assert.rejects(calls.call({ kind: "echo", x: new BigInt64Array(1) }), /can't hold a BigInt64Array/);
  await assert.rejects(calls.call({ kind: "strange" }), /can't hold a BigInt64Array/);
  assert.deepEqual(await echo, Float32Array.of(1, 2));
  assert.deepEqual(await calls.call({ kind: "echo", x: [Uint32Array.of(3)] }), [Uint32Array.of(3)]);
  await calls.close();
});

test("a process that ends while a large array is on its way: every call fails with its end", async () => {
  const calls = startAnswering();
  await calls.call({ kind: "echo", x: 1 });
  const waiting = calls.call({ kind: "silent" });
  const leaving = calls.call({ kind: "exit" });
  const large = calls.call({ kind: "echo", x: new Float32Array(2 ** 26) });
  for (const call of [waiting, leaving, large]) await assert.rejects(call, /the process ended \(code 5\)/);
  await calls.close();
});

test("a process that closes its channel and lives is ended, and said so", async () => {
  const file = join(folder, "closes.mjs");
  writeFileSync(file, 'import { closeSync } from "node:fs"; closeSync(3); setInterval(() => {}, 1000);');
  const calls = new ChildCalls(pathToFileURL(file), words);
  await assert.rejects(
    calls.call({ kind: "list" }),
    /the process can't be talked to any more: it has closed its channel/,
  );
  await calls.close();
});

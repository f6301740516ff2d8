#!/usr/bin/env node
// Entry of the command line. Makes sure that Node 24 runs it (node:sqlite, Float16Array), then hands over to program.ts. Must itself run on old versions of Node.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodePackage, nodeProgram } from "../protocol/carriedNode.ts";

const NEEDED = 24;

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  const { runProgram } = await import("./program.ts");
  await runProgram(process.argv);
} else {
  runWithCarriedNode();
}

/** One of the dependencies holds the right version: the same command again, under it. */
function runWithCarriedNode(): void {
  const node = carriedNode();
  if (!node) {
    console.error(
      `Node ${NEEDED} or newer is needed, this is ${process.versions.node}. Run npm ci in the product's folder, or install Node ${NEEDED}.`,
    );
    process.exitCode = 1;
    return;
  }
  const script = fileURLToPath(import.meta.url);
  const child = spawn(node, [...process.execArgv, script, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; it decides when to end.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 1 : (code ?? 1);
  });
}

function carriedNode(): string | undefined {
  try {
    const { platform, arch } = process;
    const folder = dirname(createRequire(import.meta.url).resolve(`${nodePackage(platform, arch)}/package.json`));
    return join(folder, "bin", nodeProgram(platform));
  } catch {
    return undefined;
  }
}

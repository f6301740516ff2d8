// Runs a suite inside a real VS Code's extension host, in a window of its own on a workspace, and gives what its checks found.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { prepareRealVsCode, startVsCode } from "../../scripts/realVsCode.ts";
import { launchBrowser, runHostSuite } from "../../scripts/workbench.ts";
import type { HostResult } from "./checks.ts";

const root = join(import.meta.dirname, "..", "..");

export interface HostRun {
  /** The suite beside this file. */
  readonly suite: string;
  /** A folder for VS Code's state, deleted in the end; the workspace lies in it. */
  readonly state: string;
  readonly workspace: string;
}

export async function runInHost({ suite: source, state, workspace }: HostRun): Promise<HostResult[]> {
  await prepareRealVsCode();
  mkdirSync(workspace, { recursive: true });
  const [results, suite] = [join(state, "results.jsonl"), join(state, "suite.cjs")];
  writeFileSync(results, "");
  await build({
    entryPoints: [join(import.meta.dirname, source)],
    outfile: suite,
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["vscode"],
    logLevel: "warning",
  });
  process.env["SAE_HOST_RESULTS"] = results;
  const server = await startVsCode({ state, flags: ["--vscode-option", "enable-smoke-test-driver"] });
  try {
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, locale: "en-US" });
      const ended = await runHostSuite(page, server.url, { folder: workspace, extension: root, suite });
      assert.equal(ended, 0, "the suite ran to its end");
    } finally {
      await browser.close();
    }
  } finally {
    await server.stop();
  }
  const lines = readFileSync(results, "utf8").split("\n").filter(Boolean);
  rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  return lines.map((line) => JSON.parse(line) as HostResult);
}

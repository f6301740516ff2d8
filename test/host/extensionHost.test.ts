// Runs suite.ts inside a real VS Code's extension host and reports each of its checks as a test.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import type { RunRecord } from "../../src/jobs/runRecord.ts";
import type { HostResult } from "./suite.ts";

const root = join(import.meta.dirname, "..", "..");

/** The record of a run that harvested and ended. */
const finished = {
  format_version: 1,
  name: "finished",
  state: "done",
  reason: null,
  jobs: ["harvest"],
  job: "harvest",
  pid: 1,
  host: "elsewhere",
  created: 0,
  started: 0,
  ahead: null,
  heartbeat: 1000,
  ended: 1000,
  progress: null,
  stages: {},
} satisfies RunRecord;

describe("inside the extension host", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 600_000,
}, async () => {
  const state = mkdtempSync(join(tmpdir(), "sae-host-"));
  const workspace = join(state, "workspace");
  const results = join(state, "results.jsonl");
  const suite = join(state, "suite.cjs");
  let server: RunningVsCode;
  let browser: Browser;

  before(async () => {
    await prepareRealVsCode();
    mkdirSync(join(workspace, ".vscode"), { recursive: true });
    const task = { label: "train it", type: "sae-ensembles", experiment: "missing.sae.jsonc" };
    writeFileSync(join(workspace, ".vscode", "tasks.json"), JSON.stringify({ version: "2.0.0", tasks: [task] }));
    mkdirSync(join(workspace, "runs", "finished"), { recursive: true });
    writeFileSync(join(workspace, "runs", "finished", "run.json"), JSON.stringify(finished));
    writeFileSync(results, "");
    await build({
      entryPoints: [join(import.meta.dirname, "suite.ts")],
      outfile: suite,
      bundle: true,
      platform: "node",
      format: "cjs",
      external: ["vscode"],
      logLevel: "warning",
    });
    process.env["SAE_HOST_RESULTS"] = results;
    server = await startVsCode({ state, flags: ["--vscode-option", "enable-smoke-test-driver"] });
    browser = await launchBrowser();
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, locale: "en-US" });
    const ended = new Promise<number>((resolve) => void page.exposeFunction("codeAutomationExit", resolve));
    await page.exposeFunction("codeAutomationLog", () => {});
    const remote = (path: string) => `vscode-remote://${new URL(server.url).host}${path}`;
    const payload = JSON.stringify([
      ["extensionDevelopmentPath", remote(root)],
      ["extensionTestsPath", remote(suite)],
      ["skipWelcome", "true"],
    ]);
    await page.goto(`${server.url}?${new URLSearchParams({ folder: workspace, payload })}`);
    assert.equal(await ended, 0, "the suite ran to its end");
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  test("every check passes", async (context) => {
    const lines = readFileSync(results, "utf8").split("\n").filter(Boolean);
    assert.ok(lines.length > 5);
    for (const { name, error } of lines.map((line) => JSON.parse(line) as HostResult))
      await context.test(name, () => assert.equal(error, null, error ?? ""));
  });
});

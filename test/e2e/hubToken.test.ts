// The user's Hugging Face token in a real VS Code with the packaged VSIX, against a hub on this machine that wants one: set by the command, kept in the secret storage through a reload, sent with every request of a run, and written nowhere.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser, Workbench } from "../../scripts/workbench.ts";
import { isRunLocked } from "../../src/jobs/runLock.ts";
import { golden } from "../unit/fixtures.ts";
import { localHub, put } from "../unit/localHub.ts";

const minutes = 60_000;
const token = "hf_madeUpForThisTest";

describe("a gated model", { skip: unavailable && `SKIPPED: ${unavailable}`, timeout: 12 * minutes }, async () => {
  const state = mkdtempSync(join(tmpdir(), "sae-token-"));
  const workspace = join(state, "workspace");
  const hub = await localHub();
  let server: RunningVsCode;
  let browser: Browser;
  let workbench: Workbench;
  let page: Page;

  const llama = golden("models", "llama");
  const files = Object.fromEntries(readdirSync(llama).map((name) => [name, readFileSync(join(llama, name))]));
  for (const name of ["first", "second"]) put(hub, `gated/${name}`, files);
  hub.misbehave = ({ headers }, response) => {
    if (headers.authorization === `Bearer ${token}`) return false;
    // A run that fails at once, before whoever starts it has seen it, is one that never began.
    setTimeout(() => response.writeHead(401, { "X-Error-Code": "GatedRepo" }).end(), 500);
    return true;
  };
  /** What was asked of a repository, with what token. */
  const asked = (name: string) => hub.requests.filter(({ path }) => path.includes(`gated/${name}`));

  function experiment(name: string): void {
    const settings = {
      model_name: `gated/${name}`,
      hook_name: "blocks.1.hook_resid_post",
      dataset_path: "text.txt",
      context_size: 16,
      training_tokens: 256,
      train_batch_size_tokens: 64,
      sae: { architecture: "topk", d_sae: 16, k: 2 },
      ensembles: { methods: ["single"], n_members: 1 },
      activations: { tokens: 256 },
      evaluation: { test_tokens: 64, model_metrics_tokens: 0 },
      index: { methods: [] },
    };
    writeFileSync(join(workspace, `${name}.sae.jsonc`), JSON.stringify(settings));
  }

  async function run(name: string): Promise<void> {
    await workbench.openFile(`${name}.sae.jsonc`);
    // The text, not only the tab, is what the command asks for.
    const lines = page.locator(".editor-group-container.active .view-line", { hasText: `gated/${name}` });
    await lines.first().waitFor();
    await workbench.command("SAE Ensembles: Run Experiment");
  }

  const downloaded = (name: string) => asked(name).some(({ path }) => path.endsWith("/model.safetensors"));

  before(async () => {
    await prepareRealVsCode();
    mkdirSync(workspace);
    writeFileSync(join(workspace, "text.txt"), "the quick brown fox jumps over the lazy dog and runs.\n\n".repeat(200));
    for (const name of ["first", "second"]) experiment(name);
    // What the service and its runs have of their surroundings: this hub, and no token of whoever tests.
    Object.assign(process.env, {
      HF_ENDPOINT: hub.url,
      HF_HUB_CACHE: join(state, "hub"),
      HF_HOME: join(state, "home"),
      SAE_ENSEMBLES_STATE: join(state, "queue"),
    });
    for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"]) delete process.env[name];
    server = await startVsCode({ vsix: packagedVsix(), state });
    browser = await launchBrowser();
    workbench = await Workbench.open(browser, server.url, workspace);
    page = workbench.page;
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  /** What a run's record says of it. */
  function record(name: string): string {
    const path = join(workspace, "runs", name, "run.json");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  test("is refused without a token, and the run says what to do", async () => {
    await run("first");
    await workbench.until("the hub is asked", () => asked("first").length > 0, 2 * minutes);
    assert.deepEqual(new Set(asked("first").map((request) => request.token)), new Set([undefined]));
    await workbench.until(
      "the run says why",
      () => record("first").includes("a gated repository and no token"),
      2 * minutes,
    );
    assert.equal(downloaded("first"), false);
  });

  test("comes with the token of the command, which wants one that can be a token", async () => {
    await workbench.command("SAE Ensembles: Set Hugging Face Token");
    const input = page.locator(".quick-input-widget input.input");
    await page.locator(".quick-input-widget", { hasText: "Hugging Face access token" }).waitFor();
    assert.equal(await input.getAttribute("type"), "password");
    await input.fill("no token");
    await page.getByText("A token has no spaces").waitFor();
    await input.fill(token);
    await input.press("Enter");
    await input.waitFor({ state: "hidden" });
    // The box goes before the token is in the store, which no page shows.
    await page.waitForTimeout(1000);
    hub.requests.length = 0;
    await run("first");
    await workbench.until("the weights are asked for", () => downloaded("first"), 2 * minutes);
    assert.deepEqual(new Set(asked("first").map((request) => request.token)), new Set([`Bearer ${token}`]));
  });

  test("is remembered by the window that is opened next, and stands in no file of the workspace", async () => {
    await workbench.reload();
    await run("second");
    await workbench.until("the weights are asked for", () => downloaded("second"), 2 * minutes);
    assert.deepEqual(new Set(asked("second").map((request) => request.token)), new Set([`Bearer ${token}`]));
    // A run at work writes and renames its files, its heartbeat to the last.
    for (const name of ["first", "second"]) {
      const hasEnded = () => record(name).includes('"state": "done"') && !isRunLocked(join(workspace, "runs", name));
      await workbench.until(`the run ${name} has ended`, hasEnded, 5 * minutes);
    }
    const found = readdirSync(workspace, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(token),
    );
    assert.deepEqual(found, []);
    // Whoever lists processes sees their arguments.
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const args = processes.map((pid) => {
      try {
        return readFileSync(join("/proc", pid, "cmdline"), "utf8");
      } catch {
        return ""; // it has ended meanwhile
      }
    });
    assert.ok(!args.some((line) => line.includes(token)));
  });
});

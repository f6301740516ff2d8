// SAEs of others in a real VS Code with the packaged VSIX: a click on a file shows what it is; they are imported from the palette, asked what no file says; a folder dropped on the Ensembles view is imported too, and is evaluated and indexed like our own.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { Browser, Frame, Page } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser, Workbench } from "../../scripts/workbench.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { loadSae } from "../../src/sae/saeLensFolder.ts";
import { runTiny, writeTinyExperiment } from "../tinyRun.ts";
import { localHub, put } from "../unit/localHub.ts";

const root = join(import.meta.dirname, "..", "..");
const minutes = 60_000;
const hook = "blocks.2.hook_resid_post";
/** On this machine; the windows of the test are told of it by their surroundings. */
const hub = unavailable ? null : await localHub();

describe("SAEs of others in the editor", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 15 * minutes,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-e2e-"));
  const workspace = join(state, "workspace");
  let server: RunningVsCode;
  let browser: Browser;
  let workbench: Workbench;
  let page: Page;

  before(async () => {
    await prepareRealVsCode();
    await writeStrangers();
    process.env["HF_ENDPOINT"] = hub!.url;
    process.env["HF_HUB_CACHE"] = join(state, "hub");
    process.env["SAE_ENSEMBLES_STATE"] = join(state, "queue");
    server = await startVsCode({ vsix: packagedVsix(), state });
    browser = await launchBrowser();
    workbench = await Workbench.open(browser, server.url, workspace);
    page = workbench.page;
  });

  afterEach(async (context) => {
    if ("passed" in context && !context.passed) await picture("imports-failed");
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  const picture = (name: string) => page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });

  /** One trained SAE in three forms: an ensemble of ours, a folder of sparsify's, and a state dict of no layout. */
  async function writeStrangers(): Promise<void> {
    const training = join(state, "training");
    writeTinyExperiment(training, { training_tokens: 30_000, ensembles: { methods: ["single"] } });
    runTiny(training, ["harvest", "train"]);
    const trained = join(training, "runs", "tiny", "ensembles", "single");
    mkdirSync(workspace, { recursive: true });
    cpSync(trained, join(workspace, "ours"), { recursive: true });
    const { config, weights } = await loadSae(join(trained, "member_0"));
    const { d_in: d, d_sae: F, k } = config;
    const biases = { b_enc: { shape: [F], data: weights.b_enc! }, b_dec: { shape: [d], data: weights.b_dec } };
    await writeSafetensors(join(workspace, "theirs", "layers.2", "sae.safetensors"), {
      "encoder.weight": { shape: [F, d], data: weights.W_enc },
      "encoder.bias": biases.b_enc,
      W_dec: { shape: [F, d], data: weights.W_dec },
      b_dec: biases.b_dec,
    });
    writeFileSync(
      join(workspace, "theirs", "layers.2", "cfg.json"),
      JSON.stringify({ activation: "topk", k, num_latents: F, d_in: d }),
    );
    const read = (name: string) => readFileSync(join(workspace, "theirs", "layers.2", name));
    for (const folder of ["layers.2", "another"]) {
      const files = {
        [`${folder}/sae.safetensors`]: read("sae.safetensors"),
        [`${folder}/cfg.json`]: read("cfg.json"),
      };
      put(hub!, `someone/${folder}`, files);
    }
    await writeSafetensors(join(workspace, "stranger.safetensors"), {
      encoder_weights: { shape: [F, d], data: weights.W_enc },
      decoder_weights: { shape: [F, d], data: weights.W_dec },
      encoder_bias: biases.b_enc,
      decoder_bias: biases.b_dec,
    });
  }

  test("a click on an ensemble.json shows its members' tensors with norms and histograms", async () => {
    await openInExplorer("ours", "ensemble.json");
    const view = await workbench.webview("sae-tensor-file");
    await view.getByText("ours/ensemble.json").waitFor();
    await view.getByRole("row", { name: /^member_0\/W_enc 160 × 320 F32/ }).waitFor();
    // Every tensor of this size is read without being asked for.
    await view.locator("tbody svg").nth(3).waitFor();
    assert.equal(await view.locator("tbody tr").count(), 4);
    await inBothThemes("editor-ensemble-json");
  });

  test("a click on a .safetensors file shows its tensors; what is no SAE of a known layout is no error", async () => {
    await openInExplorer("stranger.safetensors");
    const view = await frameWith("stranger.safetensors");
    await view.getByRole("row", { name: /^encoder_weights 320 × 160 F32 200 KiB/ }).waitFor();
    await view.locator("tbody svg").nth(3).waitFor();
    assert.equal(await view.getByRole("alert").count(), 0);
    await inBothThemes("editor-safetensors");
    // What it doesn't say is asked for, and nothing before that.
    await page.locator('.editor-actions .action-label[aria-label^="Import SAEs"]').click();
    await input().getByText("Import stranger.safetensors").waitFor();
    await page.keyboard.press("Escape");
  });

  test("a folder dropped on the Ensembles view is imported, and its experiment evaluates and indexes it", async () => {
    await workbench.showViews();
    // Nothing has run: the view is empty but for a row to drop on.
    const empty = workbench.row("or drop them here");
    await empty.waitFor();
    await inBothThemes("ensembles-empty");
    await drop(empty, join(workspace, "theirs", "layers.2"));
    await asked("What to call the ensemble");
    await answer("bag of one");
    await choose("Demo model");
    await choose("Demo text");
    const toast = page.locator(".notification-toast", { hasText: "sparsify, topk SAE" });
    await toast.waitFor({ timeout: 3 * minutes });
    await workbench.row(/bag of one\s*imported · no index/).waitFor();
    // Less to look at: what the test shows does not depend on it.
    const file = join(workspace, "imported", "bag of one.sae.jsonc");
    const less = `"evaluation": { "test_tokens": 5000, "model_metrics_tokens": 1000 }, "index": { "tokens": 20000 },`;
    writeFileSync(file, readFileSync(file, "utf8").replace('"sae":', `${less}\n  "sae":`));
    await toast.getByRole("button", { name: "Evaluate and Index" }).click();
    const row = workbench.row(/bag of one · single/);
    await row.getByText(/EV 0\.\d+/).waitFor({ timeout: 6 * minutes });
    await inBothThemes("ensembles-imported");
    // The metrics come first, the index last; a click on a row that doesn't know of it yet opens nothing.
    await workbench.row(/done in/).waitFor({ timeout: 3 * minutes });
    const tab = page.locator(".tab", { hasText: "Features: " });
    while (!(await tab.isVisible())) {
      await row.click();
      await tab.waitFor({ timeout: 2000 }).catch(() => {});
    }
    const features = await workbench.webview("sae-feature-browser");
    await features.locator(".row .id").first().waitFor();
  });

  test("the palette imports a state dict of no layout: asked how it selects, its hook, model and text", async () => {
    await workbench.command("SAE Ensembles: Import SAEs…");
    await choose("Files or folders…");
    // VS Code's dialog puts a folder (that of the file last looked at, or the workspace) into the box once it has listed it: what is typed before is lost.
    const box = input().locator("input.input");
    await workbench.until("the dialog has listed its folder", async () =>
      (await box.inputValue({ timeout: 1000 }).catch(() => "")).startsWith(workspace),
    );
    await answer(join(workspace, "stranger.safetensors"), "Import");
    await choose("TopK");
    await asked("Active features a token");
    await inBothThemes("import-asks");
    await answer("16");
    await asked("The hook that they were trained at");
    await answer(hook);
    await asked("What to call the ensemble");
    await answer("stranger");
    await choose("Demo model");
    await choose("Demo text");
    const toast = page.locator(".notification-toast", { hasText: "no layout that we know" });
    await toast.waitFor({ timeout: 3 * minutes });
    await toast.getByText(/explained variance 0\.\d+, L0 16\.0/).waitFor();
    await page.locator(".tab", { hasText: "stranger.sae.jsonc" }).waitFor();
    const row = workbench.row(/stranger\s*imported · no index/);
    await row.hover();
    await row.getByRole("button", { name: "Run Experiment" }).waitFor();
    await inBothThemes("import-done");
    const folder = join(workspace, "imported", "stranger");
    const { method, hook: read, provenance } = JSON.parse(readFileSync(join(folder, "ensemble.json"), "utf8"));
    assert.deepEqual([method, read, provenance.imported[0].layout], ["single", hook, "state dict, topk"]);
    assert.match(readFileSync(`${folder}.sae.jsonc`, "utf8"), /"architecture": "imported"/);
    await workbench.command("Notifications: Clear All Notifications");
  });

  test("the palette bags SAEs of the hub by their names", async () => {
    await workbench.command("SAE Ensembles: Import SAEs…");
    await choose("SAEs of the Hugging Face hub…");
    await answer("someone/layers.2/layers.2 someone/another/another");
    // The first says its hook by its folder's name.
    await asked("What to call the ensemble");
    assert.equal(await input().locator("input.input").inputValue(), "layers.2");
    await answer("found");
    await choose("Demo model");
    await choose("Demo text");
    const toast = page.locator(".notification-toast", { hasText: "another/sae.safetensors" });
    await toast.waitFor({ timeout: 3 * minutes });
    await picture("import-hub-dark");
    const { members, provenance } = JSON.parse(readFileSync(join(workspace, "imported/found/ensemble.json"), "utf8"));
    assert.equal(members.length, 2);
    assert.match(provenance.imported[1].path, /models--someone--another/);
    await workbench.command("Notifications: Clear All Notifications");
  });

  test("the dashboard of a run that is deleted says so by itself", async () => {
    await workbench.insist("the dashboard never opened", async () => {
      await workbench.row(/done in/).click({ timeout: 4000 });
      await page.locator(".tab", { hasText: "Run: bag of one" }).waitFor({ timeout: 8000 });
    });
    const dashboard = await workbench.webview("sae-run-dashboard");
    await dashboard.getByRole("button", { name: "Browse Features" }).waitFor();
    rmSync(join(workspace, "imported", "runs", "bag of one"), { recursive: true });
    await dashboard.getByRole("alert").getByText("There is no run in").waitFor();
    assert.equal(await dashboard.getByRole("button", { name: "Browse Features" }).count(), 0);
  });

  const explorerRow = (name: string) => page.locator(".explorer-folders-view .monaco-list-row", { hasText: name });

  /** Clicks through the Explorer as a person does. */
  async function openInExplorer(...names: string[]): Promise<void> {
    // A click on the icon of what is shown hides it.
    if (!(await page.locator(".explorer-folders-view").isVisible()))
      await page.locator('.activitybar .action-label[aria-label^="Explorer"]').click();
    for (const [i, name] of names.entries()) {
      const next = names[i + 1];
      const opened = next ? explorerRow(next) : page.locator(".tab.active", { hasText: name });
      await workbench.insist(`${name} never opened`, async () => {
        await explorerRow(name).first().click({ timeout: 4000 });
        await opened.first().waitFor({ timeout: 20_000 });
      });
    }
  }

  async function frameWith(text: string): Promise<Frame> {
    for (;;) {
      for (const frame of page.frames()) {
        const heading = frame.locator("sae-tensor-file").getByRole("heading", { name: text, exact: true });
        if ((await heading.count().catch(() => 0)) > 0) return frame;
      }
      await page.waitForTimeout(100);
    }
  }

  /** The whole window, dark and light. */
  async function inBothThemes(name: string): Promise<void> {
    await picture(`${name}-dark`);
    workbench.theme("light");
    await page.locator(".monaco-workbench.vs").waitFor();
    // Webviews are told a moment later than the workbench.
    for (const frame of page.frames()) {
      const body = frame.locator("body[data-vscode-theme-kind]");
      if ((await body.count().catch(() => 0)) === 0) continue;
      await frame
        .locator('body[data-vscode-theme-kind="vscode-light"]')
        .waitFor()
        .catch((error: unknown) => {
          // One that was closed is there a little longer.
          if (!frame.isDetached()) throw error;
        });
    }
    await picture(`${name}-light`);
    workbench.theme("dark");
    await page.locator(".monaco-workbench.vs-dark").waitFor();
  }

  const input = () => page.locator(".quick-input-widget:visible");

  async function choose(label: string): Promise<void> {
    await input().locator(".monaco-list-row", { hasText: label }).first().click();
  }

  /** One box follows the other: what is typed too early goes into the one before. */
  async function asked(prompt: string): Promise<void> {
    await input().getByText(prompt).waitFor();
  }

  /** Types into a box, and clicks the button of VS Code's own file dialog where there is one. */
  async function answer(text: string, button?: string): Promise<void> {
    await input().locator("input.input").fill(text);
    if (button) await input().getByRole("button", { name: button, exact: true }).click();
    else await page.keyboard.press("Enter");
  }

  /** Drops a folder of the workspace as the Explorer or a file manager does, by its URI. */
  async function drop(target: ReturnType<Page["locator"]>, folder: string): Promise<void> {
    const uri = `vscode-remote://${new URL(server.url).host}${folder}`;
    const data = await page.evaluateHandle((list) => {
      const transfer = new DataTransfer();
      transfer.setData("text/uri-list", list);
      return transfer;
    }, uri);
    for (const type of ["dragenter", "dragover", "drop"]) await target.dispatchEvent(type, { dataTransfer: data });
  }
});

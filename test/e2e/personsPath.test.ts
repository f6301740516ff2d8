// A person's path through a real VS Code with the packaged VSIX: demo experiment → run → reload during it → dashboard → features → search a token → flag two → debias with two more → concepts.
import assert from "node:assert/strict";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser, Workbench } from "../../scripts/workbench.ts";
import { accessibilityViolations } from "../webview/webviewPage.ts";

const root = join(import.meta.dirname, "..", "..");
const minutes = 60_000;

describe("a person's path", { skip: unavailable && `SKIPPED: ${unavailable}`, timeout: 40 * minutes }, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-e2e-"));
  const workspace = join(state, "workspace");
  const machineSettings = join(state, "user", "Machine", "settings.json");
  let server: RunningVsCode;
  let browser: Browser;
  let workbench: Workbench;
  let other: Workbench;
  let page: Page;

  before(async () => {
    await prepareRealVsCode();
    mkdirSync(workspace, { recursive: true });
    // Nobody's Node but the one in the VSIX: nothing on the PATH, no node_modules above where it is installed.
    const path = join(state, "empty");
    mkdirSync(path);
    // A queue of its own: the run must not wait for those of whoever runs the tests.
    process.env["SAE_ENSEMBLES_STATE"] = join(state, "queue");
    mkdirSync(dirname(machineSettings), { recursive: true });
    writeFileSync(machineSettings, JSON.stringify({ "saeEnsembles.runs.nodePath": join(state, "no-node") }));
    server = await startVsCode({ vsix: packagedVsix(), state, trust: true, path });
    browser = await launchBrowser();
    workbench = await Workbench.open(browser, server.url, workspace);
    page = workbench.page;
  });

  // What a person would have seen when it went wrong.
  afterEach(async (context) => {
    if ("passed" in context && !context.passed) await picture("failed");
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  const row = (text: string | RegExp) => workbench.row(text);
  const picture = (name: string) => page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });

  test("a service that can't start says why in the view, which says of no run that it isn't there", async () => {
    await workbench.showViews();
    await page.getByText(/The service ended: spawn .*no-node ENOENT.*runs\.nodePath/).waitFor();
    assert.equal(await page.getByText("Runs start only in a trusted workspace.").count(), 0);
    await picture("sidebar-no-service-dark");
    writeFileSync(machineSettings, "{}");
    await workbench.reload();
  });

  test("nothing starts in a workspace that is not trusted; trusting it is one button away", async () => {
    await workbench.showViews();
    await page.getByText("Runs start only in a trusted workspace.").waitFor();
    await picture("sidebar-restricted-dark");
    writeFileSync(join(workspace, "mine.sae.jsonc"), "{}");
    await workbench.openFile("mine.sae.jsonc");
    await page.locator(".codelens-decoration", { hasText: "Trust the Workspace to Run" }).first().waitFor();
    rmSync(join(workspace, "mine.sae.jsonc"));
    await workbench.command("View: Close All Editors");
    await page.getByRole("button", { name: "Manage Workspace Trust" }).click();
    // The editor draws its buttons anew as extensions come, and a click between is lost.
    const trust = page.locator(".workspace-trust-editor").getByRole("button", { name: "Trust", exact: true });
    await trust.waitFor();
    await workbench.insist("the workspace was never trusted", async () => {
      if (await trust.isVisible()) await trust.click({ timeout: 4000 });
      await page.getByText("No run yet.").waitFor({ timeout: 20_000 });
    });
  });

  test("empty views say what to do first", async () => {
    await page.getByText("No run yet.").waitFor();
    await page.getByRole("button", { name: "Run the Demo" }).waitFor();
    await picture("sidebar-empty-dark");
  });

  test("a damaged run is a row that says so", async () => {
    const broken = join(workspace, "runs", "broken");
    mkdirSync(broken, { recursive: true });
    writeFileSync(join(broken, "run.json"), "{ torn");
    await row("broken").getByText("damaged").waitFor();
    rmSync(broken, { recursive: true });
    await page.getByText("No run yet.").waitFor();
  });

  test("a wrong key in an experiment file is underlined by the jobs' own parser", async () => {
    writeFileSync(
      join(workspace, "wrong.sae.jsonc"),
      '{ "model_name": "demo", "hook_nam": "blocks.2.hook_resid_post" }\n',
    );
    await workbench.openFile("wrong.sae.jsonc");
    await page.locator(".squiggly-error").first().waitFor();
    await page.locator(".codelens-decoration", { hasText: "Run" }).first().waitFor();
    await picture("experiment-file-dark");
    rmSync(join(workspace, "wrong.sae.jsonc"));
  });

  /** The demo's own experiment file with less to train: what the path shows does not depend on it. */
  function shorterDemo(): void {
    const demo = readFileSync(join(root, "media", "demo", "demo.sae.jsonc"), "utf8");
    const shorter: [RegExp, string][] = [
      [/"training_tokens": \d+/, '"training_tokens": 130000'],
      [/"n_members": \d+/, '"n_members": 2'],
      [/"seed_sets": \d+/, '"seed_sets": 1'],
      [/"test_tokens": \d+/, '"test_tokens": 5000'],
      [/"model_metrics_tokens": \d+/, '"model_metrics_tokens": 1000'],
      [/(?<before>"index": \{[^}]*"tokens": )\d+/, "$<before>30000"],
      [/(?<before>"debias": \{[^}]*"seeds": )\[[^\]]*\]/, '$<before>[0], "per_cell": 20'],
      [/"per_class": \d+/, '"per_class": 20'],
    ];
    const text = shorter.reduce((file, [pattern, value]) => {
      assert.match(file, pattern);
      return file.replace(pattern, value);
    }, demo);
    writeFileSync(join(workspace, "demo.sae.jsonc"), text);
  }

  test("the demo runs as a task with progress, and goes on through a reload of the window", async () => {
    shorterDemo();
    await workbench.command("SAE Ensembles: Run the Demo");
    // In one place: the notification, from which it can be stopped, and in the status bar where there is none.
    const toast = page.locator(".notification-toast", { hasText: /demo: .*Cancel keeps a checkpoint/ });
    await toast.waitFor({ timeout: 3 * minutes });
    assert.equal(await workbench.statusBarItem(/demo: /).count(), 0);
    await row(/demo/).first().waitFor();
    await picture("run-running-dark");
    const record = () =>
      JSON.parse(readFileSync(join(workspace, "runs", "demo", "run.json"), "utf8")) as { pid: number; state: string };
    await workbench.until("the run is at work", () => record().state === "running");
    const before = record();
    await workbench.reload();
    await workbench.showViews();
    await row(/demo/).first().waitFor();
    await workbench.statusBarItem(/demo: /).waitFor();
    const afterwards = record();
    assert.equal(afterwards.pid, before.pid);
    assert.equal(afterwards.state, "running");
  });

  test("another window on the folder finds the same run", async () => {
    other = await Workbench.open(browser, server.url, workspace);
    await other.showViews();
    await other.row(/demo/).first().waitFor();
    // It may have ended meanwhile.
    await other
      .statusBarItem(/demo: /)
      .or(other.row(/done in/))
      .first()
      .waitFor();
  });

  test("the dashboard draws charts while it trains, and the table when it is done", async () => {
    await workbench.insist("the dashboard never opened", async () => {
      await row(/demo/).first().click({ timeout: 4000 });
      await page.locator(".tab", { hasText: "Run: demo" }).first().waitFor({ timeout: 8000 });
    });
    const dashboard = await workbench.webview("sae-run-dashboard");
    await dashboard
      .locator("sae-chart canvas")
      .first()
      .waitFor({ timeout: 4 * minutes });
    await picture("dashboard-running-dark");
    await dashboard.locator("sae-report-table").waitFor({ timeout: 10 * minutes });
    await dashboard.getByRole("button", { name: "Browse Features" }).waitFor({ timeout: 5 * minutes });
    for (const label of ["single", "bagging", "boosting", "expanded"])
      await dashboard.getByRole("rowheader", { name: label }).waitFor();
    await picture("dashboard-done-dark");
    await dashboard.getByRole("button", { name: "Browse Features" }).click();
  });

  test("features: search a token, look at one, flag two; the flags are in the file beside the ensemble", async () => {
    const browserView = await workbench.webview("sae-feature-browser");
    await browserView.locator(".row .id").nth(3).waitFor();
    await picture("features-dark");
    await browserView.locator("sae-filter-bar input").first().fill("she");
    // The rows of the search, not those that stood there before: every one has the token.
    await browserView.waitForFunction(() => {
      const list = document
        .querySelector("sae-feature-browser")
        ?.shadowRoot?.querySelector("sae-feature-list")
        ?.shadowRoot?.querySelectorAll(".row .tokens");
      const texts = [...(list ?? [])].map((row) =>
        [...row.querySelectorAll(".token")].map((token) => token.textContent).join(" "),
      );
      return texts.length > 1 && /she/i.test(texts[0]!) && /she/i.test(texts[1]!);
    });
    await browserView.locator(".row .flag").nth(0).click();
    await browserView.locator('.row .flag[aria-pressed="true"]').nth(0).waitFor();
    await browserView.locator(".row .flag").nth(1).click();
    await browserView.locator('.row .flag[aria-pressed="true"]').nth(1).waitFor();
    const files = () => globSync("runs/demo/ensembles/*/annotations.json", { cwd: workspace });
    const flagged = (file: string) => {
      const { features } = JSON.parse(readFileSync(join(workspace, file), "utf8")) as {
        features: Record<string, { flagged?: boolean }>;
      };
      return Object.values(features).filter((feature) => feature.flagged).length;
    };
    // Shown before they are on disk: a click waits for no disk.
    await workbench.until("both flags are on disk", () => files().some((file) => flagged(file) === 2));
    assert.equal(files().length, 1);
    await row("flagged").first().waitFor();
    await picture("features-flagged-dark");
    // The other window, with a service of its own, reads the same file.
    await other.row("flagged").first().waitFor();
    await other.page.close();
    workbench.theme("light");
    await browserView.locator("body.vscode-light").waitFor();
    await picture("features-flagged-light");
  });

  test("the feature browser comes back with its search when the window is loaded again", async () => {
    // In a browser VS Code saves what is open every few seconds, and nothing when it closes.
    const saved = () => page.evaluate(savedByVsCode, "text\\W+she\\W");
    await workbench.until("VS Code has saved the search", saved);
    await workbench.reload();
    const browserView = await workbench.webview("sae-feature-browser");
    await browserView.locator('.row .flag[aria-pressed="true"]').nth(1).waitFor();
    assert.equal(await browserView.locator("sae-filter-bar input").first().inputValue(), "she");
    await workbench.showViews();
  });

  test("try text: a sentence through model and ensemble", async () => {
    const browserView = await workbench.webview("sae-feature-browser");
    await browserView.getByRole("button", { name: "Try text" }).click();
    await browserView.locator("sae-try-text textarea").fill("She was a nurse and he was a surgeon.");
    await browserView.locator("sae-try-text vscode-button").click();
    await browserView
      .locator("sae-try-text .text button")
      .nth(3)
      .waitFor({ timeout: 2 * minutes });
    await browserView.locator("sae-try-text li").first().waitFor();
    await picture("try-text-light");
    assert.ok(existsSync(join(workspace, "demo.sae.jsonc")));
  });

  test("debias: read the worst group, flag two suggested features, see it rise, retrain; the report names data, seeds and flags", async () => {
    await workbench.command("SAE Ensembles: Debias a Classifier…");
    const view = await workbench.webview("sae-debias");
    await view.getByRole("button", { name: "Show the Bias" }).click();
    await view
      .locator("sae-suggestions .row")
      .nth(3)
      .waitFor({ timeout: 5 * minutes });
    await view.getByText(/^nurse who is female: \d+\.\d% ± \d+\.\d% right/).waitFor();
    const worstGroup = async (state: RegExp) =>
      Number.parseFloat(await view.getByRole("row", { name: state }).first().getByRole("cell").first().innerText());
    const biased = await worstGroup(/^biased probe/);
    // As a person chooses: nurses who are women fail, so features that fire more for women.
    await view.getByText("look first at features that fire more for female").waitFor();
    const firing = view.locator("sae-suggestions .row", { has: view.locator(".side", { hasText: /^female$/ }) });
    const flagged = firing.locator('.flag[aria-pressed="true"]');
    const already = await flagged.count();
    for (const more of [1, 2]) {
      await firing.locator('.flag[aria-pressed="false"]').first().click();
      await flagged.nth(already + more - 1).waitFor();
      // With the two that the feature browser flagged: one file holds the flags of both views.
      await view
        .locator(".verdict")
        .getByText(`${2 + more} flagged:`)
        .waitFor();
    }
    const ablated = await worstGroup(/^4 features flagged, removed/);
    assert.ok(ablated > biased, `worst group ${biased}% → ${ablated}% without the flagged features`);
    await view.getByRole("button", { name: "Retrain", exact: true }).click();
    await view
      .locator(".verdict")
      .getByText("retrained;")
      .waitFor({ timeout: 2 * minutes });
    const retrained = await worstGroup(/^… and retrained/);
    // Not more than before it: two features leave enough of the gender for the probe to learn it again.
    assert.ok(retrained > biased, `worst group ${biased}% → ${ablated}% → ${retrained}% retrained`);
    await view.getByRole("button", { name: "Save Report", exact: true }).click();
    await view.getByText("Report saved: runs/demo/reports/bagging/debias.md").waitFor({ timeout: 5 * minutes });
    // It would go by itself, but not from under the pointer.
    const toast = page.locator(".notification-toast", { hasText: "Report saved" });
    await toast.hover();
    const saved = join(workspace, "runs", "demo", "reports", "bagging");
    const { data, seeds, directions } = JSON.parse(readFileSync(join(saved, "debias.json"), "utf8")) as {
      data: { train: string; test: string };
      seeds: number[];
      directions: { ensembles: { name: string; flags: string[] }[] }[];
    };
    assert.match(data.train, /bios-train\.jsonl\.gz$/);
    assert.match(data.test, /bios-test\.jsonl\.gz$/);
    assert.deepEqual(seeds, [0, 1, 2]);
    for (const { ensembles } of directions)
      assert.deepEqual(
        ensembles.map(({ name, flags }) => [name, flags.length]),
        [["bagging", 4]],
      );
    for (const figure of readFileSync(join(saved, "debias.md"), "utf8").matchAll(/\]\((?<file>[^)]+\.svg)\)/g))
      assert.ok(existsSync(join(saved, figure.groups!["file"]!)));
    await picture("editor-debias-light");
    workbench.theme("dark");
    await view.locator("body.vscode-dark").waitFor();
    await picture("editor-debias-dark");
    await toast.getByRole("button", { name: "Open", exact: true }).click();
    await page.locator(".tab", { hasText: "debias.md" }).waitFor();
    const preview = await workbench.webview(".markdown-body h1");
    await preview.getByRole("heading", { name: "Debiasing: demo" }).waitFor();
    await preview.getByText(/^Flagged features of bagging \(.*annotations\.json\):/).waitFor();
    await preview.getByRole("cell", { name: "bagging: 4 flagged features ablated" }).first().waitFor();
    await preview.waitForFunction(() => {
      const figures = [...document.querySelectorAll("img")];
      return figures.length === 4 && figures.every(({ complete, naturalWidth }) => complete && naturalWidth > 0);
    });
    await picture("editor-debias-report-dark");
  });

  test("concepts: what detects a class opens in the feature browser", async () => {
    await workbench.command("SAE Ensembles: Detect Concepts…");
    const view = await workbench.webview("sae-concepts");
    await view.getByRole("button", { name: "Detect", exact: true }).click();
    const nurse = view.getByRole("row", { name: /^nurse/ });
    await nurse.waitFor({ timeout: 5 * minutes });
    await picture("editor-concepts-dark");
    workbench.theme("light");
    await view.locator("body.vscode-light").waitFor();
    await picture("editor-concepts-light");
    const feature = nurse.getByRole("button").first();
    const name = (await feature.locator(".id").innerText()).trim();
    await feature.click();
    const browserView = await workbench.webview("sae-feature-browser");
    await browserView.getByRole("heading", { name, exact: true }).waitFor();
  });

  test("axe-core finds nothing in any view as VS Code itself shows it, in any kind of theme", async () => {
    const tab = (title: string) => () => page.locator(".tab", { hasText: title }).click();
    const views: [element: string, open: () => Promise<unknown>][] = [
      ["sae-feature-browser", tab("Features: demo")],
      ["sae-run-dashboard", tab("Run: demo")],
      ["sae-debias", tab("Debias: demo")],
      ["sae-concepts", tab("Concepts: demo")],
      [
        "sae-ensemble-comparison",
        async () => {
          await row("demo · bagging").click();
          await row("demo · boosting").click({ modifiers: ["Control"] });
          await page.locator(".pane-body .monaco-list-row.selected", { hasText: "demo · " }).nth(1).waitFor();
          await workbench.command("SAE Ensembles: Compare Ensembles…");
        },
      ],
      ["sae-tensor-file", () => workbench.openFile("ensemble.json")],
      [
        "sae-next-token",
        async () => {
          writeFileSync(join(workspace, "story.txt"), "She was a nurse and he was a surgeon.");
          await workbench.openFile("story.txt");
          await workbench.command("SAE Ensembles: Next Token");
        },
      ],
    ];
    const found: string[] = [];
    for (const [element, open] of views) {
      await open();
      const frame = await workbench.webview(element);
      await frame.locator(element).locator("h1, h2").first().waitFor();
      await workbench.inEveryTheme(frame, async (theme) => {
        await picture(`editor-${element.slice("sae-".length)}-${theme}`);
        const rules = theme === "dark" ? undefined : ["color-contrast"];
        for (const violation of await accessibilityViolations(frame, rules))
          found.push(`${element}, ${theme}: ${violation}`);
      });
    }
    assert.deepEqual(found, []);
  });
});

/** In the page: whether any state that VS Code keeps in the browser matches. */
async function savedByVsCode(pattern: string): Promise<boolean> {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  for (const { name } of await indexedDB.databases()) {
    if (!name?.startsWith("vscode-web-state-db")) continue;
    const database = await done(indexedDB.open(name));
    try {
      for (const store of database.objectStoreNames) {
        const values: unknown[] = await done(database.transaction(store).objectStore(store).getAll());
        if (values.some((value) => new RegExp(pattern).test(String(value)))) return true;
      }
    } finally {
      database.close();
    }
  }
  return false;
}

// `npm run pictures`: runs the demo in a real VS Code with the packaged extension and takes the README's pictures into media/pictures/, and those of the walkthrough's steps into media/walkthrough/.
// `npm run pictures -- RUN` takes a run folder of the demo that is already done instead of running it. The pictures say how long it took: it is to be one of a machine with nothing else to do.
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import { packagedVsix } from "./packagedVsix.ts";
import { prepareRealVsCode, startVsCode } from "./realVsCode.ts";
import { launchBrowser, type Theme, Workbench } from "./workbench.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "media", "pictures");
const walkthrough = join(root, "media", "walkthrough");
/** All of them together, so that the VSIX and the repository stay small. */
const mostBytes = 1.5e6;
/** What the README calls a few minutes. */
const mostMinutes = 10;
/** The window of most pictures. */
const usual = { width: 1280, height: 800 };

const [done] = process.argv.slice(2);

await prepareRealVsCode();
const state = mkdtempSync(join(tmpdir(), "sae-pictures-"));
const workspace = join(state, "study");
mkdirSync(workspace);
if (done) cpSync(done, join(workspace, "runs", "demo"), { recursive: true });
mkdirSync(folder, { recursive: true });
const server = await startVsCode({ vsix: packagedVsix(), state });
const browser = await launchBrowser();
try {
  const workbench = await Workbench.open(browser, server.url, workspace, { ...usual, patience: 900_000 });
  const { page } = workbench;
  const picture = async (name: string, theme: Theme = "dark") => {
    workbench.theme(theme);
    await page.locator(`.monaco-workbench.${theme === "dark" ? "vs-dark" : "vs"}`).waitFor();
    await page.mouse.move(640, page.viewportSize()!.height - 10);
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600))); // tooltips and scroll bars fade
    await page.screenshot({ path: join(folder, `${name}.png`) });
  };
  /** Throws where something is not wholly in the window. */
  const whole = async (name: string, what: Locator) => {
    const { x, y, width, height } = (await what.boundingBox())!;
    const window = page.viewportSize()!;
    if (x < 0 || y < 0 || x + width > window.width || y + height > window.height)
      throw new Error(`${name}: ${JSON.stringify({ x, y, width, height })} is not in ${JSON.stringify(window)}`);
  };
  /** The top of something for a step of the walkthrough, which shows it about 450 pixels wide. */
  const step = async (name: string, what: Locator) => {
    await page.mouse.move(500, page.viewportSize()!.height - 10);
    await what.first().scrollIntoViewIfNeeded();
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600)));
    const { x, y, width, height } = (await what.first().boundingBox())!;
    const window = page.viewportSize()!;
    const clip = {
      x,
      y,
      width: Math.min(640, width, window.width - x),
      height: Math.min(400, height, window.height - y),
    };
    if (clip.width < 300 || clip.height < 150) throw new Error(`${name}: only ${JSON.stringify(clip)} of it shows`);
    await page.screenshot({ path: join(walkthrough, `${name}.png`), clip });
  };
  /** The same from the top of something to the end of something else, with a margin: all of both, or none. */
  const stepOver = async (name: string, first: Locator, last: Locator) => {
    const margin = 14;
    await page.mouse.move(500, page.viewportSize()!.height - 10);
    await last.scrollIntoViewIfNeeded();
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600)));
    for (const part of [first, last]) await whole(name, part);
    const [from, to] = [(await first.boundingBox())!, (await last.boundingBox())!];
    const x = Math.min(from.x, to.x) - margin;
    const y = from.y - margin;
    const width = Math.max(from.x + from.width, to.x + to.width) + margin - x;
    // Less below: there something else begins.
    const clip = { x, y, width, height: to.y + to.height + 4 - y };
    if (width > 800) throw new Error(`${name}: ${width} pixels would be unreadable at 450`);
    await page.screenshot({ path: join(walkthrough, `${name}.png`), clip });
  };
  const editor = page.locator(".part.editor .editor-container");
  await workbench.icon.click();
  if (!done) await workbench.command("SAE Ensembles: Run the Demo");
  await workbench.row(/demo/).first().click();
  const dashboard = await workbench.webview("sae-run-dashboard");
  await dashboard.locator("sae-chart canvas").first().waitFor();
  await dashboard.getByRole("button", { name: "Browse Features" }).waitFor();
  await dashboard.locator("sae-report-table td").first().waitFor();
  await dashboard.getByTitle("ensembles/bagging", { exact: true }).click();
  if (!done) {
    // Its last part is a classifier, behind the table and the index.
    await workbench.row(/demo\s*done in/).waitFor({ timeout: mostMinutes * 60_000 });
    await workbench.command("View: Toggle Panel Visibility");
    await workbench.command("Notifications: Clear All Notifications");
  }
  const { started, ended } = JSON.parse(readFileSync(join(workspace, "runs", "demo", "run.json"), "utf8")) as {
    started: number;
    ended: number;
  };
  const minutes = (ended - started) / 60_000;
  if (minutes > mostMinutes)
    console.error(`The pictures say that the demo took ${minutes.toFixed(0)} minutes: take them on an idle machine.`);
  // High enough for the charts and the table below them.
  await page.setViewportSize({ width: usual.width, height: 1010 });
  const table = dashboard.locator("sae-report-table table");
  for (const part of [dashboard.locator("sae-chart").first(), table]) await whole("dashboard", part);
  await picture("dashboard");
  // One chart beside none: of the four, the last stands above the table.
  await page.setViewportSize({ width: 1130, height: 800 });
  await stepOver("demo", dashboard.locator("sae-chart").last(), table);
  await page.setViewportSize(usual);
  await dashboard.getByRole("button", { name: "Browse Features" }).click();
  const features = await workbench.webview("sae-feature-browser");
  await features.locator(".row .id").nth(3).waitFor();
  await features.locator("sae-filter-bar input").first().fill("she");
  // The rows of the search, not those that stood there before, of which the first has the token as well.
  await features.locator(".row .tokens").nth(3).filter({ hasText: /she/i }).waitFor();
  // What one member alone has found is often nothing that a person could name.
  const select = features.locator('sae-filter-bar vscode-single-select[label="Found in at least"]');
  await select.click();
  await select.getByRole("option", { name: "found in ≥ 2" }).click();
  const row = (place: number) => features.locator(`#row-${place}`);
  await row(0).locator('[aria-label^="found in 1 of"]').waitFor({ state: "detached" });
  const name = (await row(0).locator(".id").innerText()).trim();
  await row(0).locator(".id").click();
  await features.getByRole("heading", { name, exact: true }).waitFor();
  await row(0).locator(".flag").click();
  await row(0).locator('.flag[aria-pressed="true"]').waitFor();
  await picture("features");
  await step("feature", features.locator("sae-feature-detail"));
  await row(2).locator(".flag").click();
  await row(2).locator('.flag[aria-pressed="true"]').waitFor();
  await step("flag", editor);
  await picture("features-light", "light");
  workbench.theme("dark");
  await workbench.command("SAE Ensembles: Debias a Classifier…");
  const debias = await workbench.webview("sae-debias");
  await debias.getByRole("button", { name: "Show the Bias" }).click();
  await debias.locator("sae-suggestions .row").nth(3).waitFor();
  for (const flags of [3, 4, 5]) {
    await debias.locator('sae-suggestions .flag[aria-pressed="false"]').first().click();
    await debias.locator(".verdict").getByText(`${flags} flagged:`).waitFor();
  }
  await debias.getByRole("button", { name: "Retrain", exact: true }).click();
  await debias.locator(".verdict").getByText("retrained;").waitFor();
  // Wide enough for every column of the result.
  await page.setViewportSize({ width: 1700, height: 900 });
  await stepOver("debias", debias.locator("#result h2"), debias.locator("sae-result-table table"));
  await page.setViewportSize(usual);
  const experiment = join(workspace, "mine.sae.jsonc");
  cpSync(join(root, "media", "presets", "smollm2-135m.sae.jsonc"), experiment);
  await workbench.openFile("mine.sae.jsonc");
  await page.locator(".codelens-decoration", { hasText: "Run" }).first().waitFor();
  await step("own", editor);
} finally {
  await browser.close();
  await server.stop();
  rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
const bytes = globSync("*.png", { cwd: folder }).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
console.log(`${folder}: ${(bytes / 1e6).toFixed(2)} MB`);
if (bytes > mostBytes) throw new Error(`the pictures have ${bytes} bytes, ${mostBytes} is the limit`);

// `npm run pictures`: runs the demo in a real VS Code with the packaged extension and takes the README's pictures into media/pictures/.
// `npm run pictures -- RUN` takes a run folder of the demo that is already done instead of running it.
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareRealVsCode, startVsCode } from "./realVsCode.ts";
import { launchBrowser, type Theme, Workbench } from "./workbench.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "media", "pictures");
/** All of them together, so that the VSIX and the repository stay small. */
const mostBytes = 1.5e6;

const [done] = process.argv.slice(2);

await prepareRealVsCode();
execFileSync(process.execPath, [join(root, "scripts", "package.ts")], { cwd: root, stdio: "inherit" });
const [vsix] = globSync(`*-${process.platform}-${process.arch}-*.vsix`, { cwd: root });
const state = mkdtempSync(join(tmpdir(), "sae-pictures-"));
const workspace = join(state, "study");
mkdirSync(workspace);
if (done) cpSync(done, join(workspace, "runs", "demo"), { recursive: true });
mkdirSync(folder, { recursive: true });
const server = await startVsCode({ vsix: join(root, vsix!), state });
const browser = await launchBrowser();
try {
  const workbench = await Workbench.open(browser, server.url, workspace, {
    width: 1280,
    height: 800,
    patience: 900_000,
  });
  const { page } = workbench;
  const picture = async (name: string, theme: Theme = "dark") => {
    workbench.theme(theme);
    await page.locator(`.monaco-workbench.${theme === "dark" ? "vs-dark" : "vs"}`).waitFor();
    await page.mouse.move(640, 790);
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600))); // tooltips and scroll bars fade
    await page.screenshot({ path: join(folder, `${name}.png`) });
  };
  await workbench.icon.click();
  if (!done) await workbench.command("SAE Ensembles: Run the Demo");
  await workbench.row(/demo/).first().click();
  const dashboard = await workbench.webview("sae-run-dashboard");
  await dashboard.locator("sae-chart canvas").first().waitFor();
  await dashboard.getByRole("button", { name: "Browse Features" }).waitFor();
  await dashboard.locator("sae-report-table td").first().waitFor();
  if (!done) await workbench.command("View: Toggle Panel Visibility");
  await picture("dashboard");
  await dashboard.getByRole("button", { name: "Browse Features" }).click();
  const features = await workbench.webview("sae-feature-browser");
  await features.locator(".row .id").nth(3).waitFor();
  await features.locator("sae-filter-bar input").first().fill("she");
  await features.locator(".row .tokens", { hasText: /she/ }).first().waitFor();
  await features.locator(".row .id").first().click();
  await features.locator(".row .flag").nth(0).click();
  await features.locator('.row .flag[aria-pressed="true"]').nth(0).waitFor();
  await picture("features");
  await picture("features-light", "light");
} finally {
  await browser.close();
  await server.stop();
  rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
const bytes = globSync("*.png", { cwd: folder }).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
console.log(`${folder}: ${(bytes / 1e6).toFixed(2)} MB`);
if (bytes > mostBytes) throw new Error(`the pictures have ${bytes} bytes, ${mostBytes} is the limit`);

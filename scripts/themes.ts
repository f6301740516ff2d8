// Writes test/webview/themes.json: what VS Code's own themes set for every colour variable and font that a webview sees, read in a real one. Run it after an update of VS Code: node scripts/themes.ts
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareRealVsCode, startVsCode } from "./realVsCode.ts";
import { launchBrowser, themes, Workbench } from "./workbench.ts";

/** CSSStyleDeclaration, as much of it as is needed here. */
type Style = Iterable<string> & { getPropertyValue(name: string): string };

await prepareRealVsCode();
const state = mkdtempSync(join(tmpdir(), "sae-themes-"));
writeFileSync(join(state, "page.md"), "# A page\n");
const server = await startVsCode({ state: join(state, "state") });
const browser = await launchBrowser();
const workbench = await Workbench.open(browser, server.url, state, { extension: false });
await workbench.openFile("page.md");
await workbench.command("Markdown: Open Preview");
const values: Record<string, Record<string, string>> = {};
for (const theme of themes) {
  workbench.theme(theme);
  // The preview of a page may be made anew for a theme: it is looked for each time.
  const page = await workbench.webview(`body[data-vscode-theme-kind="vscode-${theme}"] h1`);
  const variables = await page.evaluate(() => {
    const { style } = (globalThis as unknown as { document: { documentElement: { style: Style } } }).document
      .documentElement;
    return [...style]
      .filter((name) => name.startsWith("--vscode-"))
      .map((name) => [name, style.getPropertyValue(name).trim()]);
  });
  values[theme] = Object.fromEntries(variables.filter(([, value]) => value).sort());
}
writeFileSync(
  join(import.meta.dirname, "..", "test", "webview", "themes.json"),
  `${JSON.stringify(values, null, 2)}\n`,
);
await browser.close();
await server.stop();
rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });

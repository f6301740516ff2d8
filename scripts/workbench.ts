// Drives a real VS Code in a real browser as a person would: the palette, the sidebar, webviews, themes. For the end-to-end tests, the pictures and the bench.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, errors, type Frame, type Locator, type Page } from "playwright-core";
import { browserEnvironment, browserFlags, paths } from "./realVsCode.ts";

/** The kinds of colour theme that VS Code tells its webviews (there with "vscode-" before the name), with one of its own themes of each. */
export const colorThemes = {
  dark: "Dark Modern",
  light: "Light Modern",
  "high-contrast": "Default High Contrast",
  "high-contrast-light": "Default High Contrast Light",
} as const;
export type Theme = keyof typeof colorThemes;
export const themes = Object.keys(colorThemes) as Theme[];

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: paths.browser,
    args: browserFlags,
    env: { ...process.env, ...browserEnvironment },
  });
}

export class Workbench {
  readonly page: Page;
  readonly #workspace: string;
  /** Milliseconds for what is tried over and over. */
  readonly #patience: number;

  private constructor(page: Page, workspace: string, patience: number) {
    this.page = page;
    this.#workspace = workspace;
    this.#patience = patience;
  }

  /** Opens a folder; resolves when the extension's icon is in the activity bar, or without it, when the workbench is there. */
  static async open(
    browser: Browser,
    address: string,
    workspace: string,
    { width = 1500, height = 950, patience = 60_000, extension = true } = {},
  ): Promise<Workbench> {
    const page = await browser.newPage({ viewport: { width, height }, locale: "en-US" });
    page.setDefaultTimeout(patience);
    const workbench = new Workbench(page, workspace, 3 * patience);
    workbench.theme("dark");
    await page.goto(`${address}?folder=${encodeURIComponent(workspace)}`);
    await (extension ? workbench.icon : page.locator(".monaco-workbench")).waitFor({ timeout: 2 * patience });
    return workbench;
  }

  /** The extension's icon in the activity bar. */
  get icon(): Locator {
    return this.page.locator('.activitybar .action-label[aria-label^="SAE Ensembles"]');
  }

  /** Shows our views in the sidebar, whether they are hidden or not: a click on the icon would hide what is shown, and a window that was reloaded shows it by itself, a little later. */
  async showViews(): Promise<void> {
    await this.icon.waitFor();
    await this.command("Focus on Runs View");
  }

  /** A row of a tree in the sidebar. */
  row(text: string | RegExp): Locator {
    return this.page.locator(".pane-body .monaco-list-row", { hasText: text });
  }

  statusBarItem(text: string | RegExp): Locator {
    return this.page.locator(".statusbar-item", { hasText: text });
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.icon.waitFor();
  }

  /** Runs a command from the palette; tries again until the palette has it, since one opened early never lists what comes later. */
  async command(title: string): Promise<void> {
    await this.#pick("F1", `>${title}`, title);
  }

  async openFile(name: string): Promise<void> {
    await this.#pick("Control+p", name, name);
    await this.page.locator(".editor-group-container.active .tab.active", { hasText: name }).waitFor();
  }

  /**
   * Chooses from a row's context menu until what it brings is there: VS Code takes no click on a menu that has only just
   * opened, and a row that moves takes the menu with it.
   */
  async fromMenu(row: Locator, title: string, brings: Locator): Promise<void> {
    await this.insist(`“${title}” in the menu never brought what it should`, async () => {
      await row.click({ button: "right" });
      const item = this.page.locator(".monaco-menu .action-item", { hasText: title });
      await item.waitFor({ timeout: 4000 });
      while (await item.isVisible()) {
        await item.click({ timeout: 4000 });
        await item.waitFor({ state: "hidden", timeout: 1000 }).catch(() => {});
      }
      await brings.first().waitFor({ timeout: 20_000 });
    });
  }

  /** Attempts again and again, until no wait of the attempt is in vain. What one that failed left open is closed. */
  async insist(failure: string, attempt: () => Promise<void>, patience = this.#patience): Promise<void> {
    const end = Date.now() + patience;
    while (Date.now() < end) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof errors.TimeoutError)) throw error;
        await this.page.keyboard.press("Escape");
      }
    }
    throw new Error(failure);
  }

  /** Waits for what no page shows. */
  async until(what: string, there: () => boolean | Promise<boolean>, patience = this.#patience): Promise<void> {
    for (const end = Date.now() + patience; !(await there()); await this.page.waitForTimeout(100))
      if (Date.now() > end) throw new errors.TimeoutError(`never: ${what}`);
  }

  async #pick(key: string, typed: string, title: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget input.input");
    const found = this.page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first();
    const within = { timeout: 4000 };
    // Closed by an editor that took the focus late, or opened before its list had the title.
    await this.insist(`the palette never listed “${title}”`, async () => {
      await this.page.keyboard.press(key);
      await input.fill(typed, within);
      await found.click(within);
    });
  }

  /** The inner frame of the webview that holds an element; the newest, since one that was closed is there a little longer. */
  async webview(selector: string): Promise<Frame> {
    const end = Date.now() + this.#patience;
    while (Date.now() < end) {
      for (const frame of this.page.frames().reverse()) {
        const there = await frame
          .locator(selector)
          .count()
          .catch(() => 0);
        if (there > 0) return frame;
      }
      await this.page.waitForTimeout(100);
    }
    throw new Error(`no webview ever showed ${selector}`);
  }

  /** Shows a webview in every kind of theme, one after the other. */
  async inEveryTheme(webview: Frame, look: (theme: Theme) => Promise<void>): Promise<void> {
    for (const theme of themes) {
      this.theme(theme);
      await webview.locator(`body[data-vscode-theme-kind="vscode-${theme}"]`).waitFor();
      await look(theme);
    }
  }

  /** Changes the colour theme, and what else is given, by the workspace's settings: the workbench takes them over in half a second. */
  theme(theme: Theme, others: Readonly<Record<string, unknown>> = {}): void {
    mkdirSync(join(this.#workspace, ".vscode"), { recursive: true });
    const settings = { "window.autoDetectColorScheme": false, "workbench.colorTheme": colorThemes[theme], ...others };
    writeFileSync(join(this.#workspace, ".vscode", "settings.json"), JSON.stringify(settings));
  }
}

/** Opens a window of a VS Code that has the smoke test driver, with an extension in development, and runs a suite in its host; resolves to its exit code. */
export async function runHostSuite(
  page: Page,
  address: string,
  { folder, extension, suite }: { readonly folder: string; readonly extension: string; readonly suite: string },
): Promise<number> {
  const ended = new Promise<number>((resolve) => void page.exposeFunction("codeAutomationExit", resolve));
  await page.exposeFunction("codeAutomationLog", () => {});
  const remote = (path: string) => `vscode-remote://${new URL(address).host}${path}`;
  const payload = JSON.stringify([
    ["extensionDevelopmentPath", remote(extension)],
    ["extensionTestsPath", remote(suite)],
    ["skipWelcome", "true"],
  ]);
  await page.goto(`${address}?${new URLSearchParams({ folder, payload })}`, { timeout: 120_000 });
  return ended;
}

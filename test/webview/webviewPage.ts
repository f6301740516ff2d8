// Opens a webview bundle in a real Chromium with a stand-in for acquireVsCodeApi, whose host end lies in the test.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  Disposable,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc/node";
import { browserEnvironment, browserFlags, paths } from "../../scripts/realVsCode.ts";

const root = join(import.meta.dirname, "..", "..");

export type Theme = "dark" | "light";

/** VS Code's own values for the variables that our views use (Dark Modern, Light Modern). */
const themes: Record<Theme, Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "themes.json"), "utf8"),
);

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: paths.browser,
    args: browserFlags,
    env: { ...process.env, ...browserEnvironment },
  });
}

class PageReader extends AbstractMessageReader {
  callback: DataCallback | undefined;
  listen(callback: DataCallback): Disposable {
    this.callback = callback;
    return Disposable.create(() => {
      this.callback = undefined;
    });
  }
}

class PageWriter extends AbstractMessageWriter {
  readonly #page: Page;
  constructor(page: Page) {
    super();
    this.#page = page;
  }
  async write(message: Message): Promise<void> {
    await this.#page.evaluate((data) => window.postMessage(data, "*"), message as unknown as Record<string, unknown>);
  }
  end(): void {}
}

/** A page that shows one bundle; `connect` is called with the host's end before the bundle runs. */
export async function openWebview(
  browser: Browser,
  options: {
    bundle: string;
    element: string;
    theme: Theme;
    width: number;
    height: number;
    connect: (connection: MessageConnection) => void;
  },
): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: options.width, height: options.height }, locale: "en-US" });
  page.on("pageerror", (error) => console.error(`${options.bundle}: ${error.message}`));
  const reader = new PageReader();
  const connection = createMessageConnection(reader, new PageWriter(page));
  options.connect(connection);
  connection.listen();
  await page.exposeFunction("toHost", (message: Message) => reader.callback?.(message));
  const variables = Object.entries(themes[options.theme])
    .map(([name, value]) => `${name}: ${value};`)
    .join("\n");
  await page.setContent(`<!doctype html><html lang="en" style="${variables.replaceAll('"', "'")}"><head><title>${options.element}</title>
    <style>body { margin: 0; padding: 0; background: var(--vscode-editor-background); color: var(--vscode-foreground); }</style></head>
    <body class="vscode-${options.theme}"><${options.element}></${options.element}></body></html>`);
  await page.evaluate(() => {
    let state: unknown;
    Object.assign(window, {
      acquireVsCodeApi: () => ({
        postMessage: (message: unknown) => (window as unknown as { toHost(m: unknown): void }).toHost(message),
        getState: () => state,
        setState: (next: unknown) => {
          state = next;
        },
      }),
    });
  });
  await page.addScriptTag({
    type: "module",
    content: readFileSync(join(root, "dist", "webview", `${options.bundle}.js`), "utf8"),
  });
  return page;
}

/** Writes a picture where a person can look at it: test/screenshots (not kept in git). */
export async function screenshot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds wrong in a page, a line a rule. */
export async function accessibilityViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    (
      globalThis as unknown as {
        axe: {
          run(
            root: Document,
            options: object,
          ): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
        };
      }
    ).axe.run(document, { resultTypes: ["violations"] }),
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)} ${nodes[0]?.failureSummary.slice(0, 300)}`,
  );
}

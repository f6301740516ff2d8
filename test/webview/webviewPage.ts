// Opens a webview bundle in a real Chromium with a stand-in for acquireVsCodeApi, whose host end lies in the test.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { Browser, Frame, Page } from "playwright-core";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  Disposable,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc/node";
import { type Theme, themes } from "../../scripts/workbench.ts";

const root = join(import.meta.dirname, "..", "..");

/** Pixels of the narrowest panel that is used: a sidebar's. */
const narrow = 280;
/** Milliseconds that a page gets to settle. */
const patience = 5000;

/** What VS Code's own themes set for every variable that a webview sees (scripts/themes.ts). */
const variables: Record<Theme, Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "themes.json"), "utf8"),
);

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
    theme?: Theme;
    width: number;
    height: number;
    /** What the view kept before (viewState): it is loaded again. */
    state?: unknown;
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
  await page.setContent(`<!doctype html><html lang="en"><head><title>${options.element}</title>
    <style>
      html { background: var(--vscode-editor-background); color: var(--vscode-editor-foreground); }
      html, body { margin: 0; padding: 0; height: 100%; overflow: hidden; }
    </style></head>
    <body><${options.element}></${options.element}></body></html>`);
  await setTheme(page, options.theme ?? "dark");
  await page.evaluate((kept) => {
    let state = kept;
    Object.assign(window, {
      acquireVsCodeApi: () => ({
        postMessage: (message: unknown) => (window as unknown as { toHost(m: unknown): void }).toHost(message),
        getState: () => state,
        setState: (next: unknown) => {
          state = next;
        },
      }),
    });
  }, options.state);
  await page.addScriptTag({
    type: "module",
    content: readFileSync(join(root, "dist", "webview", `${options.bundle}.js`), "utf8"),
  });
  return page;
}

/** Asserts again and again until it holds: what a click brings about at the host's end of the line is there a little later. */
export async function eventually(assertion: () => void, patience = 20_000): Promise<void> {
  for (const end = Date.now() + patience; ; await setTimeout(20)) {
    try {
      return assertion();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** What a page's view has kept for when it is loaded again. */
export function viewState(page: Page): Promise<unknown> {
  return page.evaluate(() =>
    (globalThis as unknown as { acquireVsCodeApi(): { getState(): unknown } }).acquireVsCodeApi().getState(),
  );
}

/** Changes a page's theme as VS Code does: the variables on the root, the kind on the body. */
export async function setTheme(page: Page, theme: Theme): Promise<void> {
  await page.evaluate(
    ({ theme, variables }) => {
      const { style } = document.documentElement;
      for (const name of [...style]) style.removeProperty(name);
      for (const [name, value] of Object.entries(variables)) style.setProperty(name, value);
      const highContrast = theme === "high-contrast-light" ? " vscode-high-contrast" : "";
      document.body.className = `vscode-${theme}${highContrast}`;
      document.body.dataset["vscodeThemeKind"] = `vscode-${theme}`;
    },
    { theme, variables: variables[theme] },
  );
}

/**
 * A state of a view, opened by `show`, in every kind of theme: a picture of each where a person can look at it
 * (test/screenshots, not kept in git), and nothing that axe-core finds; and in the narrowest panel. One line a state.
 */
export function inEveryTheme(name: string, show: () => Promise<Page>): void {
  test(`${name} in every theme: axe finds nothing`, async () => {
    const page = await show();
    for (const [i, theme] of themes.entries()) {
      await setTheme(page, theme);
      await screenshot(page, `${name}-${theme}`);
      // Only colours differ from the first.
      const rules = i === 0 ? undefined : ["color-contrast"];
      assert.deepEqual(await accessibilityViolations(page, rules), [], theme);
    }
    await page.close();
  });

  test(`${name} in a panel of 280 px: nothing is cut off or scrolls sideways`, async () => {
    const page = await show();
    await page.setViewportSize({ width: narrow, height: page.viewportSize()?.height ?? 0 });
    // Charts take the new width a moment later.
    const end = Date.now() + patience;
    while ((await beyondTheEdge(page)).length > 0 && Date.now() < end) await setTimeout(20);
    assert.deepEqual(await beyondTheEdge(page), []);
    for (const theme of ["dark", "light"] as const) {
      await setTheme(page, theme);
      await screenshot(page, `${name}-${narrow}-${theme}`);
    }
    await page.close();
  });
}

/**
 * What reaches beyond the right edge of a page: neither in a part that scrolls by itself (class "scroll"), nor cut there
 * on purpose.
 */
function beyondTheEdge(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const above = (element: Element) =>
      element.assignedSlot ?? element.parentElement ?? (element.getRootNode() as Partial<ShadowRoot>).host ?? null;
    const isMeant = (element: Element): boolean => {
      for (let holder = above(element); holder && holder !== document.body; holder = above(holder)) {
        const { overflowX } = getComputedStyle(holder);
        if (overflowX === "visible" || holder.getBoundingClientRect().right > innerWidth + 0.5) continue;
        return overflowX === "hidden" || overflowX === "clip" || holder.classList.contains("scroll");
      }
      return false;
    };
    const look = (root: ParentNode): void => {
      for (const element of root.querySelectorAll("*")) {
        const { width, height, right } = element.getBoundingClientRect();
        if (width > 0 && height > 0 && right > innerWidth + 0.5 && !isMeant(element))
          found.push(`${element.outerHTML.slice(0, 80)} ends at ${Math.round(right)} of ${innerWidth}`);
        if (element.shadowRoot) look(element.shadowRoot);
      }
    };
    look(document);
    return found.slice(0, 5);
  });
}

/** Writes a picture where a person can look at it: test/screenshots (not kept in git). */
export async function screenshot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds wrong in a page, or in a webview's frame, a line a rule. */
export async function accessibilityViolations(page: Page | Frame, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(
    (rules) =>
      (
        globalThis as unknown as {
          axe: {
            run(
              root: Document,
              options: object,
            ): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
          };
        }
      ).axe.run(document, { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : {}) }),
    rules,
  );
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)} ${nodes[0]?.failureSummary.slice(0, 300)}`,
  );
}

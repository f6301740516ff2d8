// The feature browser's real bundle in a real Chromium, answered by the real service over a synthetic index: opened and scrolled by a script.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { launchBrowser } from "../scripts/workbench.ts";
import { featureBrowserHost } from "../src/protocol/featureBrowser.ts";
import { answer, request } from "../src/protocol/rpc.ts";
import { service } from "../src/protocol/service.ts";
import { openWebview } from "../test/webview/webviewPage.ts";
import type { Bench } from "./claim.ts";
import { type ServiceLine, startService } from "./serviceLine.ts";
import { buildSyntheticIndex, type SyntheticSize } from "./syntheticIndex.ts";

export interface Scrolled {
  readonly frames: number;
  /** Frames of a sixtieth of a second that were not drawn. */
  readonly dropped: number;
  /** Longest time between two frames, milliseconds. */
  readonly longest: number;
  /** Tasks above 50 ms. */
  readonly blocked: number;
  /** Frames that showed a row whose numbers were not there yet. */
  readonly blank: number;
}

export interface Opened {
  /** From loading the page to its first rows. */
  readonly milliseconds: number;
  scroll(): Promise<Scrolled>;
}

/** Builds an index, and lets `use` open the browser on it as often as it likes, each time with a service of its own. */
export async function withFeatureBrowser(
  bench: Bench,
  size: SyntheticSize,
  use: (browser: { open(): Promise<Opened> }) => Promise<void>,
): Promise<void> {
  // Anew each time: an index of an earlier build is not what is measured.
  const run = mkdtempSync(join(bench.dataFolder, "browser-"));
  const ensemble = join(run, "ensembles", "bagging");
  bench.log("building a synthetic index");
  mkdirSync(ensemble, { recursive: true });
  await buildSyntheticIndex(join(ensemble, "index.sqlite"), size);
  const browser = await launchBrowser();
  const open: { service: ServiceLine; page: Page }[] = [];
  const closeAll = async () => {
    for (const { service, page } of open.splice(0)) {
      await page.close();
      await service.end();
    }
  };
  try {
    await use({
      open: async () => {
        await closeAll();
        const started = startService();
        const { line } = started;
        // Its start is the editor's start, not the browser's.
        await request(line, service, "check", { file: "none.sae.jsonc", text: "{}" });
        const start = performance.now();
        const page = await openWebview(browser, {
          bundle: "feature-browser",
          element: "sae-feature-browser",
          width: 1280,
          height: 800,
          connect: (connection) => answer(connection, featureBrowserHost, askService(line, ensemble)),
        });
        open.push({ service: started, page });
        await page.locator(".row:not(.waiting)").first().waitFor({ timeout: 120_000 });
        return { milliseconds: performance.now() - start, scroll: () => page.evaluate(scroll) };
      },
    });
  } finally {
    await closeAll();
    await browser.close();
    rmSync(run, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** What the panel's host does with the page's questions: passes them on with the ensemble's folder. */
function askService(
  line: MessageConnection,
  ensemble: string,
): Parameters<typeof answer<typeof featureBrowserHost>>[2] {
  const names = Object.keys(featureBrowserHost.requests) as (keyof typeof featureBrowserHost.requests)[];
  const passOn = (name: string) => (asked: object) =>
    line.sendRequest(name === "ready" ? "openIndex" : name, { ...asked, ensemble });
  return Object.fromEntries(names.map((name) => [name, passOn(name)])) as unknown as ReturnType<typeof askService>;
}

/** In the page: two seconds at the speed of reading, two of a flung wheel, two of leaps; then back to the top. */
function scroll(): Promise<Scrolled> {
  const root = document.querySelector("sae-feature-browser")?.shadowRoot?.querySelector("sae-feature-list")?.shadowRoot;
  const list = root?.querySelector("lit-virtualizer");
  if (!root || !list) throw new Error("the list is not there");
  const phase = 2000;
  const gaps: number[] = [];
  let blocked = 0;
  let blank = 0;
  const observer = new PerformanceObserver((entries) => {
    blocked += entries.getEntries().length;
  });
  observer.observe({ type: "longtask" });
  return new Promise((resolve) => {
    const begun = performance.now();
    let last: number | undefined;
    let frame = 0;
    const step = (now: number) => {
      if (last !== undefined) gaps.push(now - last);
      last = now;
      if (root.querySelector(".row.waiting")) blank++;
      const time = performance.now() - begun;
      if (time < phase) list.scrollTop += 12;
      else if (time < 2 * phase) list.scrollTop += 240;
      else if (frame % 30 === 0) list.scrollTop = ((frame * 7919) % 1000) * 0.001 * list.scrollHeight;
      frame++;
      if (time < 3 * phase) {
        requestAnimationFrame(step);
        return;
      }
      observer.disconnect();
      list.scrollTop = 0;
      resolve({
        frames: gaps.length,
        dropped: gaps.reduce((sum, gap) => sum + Math.max(0, Math.round(gap * 0.06) - 1), 0),
        longest: Math.max(...gaps),
        blocked,
        blank,
      });
    };
    requestAnimationFrame(step);
  });
}

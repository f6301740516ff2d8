// click-to-screen: what a person waits for after a click on a flag in the debias view, in a real VS Code, over a real run of 100,000 features.
import { rmSync } from "node:fs";
import type { Frame } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { startVsCode } from "../../scripts/realVsCode.ts";
import { launchBrowser, Workbench } from "../../scripts/workbench.ts";
import type { Bench, Claim, Measured } from "../claim.ts";
import { MANY, manyInEditor } from "../manyFeatures.ts";
import { median } from "../median.ts";

/** Of the suggestions on the first page; each is flagged, then unflagged. */
const CLICKED = 20;
/** Milliseconds. */
const GOAL = 100;

export const clickToScreenClaim: Claim = {
  name: "click-to-screen",
  measures: `milliseconds from a click on a flag in the debias view of a real VS Code to the frame with the new numbers: ${MANY.members * MANY.d_sae} features, 6,240 texts, three seeds (median of ${2 * CLICKED} clicks)`,
  against: `the limit of ${GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: clickToScreen,
};

interface Click {
  /** Until the pressed flag is drawn, and until the numbers are. */
  readonly flag: number;
  readonly numbers: number;
}

async function clickToScreen(bench: Bench): Promise<Measured> {
  const { state, workspace } = await manyInEditor(bench);
  bench.log("packaging");
  const server = await startVsCode({ vsix: packagedVsix(), state });
  const browser = await launchBrowser();
  try {
    const workbench = await Workbench.open(browser, server.url, workspace, { patience: 600_000 });
    await workbench.icon.click();
    await workbench.row(/many/).first().waitFor();
    await workbench.command("SAE Ensembles: Debias a Classifier…");
    const view = await workbench.webview("sae-debias");
    bench.log("pooling");
    // Every profession on one side: all texts that there are.
    for (const [profession, side] of [
      ["surgeon", "A"],
      ["teacher", "A"],
      ["journalist", "B"],
      ["photographer", "B"],
    ] as const)
      for (const at of side === "A" ? ["·"] : ["·", "A"])
        await view.getByRole("button", { name: `${at} ${profession} 800` }).click();
    await view.locator("#perCell").fill("");
    await view.locator("#perCell").blur();
    await view.getByRole("button", { name: "Show the Bias" }).click();
    await view.locator("sae-suggestions .row").nth(CLICKED).waitFor();
    bench.log("clicking");
    const clicks: Click[] = [];
    // The first two warm up what is compiled and cached.
    for (const [round, at] of [0, 0, ...Array.from({ length: 2 * CLICKED }, (_, i) => i % CLICKED)].entries()) {
      const click = await clickFlag(view, at);
      if (round > 1) clicks.push(click);
    }
    const numbers = clicks.map((click) => click.numbers).sort((a, b) => a - b);
    const ours = median(numbers);
    return {
      ours,
      peer: GOAL,
      ratio: GOAL / ours,
      details: {
        p95_ms: numbers[Math.floor(0.95 * numbers.length)]!,
        most_ms: numbers.at(-1)!,
        flag_drawn_ms: median(clicks.map(({ flag }) => flag)),
        clicks: clicks.length,
      },
      notes: [
        "The peer's number is the limit. Headless Chromium that draws in software; webview, extension host and service as a person has them, the packaged extension.",
      ],
    };
  } finally {
    await browser.close();
    await server.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** In the page: clicks the flag of a suggestion, and waits for the frames that show it and its numbers. */
function clickFlag(view: Frame, at: number): Promise<Click> {
  return view.evaluate(async (position) => {
    const page = document.querySelector("sae-debias")!.shadowRoot!;
    const list = page.querySelector("sae-suggestions")!.shadowRoot!;
    const button = list.querySelectorAll<HTMLButtonElement>(".flag")[position]!;
    const numbers = page.querySelector("sae-result-table")!.shadowRoot!;
    const drawn = (of: Node): Promise<number> =>
      new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          observer.disconnect();
          // After the next frame's drawing.
          requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => resolve(performance.now());
            port2.postMessage(null);
          });
        });
        observer.observe(of, { subtree: true, childList: true, characterData: true, attributes: true });
      });
    // What follows the last click: labels asked for anew.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [flag, changed] = [drawn(button), drawn(numbers)];
    const start = performance.now();
    button.click();
    return { flag: (await flag) - start, numbers: (await changed) - start };
  }, at);
}

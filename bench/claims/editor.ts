// The extension in the editor: time until activate returns, time from opening the feature browser to its first rows, frames dropped while scrolling 100,000 features, and the size of the VSIX.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { startVsCode } from "../../scripts/realVsCode.ts";
import { launchBrowser, runHostSuite, Workbench } from "../../scripts/workbench.ts";
import type { Activation } from "../children/activation.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { type Scrolled, withFeatureBrowser } from "../featureBrowserPage.ts";
import { editorNeeded, MANY, manyInEditor } from "../manyFeatures.ts";
import { median } from "../median.ts";

const root = join(import.meta.dirname, "..", "..");

const ACTIVATIONS = 7;
/** Milliseconds. */
const ACTIVATION_GOAL = 50;

export const activationClaim: Claim = {
  name: "activation",
  measures: `milliseconds until the extension's activate returns in a real VS Code: loading its code and the call itself (median of ${ACTIVATIONS} windows)`,
  against: `the limit of ${ACTIVATION_GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: activation,
};

async function activation(bench: Bench): Promise<Measured> {
  await editorNeeded(bench);
  const state = mkdtempSync(join(tmpdir(), "sae-activation-"));
  const workspace = join(state, "workspace");
  const [results, suite] = [join(state, "results.jsonl"), join(state, "activation.cjs")];
  mkdirSync(workspace);
  const empty = join(state, "extensions", "empty");
  mkdirSync(empty, { recursive: true });
  writeFileSync(join(empty, "package.json"), JSON.stringify(emptyExtension));
  writeFileSync(join(empty, "main.cjs"), "exports.activate = () => {};");
  writeFileSync(results, "");
  await build({
    entryPoints: [join(import.meta.dirname, "..", "children", "activation.ts")],
    outfile: suite,
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["vscode"],
  });
  process.env["SAE_ACTIVATION_RESULTS"] = results;
  const server = await startVsCode({ state, flags: ["--vscode-option", "enable-smoke-test-driver"] });
  const browser = await launchBrowser();
  try {
    for (let round = 0; round < ACTIVATIONS; round++) {
      bench.log(`window ${round + 1} of ${ACTIVATIONS}`);
      const page = await browser.newPage();
      const ended = await runHostSuite(page, server.url, { folder: workspace, extension: root, suite });
      if (ended !== 0) throw new NotMeasurable("VS Code ended with an error");
      await page.close();
    }
    const all = readFileSync(results, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Activation);
    const totals = all.map(({ load, call }) => load + call);
    const ours = median(totals);
    return {
      ours,
      peer: ACTIVATION_GOAL,
      ratio: ACTIVATION_GOAL / ours,
      details: {
        least_ms: Math.min(...totals),
        most_ms: Math.max(...totals),
        load_ms: median(all.map(({ load }) => load)),
        call_ms: median(all.map(({ call }) => call)),
        waited_ms: median(all.map(({ waited }) => waited)),
        empty_extension_waited_ms: median(all.map(({ waitedForEmpty }) => waitedForEmpty)),
        files_loaded: all[0]!.files,
        kib_loaded: Math.round(all[0]!.bytes / 1024),
        native_modules: all[0]!.addons.length,
        windows: all.length,
      },
      notes: [
        "The peer's number is the limit. Each window has a new extension host. waited_ms is what a caller of the extension's activate() waits for, VS Code's own bookkeeping included; beside it the same for an extension of one empty function, asked just before.",
      ],
    };
  } finally {
    await browser.close();
    await server.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** What VS Code itself takes to activate anything. */
const emptyExtension = {
  name: "empty",
  publisher: "sae-ensembles",
  version: "0.0.1",
  engines: { vscode: "^1.101.0" },
  main: "./main.cjs",
  activationEvents: [],
};

/** As many features as the goal says, in as many members as the paper takes. */
const SYNTHETIC = { members: 8, d_sae: 12_500, k: 64, tokens: 100_000, seed: 1 };
const OPENINGS = 5;
/** Milliseconds: longer is felt as waiting. */
const OPEN_GOAL = 1000;

export const browserOpenClaim: Claim = {
  name: "browser-open",
  measures: `milliseconds from loading the feature browser's page to its first rows, over ${SYNTHETIC.members * SYNTHETIC.d_sae} features, each time with a service that has opened nothing yet (median of ${OPENINGS})`,
  against: `the limit of ${OPEN_GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: async (bench) => {
    await editorNeeded(bench);
    const times: number[] = [];
    await withFeatureBrowser(bench, SYNTHETIC, async ({ open }) => {
      for (let round = 0; round < OPENINGS; round++) times.push((await open()).milliseconds);
    });
    const ours = median(times);
    return {
      ours,
      peer: OPEN_GOAL,
      ratio: OPEN_GOAL / ours,
      details: { least_ms: Math.min(...times), most_ms: Math.max(...times), openings: OPENINGS },
      notes: [
        "The peer's number is the limit. The real bundle and the real service; the editor's own panel is not in it.",
      ],
    };
  },
};

const PANEL_OPENINGS = 5;

export const browserOpenPanelClaim: Claim = {
  name: "browser-open-panel",
  measures: `milliseconds from a click on an ensemble's row in a real VS Code to the first rows in its feature browser, over ${MANY.members * MANY.d_sae} features: panel, page, extension host and service (median of ${PANEL_OPENINGS})`,
  against: `the limit of ${OPEN_GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: async (bench) => {
    const { state, workspace } = await manyInEditor(bench);
    const server = await startVsCode({ vsix: packagedVsix(), state });
    const browser = await launchBrowser();
    try {
      const workbench = await Workbench.open(browser, server.url, workspace, { patience: 600_000 });
      await workbench.icon.click();
      const ensemble = workbench.row(/many · bagging/);
      await ensemble.waitFor();
      const times: number[] = [];
      // The first opening reads the file for the first time and compiles the page: it is no different for a person, and counts.
      for (let round = 0; round < PANEL_OPENINGS; round++) {
        bench.log(`opening ${round + 1} of ${PANEL_OPENINGS}`);
        const start = performance.now();
        await ensemble.click();
        const view = await workbench.webview("sae-feature-browser");
        await view.locator(".row:not(.waiting)").first().waitFor();
        times.push(performance.now() - start);
        await workbench.command("View: Close All Editors");
        await workbench.page.locator("iframe.webview").first().waitFor({ state: "detached" });
      }
      const ours = median(times);
      return {
        ours,
        peer: OPEN_GOAL,
        ratio: OPEN_GOAL / ours,
        details: { first_ms: times[0]!, least_ms: Math.min(...times), most_ms: Math.max(...times) },
        notes: [
          "The peer's number is the limit. Headless Chromium that draws in software; the page is looked for every 100 ms, which is in the numbers.",
        ],
      };
    } finally {
      await browser.close();
      await server.stop();
      rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    }
  },
};

/** Share of the frames of an empty list that have to be on time. */
const SMOOTH = 0.99;
const SCROLLS = 3;

export const browserScrollClaim: Claim = {
  name: "browser-scroll",
  measures: `percent of frames on time (60 a second) over a scripted scroll through ${SYNTHETIC.members * SYNTHETIC.d_sae} features: slowly, quickly, and by leaps (median of ${SCROLLS})`,
  against: "the same scroll over an empty list as high, in turns: what the machine can draw at all",
  unit: "%",
  goal: SMOOTH,
  run: async (bench) => {
    await editorNeeded(bench);
    const ours: Scrolled[] = [];
    const empty: Scrolled[] = [];
    await withFeatureBrowser(bench, SYNTHETIC, async ({ open }) => {
      const opened = await open();
      bench.log("scrolling");
      await opened.scroll(); // the first time warms up code and caches
      for (let round = 0; round < SCROLLS; round++) {
        ours.push(await opened.scroll());
        empty.push(await opened.scrollEmpty());
      }
    });
    const percent = (all: readonly Scrolled[]) =>
      median(all.map(({ frames, dropped }) => (100 * frames) / (frames + dropped)));
    const middle = (pick: (scrolled: Scrolled) => number) => median(ours.map(pick));
    return {
      ours: percent(ours),
      peer: percent(empty),
      ratio: percent(ours) / percent(empty),
      details: {
        frames_drawn: middle(({ frames }) => frames),
        frames_dropped: middle(({ dropped }) => dropped),
        longest_gap_ms: middle(({ longest }) => longest),
        long_tasks: middle(({ blocked }) => blocked),
        frames_with_a_row_on_its_way: middle(({ blank }) => blank),
      },
      notes: ["Headless Chromium that draws in software; the real bundle and the real service."],
    };
  },
};

/** Megabytes. */
const SIZE_GOAL = 100;

export const vsixSizeClaim: Claim = {
  name: "vsix-size",
  measures: "megabytes of the VSIX for this platform, the Node that runs jobs among them",
  against: `the limit of ${SIZE_GOAL} MB; no peer`,
  unit: "MB",
  goal: 1,
  run: async (bench) => {
    bench.log("packaging");
    const said = execFileSync(process.execPath, [join(root, "scripts", "package.ts")], { cwd: root, encoding: "utf8" });
    // The packager says a line of its own about the file before ours.
    const vsix = /^(.*\.vsix) \([\d.]+ MB\)$/m.exec(said)?.[1];
    if (!vsix) throw new NotMeasurable("packaging named no file");
    const ours = statSync(vsix).size / 1e6;
    return { ours, peer: SIZE_GOAL, ratio: SIZE_GOAL / ours, details: {}, notes: ["The peer's number is the limit."] };
  },
};

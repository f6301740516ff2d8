// The extension in the editor: time until activate returns, time from opening the feature browser to its first rows, frames dropped while scrolling 100,000 features, and the size of the VSIX.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { prepareRealVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { type Scrolled, withFeatureBrowser } from "../featureBrowserPage.ts";
import { median } from "../median.ts";

const root = join(import.meta.dirname, "..", "..");

async function editorNeeded(bench: Bench): Promise<void> {
  if (unavailable) throw new NotMeasurable(unavailable);
  await prepareRealVsCode(bench.log);
}

const ACTIVATIONS = 7;
/** Milliseconds. */
const ACTIVATION_GOAL = 50;

export const activationClaim: Claim = {
  name: "activation",
  measures: `milliseconds until the extension's activate returns in a real VS Code, loading its code included (median of ${ACTIVATIONS} windows)`,
  against: `the limit of ${ACTIVATION_GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: activation,
};

interface Activation {
  readonly milliseconds: number;
  readonly files: number;
  readonly bytes: number;
  readonly addons: readonly string[];
}

async function activation(bench: Bench): Promise<Measured> {
  await editorNeeded(bench);
  const state = mkdtempSync(join(tmpdir(), "sae-activation-"));
  const workspace = join(state, "workspace");
  const [results, suite] = [join(state, "results.jsonl"), join(state, "activation.cjs")];
  mkdirSync(workspace);
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
      const ended = new Promise<number>((resolve) => void page.exposeFunction("codeAutomationExit", resolve));
      await page.exposeFunction("codeAutomationLog", () => {});
      const remote = (path: string) => `vscode-remote://${new URL(server.url).host}${path}`;
      const payload = JSON.stringify([
        ["extensionDevelopmentPath", remote(root)],
        ["extensionTestsPath", remote(suite)],
        ["skipWelcome", "true"],
      ]);
      await page.goto(`${server.url}?${new URLSearchParams({ folder: workspace, payload })}`);
      if ((await ended) !== 0) throw new NotMeasurable("VS Code ended with an error");
      await page.close();
    }
    const all = readFileSync(results, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Activation);
    const ours = median(all.map(({ milliseconds }) => milliseconds));
    return {
      ours,
      peer: ACTIVATION_GOAL,
      ratio: ACTIVATION_GOAL / ours,
      details: {
        least_ms: Math.min(...all.map(({ milliseconds }) => milliseconds)),
        files_loaded: all[0]!.files,
        kib_loaded: Math.round(all[0]!.bytes / 1024),
        native_modules: all[0]!.addons.length,
        windows: all.length,
      },
      notes: [
        "The peer's number is the limit. The time is what a caller of activate() waits: reading and running the bundle, activate itself, and VS Code's own bookkeeping, in a host that has just started.",
      ],
    };
  } finally {
    await browser.close();
    await server.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

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

/** Percent of the frames that have to be on time. */
const SMOOTH = 99;

export const browserScrollClaim: Claim = {
  name: "browser-scroll",
  measures: `percent of frames on time (60 a second) over a scripted scroll through ${SYNTHETIC.members * SYNTHETIC.d_sae} features: slowly, quickly, and by leaps`,
  against: `${SMOOTH} percent; no peer`,
  unit: "%",
  goal: 1,
  run: async (bench) => {
    await editorNeeded(bench);
    let scrolled: Scrolled | undefined;
    await withFeatureBrowser(bench, SYNTHETIC, async ({ open }) => {
      const opened = await open();
      bench.log("scrolling");
      await opened.scroll(); // the first time warms up code and caches
      scrolled = await opened.scroll();
    });
    const { frames, dropped, longest, blocked, blank } = scrolled!;
    const ours = (100 * frames) / (frames + dropped);
    return {
      ours,
      peer: SMOOTH,
      ratio: ours / SMOOTH,
      details: {
        frames_drawn: frames,
        frames_dropped: dropped,
        longest_gap_ms: longest,
        long_tasks: blocked,
        frames_with_a_row_on_its_way: blank,
      },
      notes: [
        "The peer's number is the limit. Headless Chromium that draws in software; the real bundle and the real service.",
      ],
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

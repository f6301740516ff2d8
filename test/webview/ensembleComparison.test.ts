// The comparison's bundle in a real Chromium, its host a stand-in: the tables, what is not comparable, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import { type Comparison, comparisonHost } from "../../src/protocol/ensembleComparison.ts";
import { answer } from "../../src/protocol/rpc.ts";
import { eventually, inEveryTheme, openWebview } from "./webviewPage.ts";

const hook = "blocks.2.hook_resid_post";
const comparison: Comparison = {
  ensembles: [
    {
      label: "demo · bagging",
      folder: "a",
      method: "bagging",
      seedSet: 2,
      members: 4,
      features: 2560,
      d_in: 128,
      hook,
    },
    {
      label: "demo · boosting",
      folder: "b",
      method: "boosting",
      seedSet: 1,
      members: 4,
      features: 2560,
      d_in: 128,
      hook,
    },
    {
      label: "mine · single",
      folder: "c",
      method: "single",
      seedSet: null,
      members: 1,
      features: 640,
      d_in: 128,
      hook: "blocks.1.hook_mlp_out",
    },
  ],
  table: {
    over: "Of each ensemble alone.",
    columns: [
      {
        key: "explained_variance",
        title: "explained variance",
        better: "higher",
        paper: true,
        about: "How explained_variance is computed.",
      },
      { key: "stability", title: "stability", better: "higher", paper: true, about: "How stability is computed." },
    ],
    rows: [
      {
        label: "demo · bagging",
        cells: [
          { value: 0.849, reason: "" },
          { value: 0.594, reason: "" },
        ],
      },
      {
        label: "demo · boosting",
        cells: [
          { value: 0.965, reason: "" },
          { value: 0.346, reason: "" },
        ],
      },
      {
        label: "mine · single",
        cells: [
          { value: null, reason: "its run has no report: evaluate it" },
          { value: null, reason: "its run has no report: evaluate it" },
        ],
      },
    ],
  },
  matches: [
    { of: 0, in: 1, meanCosine: 0.6123, found: 0.412, reason: "" },
    { of: 1, in: 0, meanCosine: 0.4, found: 0.2, reason: "" },
    { of: 0, in: 2, meanCosine: null, found: null, reason: "other spaces" },
    { of: 2, in: 0, meanCosine: null, found: null, reason: "other spaces" },
    { of: 1, in: 2, meanCosine: null, found: null, reason: "other spaces" },
    { of: 2, in: 1, meanCosine: null, found: null, reason: "other spaces" },
  ],
};

describe("ensemble comparison", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  const browsed: string[] = [];
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  async function open(ready: () => Comparison) {
    const page = await openWebview(browser, {
      bundle: "ensemble-comparison",
      element: "sae-ensemble-comparison",
      width: 900,
      height: 560,
      connect: (line) =>
        answer(line, comparisonHost, {
          ready,
          browse: ({ ensemble }) => {
            browsed.push(ensemble);
            return {};
          },
        }),
    });
    await page.waitForSelector("table, [role=alert]");
    return page;
  }

  test("a row an ensemble; what is found in what; a dash and its reason where nothing can be", async () => {
    const page = await open(() => comparison);
    const first = page.locator("table").first();
    assert.match(await first.locator("thead").innerText(), /seed set\s+features\s+hook\s+d_in/);
    assert.match(await first.locator("tbody tr").first().innerText(), /bagging of 4\s+2\s+2,560/);
    await page.getByText("Of each ensemble alone.").waitFor();
    const rows = await page.locator("table", { hasText: "features of" }).locator("tbody tr").allInnerTexts();
    assert.match(rows[0]!, /demo · bagging\s+41\.2% \(0\.612\)\s+–/);
    assert.match(await page.locator("main").innerText(), /–: other spaces/);
    await page.getByRole("button", { name: "demo · boosting" }).click();
    await eventually(() => assert.deepEqual(browsed, ["b"]));
    await page.close();
  });

  const broken = () =>
    open(() => {
      throw new Error("ensemble.json: found broken JSON");
    });

  test("what can't be read is said", async () => {
    const page = await broken();
    assert.match(await page.locator("[role=alert]").innerText(), /broken JSON/);
    await page.close();
  });

  inEveryTheme("ensemble-comparison", () => open(() => comparison));
  inEveryTheme("ensemble-comparison-error", broken);
});

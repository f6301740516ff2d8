// The concept view's bundle in a real Chromium, its host a stand-in: choosing data, detecting, a click that opens the feature, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import { type ConceptsChoice, type ConceptsResult, conceptsHost, conceptsView } from "../../src/protocol/concepts.ts";
import { answer, notify } from "../../src/protocol/rpc.ts";
import { eventually, inEveryTheme, openWebview, screenshot } from "./webviewPage.ts";

const choice: ConceptsChoice = {
  trainFile: "/data/bios-train.jsonl.gz",
  testFile: "/data/bios-test.jsonl.gz",
  columns: { text: "text", label: "profession" },
  seeds: [0],
  perClass: 200,
};
const k = [1, 2, 5, null];
const accuracies = (first: number) => k.map((_, at) => ({ mean: first + 0.05 * at, sd: 0.01 }));

function result(wanted: ConceptsChoice): ConceptsResult {
  return {
    choice: wanted,
    k,
    means: [
      { name: "raw activations", accuracy: accuracies(0.6) },
      { name: "bagging", accuracy: accuracies(0.8) },
    ],
    classes: ["nurse", "professor", "surgeon"].map((name, at) => ({
      name,
      texts: { train: 200, test: 100, tested: 58 },
      accuracy: [accuracies(0.55), accuracies(0.8)],
      features: [0, 1, 2, 3, 4].map((i) => ({
        firesMore: i !== 3,
        row: {
          feature: 10 * at + i,
          member: i % 4,
          index: 10 * at,
          label: i === 1 ? "hospital work" : "",
          labelSource: null,
          note: "",
          flagged: i === 2,
          tokens: [" patients", "<i>ward</i>", " shift"].map((text) => ({ text, count: 3, strength: 0.6, share: 0.2 })),
          density: 0.01,
          max: 4,
          mean: 1,
          histogram: [1],
          foundIn: [true],
        },
      })),
    })),
    leftOut: ["poet"],
  };
}

describe("concept view", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  const asked: { detected?: ConceptsChoice; browsed?: number; fetched?: Promise<void> } = {};
  const open = (suggested: ConceptsChoice | null): Promise<Page> =>
    openWebview(browser, {
      bundle: "concepts",
      element: "sae-concepts",
      width: 1200,
      height: 900,
      connect: (connection) =>
        answer(connection, conceptsHost, {
          ready: () => ({
            title: "Concepts: demo · bagging",
            ensemble: "/runs/demo/ensembles/bagging",
            method: "bagging",
            members: 4,
            hook: "blocks.2.hook_resid_post",
            suggested,
            result: null,
          }),
          pickFile: () => ({ file: "someone/professions" }),
          describe: async ({ trainFile, testFile }) => {
            if (trainFile === "someone/professions") {
              const progress = { stage: "download labelled texts", done: 3, total: 12, unit: "MiB", eta: 40 };
              notify(connection, conceptsView, "progress", progress);
              await asked.fetched;
            }
            return {
              trainFile,
              testFile,
              names: ["text", "profession"],
              columns: { text: "text", label: "profession", attribute: "profession" },
              counts: ["nurse", "professor", "surgeon"].map((label) => ({
                label,
                attribute: "",
                train: 800,
                test: 240,
              })),
              leftOut: "",
              trouble: "",
              least: { agree: { train: 20, test: 10 }, differ: { train: 10, test: 5 } },
            };
          },
          detect: (wanted) => {
            asked.detected = wanted;
            return result(wanted);
          },
          saveReport: () => ({ file: "runs/demo/reports/bagging/concepts.md" }),
          browse: ({ feature }) => {
            asked.browsed = feature;
            return {};
          },
        }),
    });

  async function detected(): Promise<Page> {
    const page = await open(choice);
    await page.getByText("nurse 800 · professor 800").waitFor();
    await page.getByRole("button", { name: "Detect" }).click();
    await page.getByRole("row", { name: /surgeon/ }).waitFor();
    return page;
  }

  test("classes with their accuracies beside raw activations; a click opens the feature; the report is saved", async () => {
    const page = await detected();
    assert.deepEqual(asked.detected, choice);
    const row = page.getByRole("row", { name: /professor/ });
    assert.match(await row.innerText(), /80\.0%\s+raw 55\.0%\s+85\.0%\s+raw 60\.0%/);
    await page.getByText("Left out for too few texts: poet.").waitFor();
    assert.equal(await page.locator("sae-token i").count(), 0);
    await row.getByRole("button").nth(3).click();
    await eventually(() => assert.equal(asked.browsed, 13));
    await page.getByRole("button", { name: "Save Report" }).click();
    await page.getByText("Report saved: runs/demo/reports/bagging/concepts.md").waitFor();
    assert.match(await row.innerText(), /200 \+ 100 texts\s+tested on 58\s\+\s58/);
    assert.deepEqual(
      await row.locator(".feature .side").allInnerTexts(),
      [0, 1, 2, 3, 4].map((i) => (i === 3 ? "▼" : "▲")),
    );
    await page.close();
  });

  test("a result of what was chosen before says so, and can't be saved; seeds that are none are refused", async () => {
    const page = await detected();
    await page.getByRole("button", { name: "Save Report" }).click();
    await page.getByText("Report saved:").waitFor();
    const seeds = page.getByRole("textbox", { name: "seeds" });
    await seeds.fill("1, x");
    await seeds.blur();
    await page.getByText("Left as they were: x is no whole number from 0.").waitFor();
    assert.equal(await page.getByText("(earlier data)").count(), 0);
    await seeds.fill("1");
    await seeds.blur();
    await page.getByRole("heading", { name: "Classes (earlier data)" }).waitFor();
    await page.getByText("in bios-train.jsonl.gz, with 200 texts a class and seed 0.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Save Report" }).isDisabled(), true);
    assert.equal(await page.getByText("Report saved:").count(), 0);
    await page.getByRole("button", { name: "Detect" }).click();
    await page.getByRole("heading", { name: "Classes", exact: true }).waitFor();
    assert.equal(await page.getByText("Report saved:").count(), 0);
    await page.close();
  });

  test("without a suggestion it asks for labelled texts", async () => {
    const page = await open(null);
    await page.getByText("Labelled texts, of a file or a data set").waitFor();
    assert.equal(await page.getByRole("button", { name: "Detect" }).count(), 0);
    await page.getByRole("button", { name: "Choose Texts…" }).waitFor();
    await page.close();
  });

  test("a data set of the hub shows how far it is, then its whole name", async () => {
    const fetched = Promise.withResolvers<void>();
    asked.fetched = fetched.promise;
    const page = await open(null);
    await page.getByRole("button", { name: "Choose Texts…" }).click();
    await page.getByText("Reading: download labelled texts").waitFor();
    await page.getByText("3 of 12 MiB · 40 s left").waitFor();
    await page.getByRole("button", { name: "Cancel" }).waitFor();
    await screenshot(page, "concepts-reading");
    fetched.resolve();
    await page.getByText("someone/professions", { exact: true }).waitFor();
    assert.equal(await page.getByRole("progressbar").count(), 0);
    await screenshot(page, "concepts-hub");
    await page.close();
  });

  inEveryTheme("concepts", () => detected());
  inEveryTheme("concepts-first", async () => {
    const page = await open(null);
    await page.getByText("Labelled texts, of a file or a data set").waitFor();
    return page;
  });
});

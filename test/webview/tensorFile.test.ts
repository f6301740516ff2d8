// The view of a file of tensors in a real Chromium, its host a stand-in: facts, warnings, numbers as they come, large tensors on demand, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import { answer } from "../../src/protocol/rpc.ts";
import { type TensorFileView, type TensorStatisticsView, tensorFileHost } from "../../src/protocol/tensorFile.ts";
import { eventually, inEveryTheme, openWebview } from "./webviewPage.ts";

const file: TensorFileView = {
  title: "sae_weights.safetensors",
  facts: [
    ["layout", "SAELens"],
    ["architecture", "jumprelu"],
    ["d_in", "2,304"],
    ["d_sae", "16,384"],
    ["hook_name", "blocks.12.hook_resid_post"],
    ["b_dec", "added to the output only"],
  ],
  warnings: [
    "W_enc seems to be stored the other way round: encoder and decoder rows of a feature have a mean cosine of 0.00, and of 0.61 with it turned",
  ],
  problem: "",
  tensors: [
    { name: "W_enc", dtype: "F32", shape: [2304, 16384], bytes: 150_994_944 },
    { name: "b_enc", dtype: "F32", shape: [16384], bytes: 65_536 },
    { name: "threshold", dtype: "BF16", shape: [16384], bytes: 32_768 },
    { name: "W_bad", dtype: "F32", shape: [4, 4], bytes: 64 },
  ],
};
const bell = Array.from({ length: 48 }, (_, i) => Math.round(3000 * Math.exp(-((i - 20) ** 2) / 60)));
const numbers: TensorStatisticsView = {
  elements: 16384,
  notFinite: 0,
  min: -1.25,
  max: 2.5,
  mean: 0.03,
  norm: 41.7,
  zeros: 820,
  histogram: bell,
};

describe("file of tensors", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  const read: number[] = [];
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  async function open(ready: () => TensorFileView) {
    const page = await openWebview(browser, {
      bundle: "tensor-file",
      element: "sae-tensor-file",
      width: 1000,
      height: 560,
      connect: (line) =>
        answer(line, tensorFileHost, {
          ready,
          statistics: ({ tensor }) => {
            read.push(tensor);
            return tensor === 3 ? { ...numbers, notFinite: 2 } : numbers;
          },
          openAsText: () => ({}),
        }),
    });
    await page.waitForSelector("dl, [role=alert]");
    return page;
  }
  async function opened() {
    const page = await open(() => file);
    await page.getByText("2 not finite").waitFor();
    return page;
  }

  test("small tensors are read at once, large ones when asked for", async () => {
    const page = await opened();
    await eventually(() => assert.deepEqual(read, [1, 2, 3]));
    assert.match(await page.locator("tbody tr").nth(1).innerText(), /b_enc\s+16,384\s+F32\s+64\.0 KiB\s+41\.7/);
    await page.getByRole("button", { name: "Read it: W_enc" }).click();
    await page.getByRole("button", { name: "Read it: W_enc" }).waitFor({ state: "detached" });
    assert.deepEqual(read, [1, 2, 3, 0]);
    assert.match(await page.locator("main").innerText(), /other way round/);
    await page.close();
  });

  const broken = () =>
    open(() => {
      throw new Error("ensemble.json: found broken JSON");
    });

  test("what can't be read is said, with a way to the text", async () => {
    const page = await broken();
    assert.match(await page.locator("[role=alert]").innerText(), /broken JSON/);
    assert.equal(await page.getByRole("button", { name: "Open as text" }).count(), 1);
    await page.close();
  });

  inEveryTheme("tensor-file", opened);
  inEveryTheme("tensor-file-error", broken);
});

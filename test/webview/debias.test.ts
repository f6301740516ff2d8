// The debias view's bundle in a real Chromium, its host a stand-in whose accuracies rise with every flag: from data to a saved report, flags from elsewhere, errors, cancelling, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import {
  type DebiasChoice,
  type DebiasState,
  type DebiasVerdict,
  debiasHost,
  debiasView,
  type GroupScores,
} from "../../src/protocol/debias.ts";
import type { FeatureRow } from "../../src/protocol/featureBrowser.ts";
import { answer, notify } from "../../src/protocol/rpc.ts";
import { eventually, inEveryTheme, openWebview, viewState } from "./webviewPage.ts";

const choice: DebiasChoice = {
  trainFile: "/data/bios-train.jsonl.gz",
  testFile: "/data/bios-test.jsonl.gz",
  columns: { text: "text", label: "profession", attribute: "gender" },
  label: { positive: ["nurse"], negative: ["professor"] },
  attribute: { positive: ["male"], negative: ["female"] },
  seeds: [0, 1, 2],
  perCell: 200,
};

const value = (mean: number, sd: number | null = 0.02) => ({ mean, sd });
const scores = (cells: readonly number[]): GroupScores => ({
  accuracy: value(cells.reduce((sum, cell) => sum + cell / 4, 0)),
  worst_group: value(Math.min(...cells)),
  cells: cells.map((cell) => value(cell)),
});
const base = [0.96, 0.106, 0.41, 0.99];
/** Each flag gives the cells that the bias cost a share of what is missing. */
const without = (flags: number) => scores(base.map((cell) => cell + (0.95 - cell) * (1 - 0.8 ** flags)));
const numbers = [2, 5, 10, 20, 50, 100, 500];
const curve = (ensemble: string, method: string, own: boolean, up: number, features = 1000) => ({
  ensemble,
  method,
  own,
  points: numbers
    .filter((n) => n <= features)
    .map((n, at) => ({
      n,
      scr: value(up * (1 - Math.exp(-(at + 1) / 2)), 0.05),
      worst_group: value(0.1 + up * 0.8 * (1 - Math.exp(-(at + 1) / 3)), 0.04),
      random: value(0.01 * at, null),
    })),
  leftOut: numbers.filter((n) => n > features),
});

const few = "only 21 texts a cell for training (nurse · male 42, …); under 100 the results say little";

class StandInHost {
  readonly flags = new Set<number>();
  retrained: DebiasVerdict["retrained"] = null;
  prepared: DebiasChoice | undefined;
  compared = false;
  /** Of the ensemble that the view is about. */
  features = 1000;
  /** Whether the service still holds what was prepared. */
  holds = false;
  preparations = 0;
  warnings: string[] = [];
  room = { difference: value(0.333), enough: true };
  values = { label: ["nurse", "professor", "surgeon"], attribute: ["female", "male"] };
  texts = { train: 400, test: 120 };
  names = ["text", "profession", "gender", "name"];
  columns = choice.columns;
  trouble = "";
  base = scores(base);
  refusal = "";
  neverEnds = false;
  cancelled = false;
  browsed = -1;
  connection: MessageConnection | undefined;

  row(feature: number): FeatureRow {
    const words = [" he", " his", " him", " himself", " Mr", "<b>bold</b>"];
    return {
      feature,
      member: feature % 4,
      index: 10 * feature,
      label: feature === 1 ? "male pronouns" : "",
      labelSource: null,
      note: "",
      flagged: this.flags.has(feature),
      tokens: [0, 1, 2].map((i) => ({
        text: words[(feature + i) % words.length]!,
        count: 9,
        strength: 1 - 0.3 * i,
        share: 0.3,
      })),
      density: 0.01,
      max: 8,
      mean: 2,
      histogram: [8, 4, 2, 1],
      foundIn: [true, true, false, true],
    };
  }

  verdict(): DebiasVerdict {
    const flags = [...this.flags].sort((a, b) => a - b);
    return { flags, ablated: without(flags.length), random: scores(base), retrained: this.retrained };
  }

  state(): DebiasState {
    return {
      choice: this.prepared ?? choice,
      cellNames: ["nurse · male", "nurse · female", "professor · male", "professor · female"],
      counts: [520, 520, 520, 520],
      perCell: { train: 200, test: 60 },
      warnings: this.warnings,
      cut: { texts: 212, of: 2600, context: 128 },
      base: this.base,
      oracle: scores([0.97, 0.92, 0.98, 1]),
      mean_difference: scores([0.7, 0.64, 0.99, 0.98]),
      mean_difference_retrained: scores([0.97, 0.91, 0.98, 1]),
      attributeAccuracy: value(0.964),
      room: this.room,
      levels: { mean_difference: value(0.57), mean_difference_retrained: value(1.0) },
      curves: [
        curve("bagging", "bagging", true, 0.7, this.features),
        ...(this.compared ? [curve("single", "single", false, 0.4), curve("single-1", "single", false, 0.35)] : []),
      ],
      compared: this.compared,
      verdict: this.verdict(),
    };
  }

  readonly handlers: Parameters<typeof answer<typeof debiasHost>>[2] = {
    ready: () => ({
      title: "Debias: demo · bagging",
      ensemble: "/runs/demo/ensembles/bagging",
      method: "bagging",
      members: 4,
      hook: "blocks.2.hook_resid_post",
      suggested: choice,
      state: this.holds ? this.state() : null,
    }),
    pickFile: () => ({ file: "/data/other.csv" }),
    describe: ({ trainFile, testFile, columns }) => ({
      trainFile,
      testFile,
      names: this.names,
      columns: columns ?? this.columns,
      counts: this.values.label.flatMap((label) =>
        this.values.attribute.map((attribute) => ({
          label,
          attribute,
          train: this.texts.train,
          test: testFile === null ? null : this.texts.test,
        })),
      ),
      leftOut: "3 empty texts and 2 texts that repeat another",
      trouble: this.trouble,
      least: {
        agree: testFile === null ? { train: 32, test: 0 } : { train: 20, test: 10 },
        differ: testFile === null ? { train: 15, test: 0 } : { train: 10, test: 5 },
      },
    }),
    prepare: async (wanted, signal) => {
      if (this.refusal) throw new Error(this.refusal);
      notify(this.connection!, debiasView, "progress", {
        stage: "pooling",
        done: 480,
        total: 1680,
        unit: "texts",
        eta: 12,
      });
      if (this.neverEnds) {
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener("abort", () => {
          this.cancelled = true;
          reject(new Error("stopped"));
        });
        return promise;
      }
      this.prepared = wanted;
      this.preparations++;
      return this.state();
    },
    suggestions: ({ offset, limit }) => ({
      total: 60,
      largest: 0.3,
      rows: Array.from({ length: Math.min(limit, 60 - offset) }, (_, i) => ({
        row: this.row(offset + i),
        effect: 0.3 / (1 + offset + i),
        labelEffect: i === 3 ? 0.2 : 0.01,
        towardPositive: i % 3 !== 2,
      })),
    }),
    detail: ({ feature }) => ({
      row: this.row(feature),
      neuronpedia: null,
      topLogits: [],
      bottomLogits: [],
      bands: ["Top activations", "Quantiles 50% to 75%", "Quantiles 25% to 50%"].map((name, band) => ({
        name,
        from: 0,
        to: 8 - band,
        sequences: [0, 1, 2, 3, 4].map((document) => ({
          document,
          start: 0,
          end: 30,
          peak: 2,
          count: 1,
          tokens: ["The", " doctor said", " he", " would come."].map((text, i) => ({ text, value: i === 2 ? 7 : 0 })),
        })),
      })),
      neighbours: [],
    }),
    annotate: ({ features, flagged }) => {
      for (const feature of features) {
        if (flagged) this.flags.add(feature);
        else this.flags.delete(feature);
      }
      this.tellFlags();
      return {};
    },
    retrain: () => {
      const flags = [...this.flags].sort((a, b) => a - b);
      this.retrained = { flags, scores: without(flags.length + 3), random: scores(base) };
      return this.verdict();
    },
    compare: () => {
      this.compared = true;
      return this.state();
    },
    saveReport: () => ({ file: "runs/demo/reports/bagging/debias.md" }),
    saveProbe: () => ({ file: "runs/demo/reports/bagging/debiased-probe/bagging/probe.json" }),
    browse: ({ feature }) => {
      this.browsed = feature;
      return {};
    },
  };

  tellFlags(): void {
    notify(this.connection!, debiasView, "verdict", this.verdict());
    notify(this.connection!, debiasView, "annotationsChanged", {});
  }
}

/** Data without a bias that hurts, and little of it. */
function unbiased(): StandInHost {
  const host = new StandInHost();
  host.room = { difference: value(0.0002), enough: false };
  host.warnings = [few];
  return host;
}

describe("debias view", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  async function load(host: StandInHost, size = { width: 1400, height: 950 }, state?: unknown): Promise<Page> {
    return openWebview(browser, {
      bundle: "debias",
      element: "sae-debias",
      ...size,
      state,
      connect: (connection) => {
        host.connection = connection;
        answer(connection, debiasHost, host.handlers);
      },
    });
  }
  async function open(host = new StandInHost(), size?: { width: number; height: number }): Promise<Page> {
    const page = await load(host, size);
    await page.getByRole("button", { name: "Show the Bias" }).waitFor();
    return page;
  }
  async function prepared(host = new StandInHost(), size?: { width: number; height: number }): Promise<Page> {
    const page = await open(host, size);
    await page.getByRole("button", { name: "Show the Bias" }).click();
    await page.locator("sae-suggestions .row").nth(5).waitFor();
    return page;
  }
  const verdict = (page: Page) => page.locator(".verdict");

  test("data: four cells with their counts; a value changes sides; the bias the other way round", async () => {
    const host = new StandInHost();
    const page = await open(host);
    const cells = page.getByRole("table", { name: "Texts of each cell" });
    assert.deepEqual(await cells.locator("td:not(:empty)").allInnerTexts(), Array(4).fill("400 + 120"));
    await page.getByText("Texts to train on + texts to test on.").waitFor();
    await page.getByRole("button", { name: "· surgeon 800" }).click();
    await page.getByRole("button", { name: "A surgeon 800" }).waitFor();
    assert.equal((await cells.locator("td").nth(1).innerText()).trim(), "800 + 240");
    await page.getByRole("button", { name: "The other way round" }).click();
    await page.getByText("every nurse, surgeon is female").waitFor();
    await page.getByRole("button", { name: "Show the Bias" }).click();
    await page.locator("sae-bias").waitFor();
    assert.deepEqual(host.prepared?.label.positive, ["nurse", "surgeon"]);
    assert.deepEqual(host.prepared?.attribute.positive, ["female"]);
    await page.close();
  });

  test("what is lacking is said by name, and nothing is asked of the host: an empty side, too few texts, one value only", async () => {
    const host = new StandInHost();
    const page = await open(host);
    const refuses = async (words: string) => {
      await page.getByText(words, { exact: true }).waitFor();
      assert.equal(await page.getByRole("button", { name: "Show the Bias" }).isDisabled(), true);
    };
    const described = async (change: Partial<Pick<StandInHost, "values" | "texts">>) => {
      Object.assign(host, change);
      await page.getByRole("button", { name: "Choose…" }).first().click();
    };
    await page.getByRole("button", { name: "B professor 800" }).click();
    await refuses("No value of profession is on side B.");
    // Held out of one file: 32 texts where label and attribute agree, 15 where they don't.
    const few = (train: number) => described({ texts: { train, test: 0 } });
    await few(31);
    await refuses("Too few texts to draw from: nurse · female has 31 of 32; professor · male has 31 of 32.");
    await few(14);
    await page.getByText("nurse · male has 14 of 15;").waitFor();
    assert.equal(await page.locator("sae-data-form td.few").count(), 4);
    await few(32);
    await page.getByText("Runs the texts through model and ensemble once").waitFor();
    assert.equal(await page.locator("sae-data-form td.few").count(), 0);
    // With a file to test on, either has to have enough.
    host.texts = { train: 20, test: 9 };
    await page.getByRole("button", { name: "Choose…" }).nth(1).click();
    await page.getByText("nurse · female has 20 of 20 to train on and 9 of 10 to test on").waitFor();
    await described({ values: { label: ["nurse"], attribute: ["female", "male"] }, texts: { train: 400, test: 0 } });
    await refuses("Column profession has one value only, nurse: a label needs two at least.");
    await described({ values: { label: ["nurse", "professor"], attribute: ["male"] } });
    await refuses("Column gender has one value only, male: an attribute needs two at least.");
    assert.equal(host.preparations, 0);
    await page.close();
  });

  test("columns of another file: the selects show them, one without a name by its place; where they can't be read others can be chosen", async () => {
    const host = new StandInHost();
    const page = await open(host);
    host.names = ["the text!", "Gendér", "job", ""];
    host.columns = { text: "the text!", label: "job", attribute: "Gendér" };
    host.trouble = "/data/other.csv: found 30 unlabelled texts alone, expected a text with a value in column job";
    await page.getByRole("button", { name: "Choose…" }).first().click();
    await page.getByRole("alert").getByText(host.trouble).waitFor();
    const selects = page.locator("sae-data-form select");
    const values = () => selects.evaluateAll((all) => all.map((select) => (select as HTMLSelectElement).value));
    assert.deepEqual(await values(), ["the text!", "job", "Gendér"]);
    assert.deepEqual(await selects.first().locator("option").allInnerTexts(), [
      ...host.names.slice(0, 3),
      "(column 4)",
    ]);
    assert.equal(await page.getByRole("button", { name: "Show the Bias" }).isDisabled(), true);
    host.trouble = "";
    await selects.nth(1).selectOption("(column 4)");
    await page.getByText("Runs the texts through model and ensemble once").waitFor();
    assert.deepEqual(await values(), ["the text!", "", "Gendér"]);
    await page.close();
  });

  test("seeds that are none are refused, and the others stay", async () => {
    const host = new StandInHost();
    const page = await open(host);
    const seeds = page.getByRole("textbox", { name: "seeds" });
    await seeds.fill("1, x");
    await seeds.blur();
    await page.getByText("Left as they were: x is no whole number from 0.").waitFor();
    assert.equal(await seeds.inputValue(), "0, 1, 2");
    await seeds.fill("4 5");
    await seeds.blur();
    await page.getByText("every number is a mean over them").waitFor();
    await page.getByRole("button", { name: "Show the Bias" }).click();
    await page.locator("sae-bias").waitFor();
    assert.deepEqual(host.prepared?.seeds, [4, 5]);
    await page.close();
  });

  test("results of the data chosen before say so, can't be saved, and one can go back to them", async () => {
    const page = await prepared();
    const save = page.getByRole("button", { name: "Save Report" });
    await save.click();
    await page.getByText("Report saved:").waitFor();
    await page.getByRole("button", { name: "Change" }).click();
    assert.equal(await page.getByText("(earlier data)").count(), 0);
    await page.getByRole("button", { name: "The other way round" }).click();
    await page.getByText("What follows is of nurse / professor × male / female in bios-train.jsonl.gz.").waitFor();
    await page.getByRole("heading", { name: "Result (earlier data)" }).waitFor();
    assert.equal(await save.isDisabled(), true);
    assert.equal(await page.getByText("Report saved:").count(), 0);
    await page.getByRole("button", { name: "Back to it" }).click();
    await page.getByRole("heading", { name: "Result", exact: true }).waitFor();
    assert.equal(await save.isEnabled(), true);
    await page.close();
  });

  test("what a probe learnt is claimed as far as spread and balanced data carry it; a worst that differs by seed is said", async () => {
    const host = new StandInHost();
    host.base = { ...scores([0.615, 0.436, 0.436, 0.667]), worst_group: value(0.179) };
    host.base.cells[1] = value(0.436, 0.5);
    const page = await prepared(host);
    await page.getByText("female: 43.6% ± 50.0% right.").waitFor();
    await page
      .getByText("learnt gender instead of profession can't be told: a probe of balanced data has 92.0%")
      .waitFor();
    await page.getByText("worst group, the mean over each seed's worst, is 17.9%.").waitFor();
    await page.close();
    host.base = scores([0.9, 0.7, 0.8, 0.9]);
    const mild = await prepared(host);
    await mild
      .getByText("A probe trained without such texts goes by gender in part: a probe of balanced data has 92.0%")
      .waitFor();
    assert.equal(await mild.getByText("Which cell is the worst differs").count(), 0);
    await mild.close();
  });

  for (const width of [1040, 700])
    test(`at a width of ${width} no cell of the result is cut, and where a feature fires more is shown`, async () => {
      const page = await prepared(new StandInHost(), { width, height: 950 });
      const table = page.locator("sae-result-table");
      const { scroll, client } = await table.evaluate((host) => ({
        scroll: host.scrollWidth,
        client: host.clientWidth,
      }));
      assert.ok(scroll <= client, `${scroll} of ${client}`);
      assert.equal(await page.locator("sae-suggestions .row .side").first().isVisible(), true);
      await page.close();
    });

  test("no room and few texts: said where the bias is shown, and the worst cell is not blamed on the bias", async () => {
    const page = await prepared(unbiased());
    await page.getByText("There is no room (less than 0.001").waitFor();
    await page.getByText(`O${few.slice(1)}.`, { exact: true }).waitFor();
    await page.getByText("The worst of the four.").waitFor();
    assert.equal(await page.getByText("learnt gender instead of profession").count(), 0);
    assert.equal(await page.getByText("look first at features").count(), 0);
    await page.getByText("212 of 2,600 texts fill the context of 128 tokens").waitFor();
    await page.close();
  });

  for (const holds of [true, false])
    test(`loaded again, ${holds ? "what is prepared shows at once" : "it is prepared again from the choice that was kept"}; the feature that was open is open`, async () => {
      const before = new StandInHost();
      const page = await prepared(before);
      await page.getByRole("button", { name: "Change" }).click();
      await page.getByRole("button", { name: "The other way round" }).click();
      await page.getByRole("button", { name: "Show the Bias" }).click();
      await page.getByText("a probe of balanced data").waitFor();
      await page.getByRole("button", { name: "Flag 1/10" }).click();
      await verdict(page).getByText("1 flagged:").waitFor();
      await page.getByRole("button", { name: "3/30", exact: true }).click();
      await page.locator(".contexts .sequence").first().waitFor();
      const kept = await viewState(page);
      await page.close();
      const host = new StandInHost();
      host.flags.add(1);
      host.holds = holds;
      if (holds) host.prepared = before.prepared;
      const again = await load(host, undefined, kept);
      await verdict(again).getByText("1 flagged:").waitFor();
      await again.locator(".contexts .sequence").first().waitFor();
      assert.equal(
        await again.getByRole("button", { name: "3/30", exact: true }).getAttribute("aria-expanded"),
        "true",
      );
      assert.equal(host.preparations, holds ? 0 : 1);
      assert.deepEqual(host.prepared, { ...choice, attribute: { positive: ["female"], negative: ["male"] } });
      await again.close();
    });

  test("the worst cell in words; nothing is flagged for a person; flags move the bars, and say by how much", async () => {
    const host = new StandInHost();
    const page = await prepared(host);
    await page.getByText("nurse who is female: 10.6% ± 2.0% right.").waitFor();
    await page.getByText("look first at features that fire more for female").waitFor();
    assert.equal(await page.locator("sae-bias td.worst").innerText(), "10.6% right, the worst");
    assert.equal(await page.locator('.flag[aria-pressed="true"]').count(), 0);
    await page.getByRole("button", { name: "Flag 0/0" }).click();
    await verdict(page).getByText("1 flagged: worst group 10.6% → 27.5%").waitFor();
    await page.getByRole("button", { name: "Flag 2/20" }).click();
    await verdict(page).getByText("2 flagged: worst group 10.6% → 41.0%").waitFor();
    await eventually(() => assert.deepEqual([...host.flags], [0, 2]));
    const row = page.getByRole("row", { name: /2 features flagged, removed/ });
    assert.match(await row.innerText(), /▲ 13\.5/);
    await page.getByRole("button", { name: "Retrain", exact: true }).click();
    await verdict(page).getByText("retrained; balanced data gives 92.0%").waitFor();
    const [, retrained] = /→ ([\d.]+%) retrained/.exec(await verdict(page).innerText())!;
    const step = page.getByRole("button", { name: /^result/ });
    assert.equal(await step.innerText(), `result worst group ${retrained} retrained`);
    await page.getByRole("button", { name: "Flag 1/10" }).click();
    await page.getByRole("row", { name: "… retrained, without 2 features (old flags)" }).waitFor();
    await page.close();
  });

  test("in a narrow panel the table of the bias scrolls by itself", async () => {
    const page = await prepared(new StandInHost(), { width: 220, height: 1000 });
    const region = page.getByRole("region", { name: "Accuracy by cell" });
    const box = (await region.boundingBox())!;
    assert.ok(box.x + box.width <= 220);
    assert.ok(await region.evaluate((element) => element.scrollWidth > element.clientWidth));
    await page.close();
  });

  test("flags that are set elsewhere arrive by themselves", async () => {
    const host = new StandInHost();
    const page = await prepared(host);
    host.flags.add(4).add(3000);
    host.tellFlags();
    await page.locator('.flag[aria-pressed="true"]').waitFor();
    await verdict(page).getByText("2 flagged:").waitFor();
    await page.getByText("1 more flagged elsewhere").waitFor();
    await page.close();
  });

  test("contexts open below a feature, tokens as data, and lead to the feature browser", async () => {
    const host = new StandInHost();
    const page = await prepared(host);
    await page.getByRole("button", { name: "3/30", exact: true }).click();
    await page.getByText("in the middle of its range").waitFor();
    assert.equal(await page.locator(".contexts .sequence").count(), 6);
    // Lines break at spaces alone, so the tokens of a word stay together.
    const token = page.locator(".contexts sae-token").first();
    assert.equal(await token.evaluate((one) => getComputedStyle(one).display), "inline");
    assert.equal(await page.locator("sae-token b").count(), 0);
    await page.getByRole("button", { name: "Open in the feature browser" }).click();
    await eventually(() => assert.equal(host.browsed, 3));
    await page.close();
  });

  test("pooling shows what is left and is cancelled; what is refused is said where it happened", async () => {
    const host = new StandInHost();
    host.neverEnds = true;
    const page = await open(host);
    await page.getByRole("button", { name: "Show the Bias" }).click();
    await page.getByText("480 of 1,680 texts · 12 s left").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator("sae-long-work").waitFor({ state: "detached" });
    await eventually(() => assert.equal(host.cancelled, true));
    assert.equal(await page.getByRole("alert").count(), 0);
    host.refusal = "bios.csv: too few texts for training: nurse · male 4";
    await page.getByRole("button", { name: "Show the Bias" }).click();
    await page.getByRole("alert").getByText(host.refusal).waitFor();
    await page.close();
  });

  test("the run's other ensembles come on demand; other seed sets stay away until asked for; a report is saved", async () => {
    const page = await prepared();
    const chart = page.locator("sae-scr-chart");
    assert.match((await chart.getByRole("img").getAttribute("aria-label"))!, /for bagging, random features of bagging/);
    const color = (name: string) =>
      chart.getByRole("button", { name, exact: true }).locator(".swatch").getAttribute("style");
    const [before] = [await color("bagging")];
    await page.getByRole("button", { name: /Compare with/ }).click();
    await chart.getByRole("button", { name: "single", exact: true }).waitFor();
    assert.equal(await color("bagging"), before, "a method keeps its colour, whichever others are shown");
    assert.notEqual(await color("single"), before);
    assert.equal(await chart.getByRole("button", { name: "single-1" }).locator(".swatch.dotted").count(), 1);
    const shown = () => chart.getByRole("img").getAttribute("aria-label");
    assert.doesNotMatch((await shown())!, /single-1/);
    await chart.getByRole("button", { name: "single-1" }).click();
    await chart.locator('svg[aria-label*="single-1"]').waitFor();
    await chart.getByRole("button", { name: "worst group" }).click();
    await chart.locator('svg[aria-label^="worst group"][aria-label*="oracle: balanced data"]').waitFor();
    await page.getByRole("button", { name: "Save Report" }).click();
    await page.getByText("Report saved: runs/demo/reports/bagging/debias.md").waitFor();
    // A probe is one seed's, while the view shows means: said before and after.
    await page.getByRole("button", { name: "Flag 0/0" }).click();
    const save = page.getByRole("button", { name: "Save Debiased Probe" });
    assert.match((await save.getAttribute("title"))!, /probe of seed 0.*shown here are means over the seeds/s);
    await save.click();
    await page.getByText(/probe\.json, the probe of seed 0 with its own scores\.$/).waitFor();
    await page.close();
  });

  test("a narrower ensemble beside wider ones: every point lies in the chart, and what has no point is said", async () => {
    const host = new StandInHost();
    host.features = 64;
    const page = await prepared(host);
    const chart = page.locator("sae-scr-chart");
    const circles = () =>
      chart.locator("circle").evaluateAll((all) => all.map((circle) => Number(circle.getAttribute("cx"))));
    assert.equal((await circles()).length, 5);
    await chart.getByText("Left out, being more than there are features: n = 100, 500 for bagging.").waitFor();
    await page.getByRole("button", { name: /Compare with/ }).click();
    await chart.getByRole("button", { name: "single", exact: true }).waitFor();
    const places = await circles();
    assert.equal(places.length, 5 + 7);
    const width = await chart.locator("svg").evaluate((svg) => (svg as SVGSVGElement).viewBox.baseVal.width);
    assert.ok(Math.max(...places) <= width, `${Math.max(...places)} of ${width}`);
    assert.equal(await chart.locator("svg text", { hasText: /^500$/ }).count(), 1);
    await page.close();
  });

  inEveryTheme("debias-data", () => open());
  inEveryTheme("debias-data-too-few", async () => {
    const page = await open();
    await page.getByRole("button", { name: "B professor 800" }).click();
    await page.getByText("No value of profession is on side B.").waitFor();
    return page;
  });
  inEveryTheme("debias-result", async () => {
    const host = new StandInHost();
    host.compared = true;
    const page = await prepared(host);
    await page.getByRole("button", { name: "Flag 0/0" }).click();
    await page.getByRole("button", { name: "Flag 1/10" }).click();
    await verdict(page).getByText("2 flagged:").waitFor();
    await page.getByRole("button", { name: "Retrain", exact: true }).click();
    await verdict(page).getByText("retrained;").waitFor();
    await page.getByRole("button", { name: "2/20", exact: true }).click();
    await page.locator(".contexts .sequence").first().waitFor();
    return page;
  });
  inEveryTheme("debias-no-room", () => prepared(unbiased()));
  inEveryTheme("debias-one-value", async () => {
    const host = new StandInHost();
    host.values = { label: ["nurse", "professor"], attribute: ["female"] };
    const page = await open(host);
    await page.getByRole("button", { name: "Choose…" }).first().click();
    await page.getByText("Column gender has one value only").waitFor();
    return page;
  });
  inEveryTheme("debias-narrow", () => prepared(new StandInHost(), { width: 620, height: 1000 }));
});

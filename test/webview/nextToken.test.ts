// The next-token panel's bundle in a real Chromium, its host a stand-in with made-up numbers: interventions, switches, what pushes a token, streaming and stopping, errors, safety, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import type { FeatureRow } from "../../src/protocol/featureBrowser.ts";
import {
  type FeatureName,
  type Intervention,
  nextTokenHost,
  nextTokenView,
  type ShownIntervention,
} from "../../src/protocol/inspection.ts";
import { answer, notify } from "../../src/protocol/rpc.ts";
import { eventually, inEveryTheme, openWebview } from "./webviewPage.ts";

const texts = [" she", " he", " the", "\n", "<img src=x onerror=alert(1)>", "⟨E2⟩", ' "', " nurse"];

const row = (feature: number): FeatureRow => ({
  feature,
  member: feature % 4,
  index: Math.floor(feature / 4),
  label: feature === 9 ? "female pronouns" : "",
  labelSource: null,
  note: "",
  flagged: feature === 9,
  tokens: texts.slice(0, 4).map((text) => ({ text, count: 3, strength: 0.5, share: 0.2 })),
  density: 0.01,
  max: 12,
  mean: 3,
  histogram: [4, 2, 1],
  foundIn: [true, false, true, true],
});

const intervention = (features: number[], on = true): ShownIntervention => ({
  features,
  flagged: false,
  kind: "ablate",
  value: 0,
  from: "everywhere",
  on,
});

/** A host that remembers what it was asked. */
class StandInHost {
  line: MessageConnection | undefined;
  asked: Intervention[][] = [];
  kept: readonly ShownIntervention[] = [];
  /** What the panel's host knows without the service. */
  names: FeatureName[] = [];
  cancelled = 0;
  shown: number[] = [];
  fail = "";
  flagged = 2;
  /** When it answers a page that has been loaded. */
  ready = Promise.resolve();
  interventions = [intervention([9, 40]), intervention([17], false)];

  changes(interventions: readonly Intervention[]): boolean {
    return interventions.some(({ features, flagged }) => features.length > 0 || (flagged && this.flagged > 0));
  }

  readonly handlers: Parameters<typeof answer<typeof nextTokenHost>>[2] = {
    ready: async () => {
      await this.ready;
      return {
        title: "demo · bagging",
        document: "stories/she.txt",
        text: "She was a nurse. Her mother said that",
        reason: "",
        interventions: this.interventions,
        names: this.names,
      };
    },
    nextToken: ({ interventions }) => {
      this.asked.push(interventions);
      if (this.fail) throw new Error(this.fail);
      const changed = this.changes(interventions);
      const tokens = texts.map((text, id) => ({
        id,
        text,
        original: 0.5 / (id + 1) ** 2,
        changed: changed ? 0.5 / (texts.length - id) ** 2 : 0.5 / (id + 1) ** 2,
      }));
      const features = interventions.flatMap((one) => one.features);
      return {
        tokens,
        kl: changed ? 0.734 : 0,
        gains: changed ? tokens.at(-1)! : null,
        loses: changed ? tokens[0]! : null,
        context: 42,
        rows: features.map(row),
        flagged: this.flagged,
      };
    },
    pushing: () => ({
      probability: 0.5,
      features: [3, 9, 12].map((feature) => ({
        row: row(feature),
        value: 4.5,
        direct: feature === 12 ? 0 : feature - 5,
        measured: feature === 12 ? -0.031 : 0.137,
        probability: 0.4,
      })),
    }),
    generate: async ({ interventions }, signal) => {
      const changed = this.changes(interventions);
      for (const text of [" she", " she was", " she was happy"]) {
        notify(this.line!, nextTokenView, "generated", { side: "original", text, ended: false });
        if (changed) {
          const other = text.replace("she", "he");
          const ended = other.endsWith("happy");
          notify(this.line!, nextTokenView, "generated", { side: "changed", text: other, ended });
        }
      }
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      this.cancelled++;
      throw new Error("cancelled");
    },
    keep: ({ interventions }) => {
      this.kept = interventions;
      return {};
    },
    choose: () => ({ names: [row(21)] }),
    show: ({ feature }) => {
      this.shown.push(feature);
      return {};
    },
  };
}

describe("the next-token panel", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  async function open(
    host = new StandInHost(),
    width = 620,
  ): Promise<{ page: Page; host: StandInHost; errors: string[] }> {
    const errors: string[] = [];
    const page = await openWebview(browser, {
      bundle: "next-token",
      element: "sae-next-token",
      width,
      height: 980,
      connect: (line) => {
        host.line = line;
        answer(line, nextTokenHost, host.handlers);
      },
    });
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("dialog", (dialog) => {
      errors.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.locator("sae-probability-bars tbody tr, .error, .notice").first().waitFor();
    return { page, host, errors };
  }

  test("shows both distributions, the divergence, and who gains and loses most; tokens are data", async () => {
    const { page, host, errors } = await open();
    assert.match(
      await page.locator(".summary").innerText(),
      /KL 0\.734 nats.*gains most.*50\.0%.*loses most.*0\.781%/s,
    );
    const moved = page.locator(".summary sae-token");
    assert.deepEqual(
      await moved.evaluateAll((tokens) => tokens.map((token) => (token as unknown as { text: string }).text)),
      [" nurse", " she"],
    );
    assert.equal(await page.locator("sae-probability-bars tbody tr").count(), texts.length);
    await page.getByText("<img␣src=x␣onerror=alert(1)>").first().waitFor();
    assert.equal(await page.locator("sae-token img").count(), 0);
    assert.deepEqual(host.asked[0], [
      { features: [9, 40], flagged: false, kind: "ablate", value: 0, from: "everywhere" },
    ]);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("a switch, a kind with its value, a place, another feature: each asks anew and is kept", async () => {
    const { page, host } = await open();
    const list = page.locator("sae-intervention-list");
    await list.locator('input[type="checkbox"]').first().click();
    await page.locator(".summary").waitFor({ state: "detached" });
    await eventually(() => assert.deepEqual(host.asked.at(-1), []));
    await list.locator('input[type="checkbox"]').first().click();
    await list.getByLabel("what to do").first().selectOption("scale");
    await list.locator('input[type="number"]').first().fill("2.5");
    await list.locator('input[type="number"]').first().press("Tab");
    await list.getByLabel("where").first().selectOption("here");
    await page.getByRole("button", { name: "Add feature…" }).click();
    await list.locator("li").nth(2).waitFor();
    await page.getByRole("button", { name: "Ablate the flagged ones" }).click();
    await list.getByText("all flagged features").waitFor();
    await eventually(() => assert.equal(host.asked.at(-1)?.length, 3));
    assert.deepEqual(host.asked.at(-1), [
      { features: [9, 40], flagged: false, kind: "scale", value: 2.5, from: "here" },
      { features: [21], flagged: false, kind: "ablate", value: 0, from: "everywhere" },
      { features: [], flagged: true, kind: "ablate", value: 0, from: "everywhere" },
    ]);
    await eventually(() => assert.equal(host.kept.length, 4));
    await list.getByRole("button", { name: "Remove flagged features" }).click();
    await list.locator("li").nth(3).waitFor({ state: "detached" });
    await page.close();
  });

  test("a token's button says what pushes it; a feature there can be opened and ablated", async () => {
    const { page, host } = await open();
    await page.locator("sae-probability-bars tbody button").nth(1).click();
    const table = page.locator("sae-pushing-features");
    await table.locator("tbody.down tr", { hasText: "−0.0310" }).waitFor();
    assert.equal(await table.locator("tbody.down tr").count(), 2, "one that pushes it down, under its heading");
    // Direct attributions of −2 and 4, beside the largest.
    await table.getByText("−0.500").first().waitFor();
    await table.getByText("+1.00").first().waitFor();
    await table.locator("button.id").nth(1).click();
    await table.getByRole("button", { name: "ablate" }).first().click();
    await page.locator("sae-intervention-list li").nth(2).waitFor();
    await eventually(() => assert.deepEqual(host.shown, [9]));
    await page.close();
  });

  test("generation streams both sides, and Stop stops it over there", async () => {
    const { page, host } = await open();
    await page.locator("vscode-button", { hasText: "Generate with and without" }).click();
    await page.locator(".side.changed p", { hasText: "he was happy" }).waitFor();
    await page.locator(".side.changed", { hasText: "The model ended the text here." }).waitFor();
    assert.equal(await page.locator(".side .ended").count(), 1, "the original goes on");
    await page.locator("vscode-button", { hasText: "Stop" }).click();
    await page.locator("vscode-button", { hasText: "Generate" }).waitFor();
    await eventually(() => assert.equal(host.cancelled, 1));
    assert.equal(await page.locator(".error").count(), 0);
    await page.close();
  });

  test("all flagged features where nothing is flagged: says so, and shows one side", async () => {
    const host = new StandInHost();
    host.flagged = 0;
    host.interventions = [{ ...intervention([]), flagged: true }];
    const { page } = await open(host);
    await page.locator("sae-intervention-list").getByText("nothing is flagged").waitFor();
    assert.equal(await page.locator(".summary").count(), 0);
    await page.locator("vscode-button", { hasText: "Generate" }).click();
    await page.locator(".side p", { hasText: "she was happy" }).waitFor();
    assert.equal(await page.locator(".side").count(), 1);
    // Somebody flags a feature: it is a change again.
    host.flagged = 1;
    notify(host.line!, nextTokenView, "annotationsChanged", {});
    await page.locator(".summary").waitFor();
    assert.equal(await page.getByText("nothing is flagged").count(), 0);
    await page.close();
  });

  test("a divergence of 0 is said with its reason", async () => {
    const host = new StandInHost();
    const { nextToken } = host.handlers;
    const still = { kl: 0, gains: null, loses: null };
    Object.assign(host.handlers, {
      nextToken: async (...args: Parameters<typeof nextToken>) => ({ ...(await nextToken(...args)), ...still }),
    });
    const { page } = await open(host);
    const summary = page.locator(".summary");
    await summary.getByText("KL 0 nats: the interventions change nothing in this text").waitFor();
    notify(host.line!, nextTokenView, "cursor", { text: "", reason: "", title: "demo · bagging", document: "she.txt" });
    await summary.getByText("KL 0 nats: nothing stands before the cursor that they could change").waitFor();
    await page.close();
  });

  test("at any width an intervention's ✕ lies beside its fields, its value is readable, and a click on it arrives", async () => {
    for (const width of [280, 340, 500, 620]) {
      const host = new StandInHost();
      host.interventions = [{ ...intervention([9]), kind: "add", value: 21.76805 }];
      const { page } = await open(host, width);
      const row = page.locator("sae-intervention-list li");
      const remove = row.getByRole("button", { name: /^Remove/ });
      const button = (await remove.boundingBox())!;
      assert.ok(button.x + button.width <= width, `${width} px`);
      for (const field of await row.locator("select, input, .what > *").all()) {
        const other = (await field.boundingBox())!;
        const aside = other.x + other.width <= button.x || other.y >= button.y + button.height;
        assert.ok(aside, `${width} px: ${await field.evaluate(({ outerHTML }) => outerHTML)}`);
      }
      const value = row.locator("input[type=number]");
      assert.ok(await value.evaluate((field) => field.scrollWidth <= field.clientWidth), `${width} px`);
      // A click arrives: nothing lies over it.
      await remove.click();
      await row.waitFor({ state: "detached" });
      await page.close();
    }
  });

  test("says which text it speaks of, also where the cursor is at no place to go on from", async () => {
    const { page, host } = await open();
    const heading = (hasText: string) => page.locator("h1", { hasText }).waitFor();
    await heading("After the cursor in stories/she.txt · demo · bagging · 42 tokens");
    const title = "demo · bagging";
    notify(host.line!, nextTokenView, "cursor", { text: "He was", reason: "", title, document: "/elsewhere/he.txt" });
    await heading("After the cursor in he.txt · demo · bagging");
    const reason = "Put the cursor into a cell.";
    notify(host.line!, nextTokenView, "cursor", { text: null, reason, title, document: "cells.csv" });
    await heading("After the cursor in cells.csv · demo · bagging");
    notify(host.line!, nextTokenView, "cursor", { text: null, reason, title, document: "" });
    await heading("Next token · demo · bagging");
    await page.close();
  });

  test("the cursor moves: asked anew; outside of any text it says what to do", async () => {
    const { page, host } = await open();
    await page.locator("sae-probability-bars tbody tr").first().waitFor();
    notify(host.line!, nextTokenView, "cursor", {
      text: "He was",
      reason: "",
      title: "demo · bagging",
      document: "she.txt",
    });
    await page.locator(".before", { hasText: "He was" }).waitFor();
    notify(host.line!, nextTokenView, "cursor", {
      text: null,
      reason: "Put the cursor into a text.",
      title: "x",
      document: "",
    });
    await page.getByText("Put the cursor into a text.").waitFor();
    assert.equal(await page.locator("sae-probability-bars").count(), 0);
    await page.close();
  });

  test("another ensemble: its own interventions and title, and nothing that was said of the one before", async () => {
    const { page, host } = await open();
    await page.locator("sae-probability-bars tbody button").nth(1).click();
    await page.locator("sae-pushing-features").waitFor();
    await page.locator("vscode-button", { hasText: "Generate with and without" }).click();
    await page.locator(".side.changed p", { hasText: "he was happy" }).waitFor();
    const interventions = [intervention([33])];
    notify(host.line!, nextTokenView, "ensemble", { title: "demo · boosting", interventions, names: [] });
    await page.locator("h1", { hasText: "demo · boosting" }).waitFor();
    await page.locator("sae-intervention-list li", { hasText: "1/8" }).waitFor();
    assert.equal(await page.locator("sae-intervention-list li").count(), 1);
    assert.equal(await page.locator("sae-pushing-features, .side").count(), 0);
    await eventually(() => {
      assert.deepEqual(host.asked.at(-1), [
        { features: [33], flagged: false, kind: "ablate", value: 0, from: "everywhere" },
      ]);
    });
    assert.equal(host.kept.length, 0, "the other list is not written over");
    await eventually(() => assert.equal(host.cancelled, 1));
    await page.close();
  });

  test("interventions keep their features' names where the service fails, and learn new ones", async () => {
    const host = new StandInHost();
    host.fail = "/models/gone: no such file or folder";
    host.names = [9, 40, 17].map(row);
    const { page } = await open(host);
    const list = page.locator("sae-intervention-list li");
    await page.locator(".error").waitFor();
    assert.match(await list.first().innerText(), /1\/2\s*female pronouns.*0\/10/s);
    assert.match(await list.nth(1).innerText(), /1\/4/);
    assert.equal(await page.getByText(/feature \d/).count(), 0);
    await page.getByRole("button", { name: "Add feature…" }).click();
    await list.nth(2).getByText("1/5").waitFor();
    notify(host.line!, nextTokenView, "add", { features: [33], names: [row(33)], kind: "ablate", value: 0 });
    await list.nth(3).getByText("1/8").waitFor();
    await page.close();
  });

  test("what is added while the page loads comes behind the list that is kept; until that is there, there is nothing to change", async () => {
    const host = new StandInHost();
    const { promise, resolve } = Promise.withResolvers<void>();
    host.ready = promise;
    const { page } = await open(host);
    const list = page.locator("sae-intervention-list li");
    assert.equal(await page.locator("sae-intervention-list").count(), 0);
    for (const feature of [33, 34])
      notify(host.line!, nextTokenView, "add", {
        features: [feature],
        names: [row(feature)],
        kind: "ablate",
        value: 0,
      });
    resolve();
    await list.nth(3).waitFor();
    const all = [...host.interventions, intervention([33]), intervention([34])];
    await eventually(() => assert.deepEqual(host.kept, all));
    await page.close();
  });

  test("what was generated stays when the cursor or the interventions change, and says that it is of before", async () => {
    const { page, host } = await open();
    await page.locator("vscode-button", { hasText: "Generate with and without" }).click();
    await page.locator(".side.changed p", { hasText: "he was happy" }).waitFor();
    assert.equal(await page.locator(".outdated").count(), 0);
    const first = page.locator('sae-intervention-list input[type="checkbox"]').first();
    await first.click();
    await page.locator(".outdated", { hasText: "interventions as they were" }).waitFor();
    await first.click();
    await page.locator(".outdated").waitFor({ state: "detached" });
    notify(host.line!, nextTokenView, "cursor", {
      text: "He was",
      reason: "",
      title: "demo · bagging",
      document: "she.txt",
    });
    await page.locator(".outdated").waitFor();
    assert.match(await page.locator(".outdated").innerText(), /From another place.*mother said that”/);
    assert.match(await page.locator(".side.changed p").innerText(), /he was happy/);
    await page.close();
  });

  test("an error is shown where it happened, and goes with the next answer", async () => {
    const host = new StandInHost();
    host.fail = "/models/gone: no such file or folder";
    const { page } = await open(host);
    await page.locator(".error", { hasText: "/models/gone" }).waitFor();
    host.fail = "";
    notify(host.line!, nextTokenView, "annotationsChanged", {});
    await page.locator("sae-probability-bars tbody tr").first().waitFor();
    assert.equal(await page.locator(".error").count(), 0);
    await page.close();
  });

  inEveryTheme("next-token", async () => {
    const { page } = await open();
    await page.locator("sae-probability-bars tbody button").first().click();
    await page.locator("sae-pushing-features tbody tr").first().waitFor();
    await page.locator("vscode-button", { hasText: "Generate with and without" }).click();
    await page.locator(".side.changed p", { hasText: "he was happy" }).waitFor();
    return page;
  });

  inEveryTheme("next-token-narrow", async () => {
    const { page } = await open(new StandInHost(), 300);
    await page.locator("sae-probability-bars tbody button").first().click();
    await page.locator("sae-pushing-features tbody tr").first().waitFor();
    await page.locator("vscode-button", { hasText: "Generate with and without" }).click();
    await page.locator(".side.changed p", { hasText: "he was happy" }).waitFor();
    const [inner, outer] = await page
      .locator("sae-next-token")
      .evaluate((panel) => [panel.scrollWidth, panel.clientWidth] as const);
    assert.ok(inner <= outer, `${inner} pixels of content in ${outer}`);
    return page;
  });

  inEveryTheme("next-token-error", async () => {
    const host = new StandInHost();
    host.fail = "/models/gone: no such file or folder";
    const { page } = await open(host);
    await page.locator(".error", { hasText: "/models/gone" }).waitFor();
    return page;
  });
  inEveryTheme("next-token-no-text", async () => {
    const { page, host } = await open();
    await page.locator("sae-probability-bars tbody tr").first().waitFor();
    notify(host.line!, nextTokenView, "cursor", {
      text: null,
      reason: "Put the cursor into a text.",
      title: "x",
      document: "",
    });
    await page.getByText("Put the cursor into a text.").waitFor();
    return page;
  });
});

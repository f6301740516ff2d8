// The feature browser's bundle in a real Chromium, its host a stand-in with 100,000 made-up features: list, search, keys, flags, detail, safety, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type MessageConnection, ResponseError } from "vscode-jsonrpc/node";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import {
  ANNOTATIONS_DAMAGED,
  ENSEMBLE_DELETED,
  type FeatureRow,
  featureBrowserHost,
  featureBrowserView,
  type ListQuery,
} from "../../src/protocol/featureBrowser.ts";
import { answer, notify } from "../../src/protocol/rpc.ts";
import { joinedTokens } from "../../webview/components/joinedTokens.ts";
import { eventually, inEveryTheme, openWebview, setTheme, viewState } from "./webviewPage.ts";

const width = 100_000;
const words = [
  " she",
  " her",
  " herself",
  " nurse",
  " nursing",
  " 1987",
  " the",
  "\n",
  " écrit",
  " rain",
  "<img src=x onerror=alert(1)>",
  " Monday",
  " wool",
  " goal",
];

const view = { bundle: "feature-browser", element: "sae-feature-browser", width: 1280, height: 800 };

/** What there is to see in these pictures is at the top. */
const low = { height: 460 };

/** A host that remembers what it was asked and what was flagged. */
class StandInHost {
  readonly flags = new Set<number>();
  readonly labels = new Map<number, string>();
  readonly queries: ListQuery[] = [];
  /** Features whose details were asked for, in order. */
  readonly details: number[] = [];
  /** Width, and first feature, of the index that it has. */
  index = { width, from: 0 };
  copied = "";
  undone = 0;
  failDetail = "";
  readonly sources = new Map<number, { model: string; detection: number | null; passages: number }>();
  canLabel = false;
  /** Its end of the line. */
  line: MessageConnection | undefined;
  neuronpedia: string | null = null;
  /** What it was asked to open, in order. */
  readonly opened: unknown[] = [];

  row(feature: number): FeatureRow {
    const token = (i: number) => ({
      text: words[(feature + 3 * i) % words.length]!,
      count: 40 - i,
      strength: 1 - 0.2 * i,
      share: 0.5 / (i + 1),
    });
    return {
      feature,
      member: feature % 4,
      index: Math.floor(feature / 4),
      label: this.labels.get(feature) ?? "",
      labelSource: this.sources.get(feature) ?? null,
      note: "",
      flagged: this.flags.has(feature),
      tokens: [0, 1, 2, 3].map(token),
      density: feature % 9 === 8 ? 0 : 0.05 / (1 + feature),
      max: 12 - (feature % 9),
      mean: 3,
      histogram: Array.from({ length: 16 }, (_, i) => Math.round(1000 * Math.exp(-i / 3))),
      foundIn: [0, 1, 2, 3].map((member) => member === feature % 4 || (feature + member) % 3 !== 0),
    };
  }

  /** The features of a query, in its order. */
  listed(query: ListQuery): number[] {
    if (query.flaggedOnly) return [...this.flags];
    if (query.text === "nothing") return [];
    return Array.from({ length: this.index.width }, (_, i) => this.index.from + i);
  }

  readonly handlers: Parameters<typeof answer<typeof featureBrowserHost>>[2] = {
    buildIndex: () => {
      this.opened.push("buildIndex");
      return {};
    },
    openSource: (question) => {
      this.opened.push(question);
      return {};
    },
    openNeuronpedia: ({ feature }) => {
      this.opened.push(`neuronpedia ${feature}`);
      return {};
    },
    labelWithModel: ({ features }) => {
      this.opened.push({ label: features });
      return {};
    },
    ready: () => ({
      title: "demo · bagging",
      ensembleFolder: "demo",
      indexTime: 0,
      method: "bagging",
      members: 4,
      width: this.index.width,
      hook: "blocks.2.hook_resid_post",
      corpusTokens: 200_000,
      canTryText: true,
      canLabel: this.canLabel,
      open: null,
    }),
    page: ({ query, offset, limit }) => {
      this.queries.push(query);
      const all = this.listed(query);
      return { total: all.length, rows: all.slice(offset, offset + limit).map((feature) => this.row(feature)) };
    },
    place: ({ query, feature }) => {
      const place = this.listed(query).indexOf(feature);
      return { place: place < 0 ? null : place };
    },
    close: () => {
      this.opened.push("close");
      return {};
    },
    detail: ({ feature }) => {
      this.details.push(feature);
      if (this.failDetail) throw new Error(this.failDetail);
      return {
        row: this.row(feature),
        neuronpedia: this.neuronpedia,
        topLogits: [{ text: " she", value: 1.25 }],
        bottomLogits: [{ text: " he", value: -0.75 }],
        bands: [
          {
            name: "Top activations",
            from: 6,
            to: 12,
            sequences: [
              {
                document: 0,
                start: 5,
                end: 9,
                peak: 1,
                count: 3,
                tokens: [
                  { text: " Then", value: 0 },
                  { text: " she", value: 12 },
                  { text: " ran", value: 2 },
                ],
              },
            ],
          },
        ],
        neighbours: [
          { feature: 5, member: 1, index: 7, cosine: 0.91, label: "", tokens: [" her"] },
          { feature: 9, member: 1, index: 2, cosine: 0.28, label: "", tokens: [" his"] },
          { feature: 7, member: 3, index: 4, cosine: 0.31, label: "", tokens: [" him"] },
        ],
      };
    },
    annotate: ({ features, flagged, label }) => {
      for (const feature of features) {
        if (flagged === true) this.flags.add(feature);
        if (flagged === false) this.flags.delete(feature);
        if (label !== undefined) this.labels.set(feature, label);
      }
      return {};
    },
    undo: () => {
      this.undone++;
      return { undone: true };
    },
    tryText: ({ text }) => ({
      tokens: text.split(" ").map((word, i) => ({ text: ` ${word}`, features: [{ feature: i, value: 2 + i }] })),
      rows: text.split(" ").map((_, i) => this.row(i)),
    }),
    copy: ({ text }) => {
      this.copied = text;
      return {};
    },
  };
}

describe("feature browser", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  async function open(
    host = new StandInHost(),
    size: { width?: number; height?: number } = {},
    others: Partial<StandInHost["handlers"]> = {},
  ): Promise<{ page: Page; host: StandInHost; errors: string[] }> {
    const errors: string[] = [];
    const page = await openWebview(browser, {
      ...view,
      ...size,
      connect: (connection) => {
        host.line = connection;
        answer(connection, featureBrowserHost, { ...host.handlers, ...others });
      },
    });
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("dialog", (dialog) => {
      errors.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.locator(".row").nth(5).waitFor();
    await page.locator("sae-feature-detail h2").waitFor({ state: "attached" });
    return { page, host, errors };
  }
  const cursor = (page: Page) => page.locator(".row.cursor .id").textContent();

  test("shows the first rows, the count, and the first feature in full", async () => {
    const { page, errors } = await open();
    assert.equal((await page.locator(".count").textContent())?.trim(), "100,000 of 100,000");
    assert.equal(await page.locator("sae-feature-detail h2").textContent(), "0/0");
    await page.locator(".sequence").first().getByText("she").waitFor();
    await page.locator(".sequence").first().getByText("× 3").waitFor();
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("j, k and f move and flag; the flag shows in the list; Ctrl+Z asks the host to undo", async () => {
    const { page, host } = await open();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    assert.equal(await cursor(page), "1/0");
    await page.keyboard.press("f");
    await page.locator('.row.cursor .flag[aria-pressed="true"]').waitFor();
    await eventually(() => assert.deepEqual([...host.flags], [1]));
    await page.keyboard.press("Control+z");
    await eventually(() => assert.equal(host.undone, 1));
    await page.close();
  });

  test("f and at once j: what was asked for last stays open when the answers about the flag come, and f flags it", async () => {
    const host = new StandInHost();
    const { page: rows } = host.handlers;
    let held = Promise.resolve();
    const { page } = await open(
      host,
      {},
      {
        page: async (params, signal) => {
          const waited = held;
          await waited;
          return rows(params, signal);
        },
      },
    );
    const release = Promise.withResolvers<void>();
    held = release.promise;
    await page.keyboard.press("f");
    await eventually(() => assert.deepEqual([...host.flags], [0]));
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "1/0", exact: true }).waitFor();
    const before = host.details.length;
    release.resolve();
    await eventually(() => assert.ok(host.details.length > before));
    assert.deepEqual(host.details.slice(before), [1]);
    await page.keyboard.press("f");
    await eventually(() => assert.deepEqual([...host.flags].sort(), [0, 1]));
    await page.close();
  });

  test("what is kept for a reload names the ensemble from the first answer on: the panel is restored by it", async () => {
    const host = new StandInHost();
    const never = new Promise<never>(() => {});
    const page = await openWebview(browser, {
      ...view,
      state: { query: { text: "she" }, feature: 7, detailOpen: true },
      connect: (connection) => answer(connection, featureBrowserHost, { ...host.handlers, detail: () => never }),
    });
    await page.locator(".row").nth(5).waitFor();
    const kept = (await viewState(page)) as { ensemble?: string; feature: number; query: ListQuery };
    assert.deepEqual([kept.ensemble, kept.feature, kept.query.text], ["demo", 7, "she"]);
    await page.close();
  });

  test("a half-typed pattern that was kept for a reload is said beside the search, which is there to mend it", async () => {
    const host = new StandInHost();
    const page = await openWebview(browser, {
      ...view,
      state: { query: { text: "/(" }, feature: 7, detailOpen: true },
      connect: (connection) => answer(connection, featureBrowserHost, host.handlers),
    });
    const said = page.getByRole("alert").getByText("/(: not a regular expression: unterminated group");
    await said.waitFor();
    assert.equal((await page.locator(".count").textContent())?.trim(), "– of 100,000");
    assert.equal(await page.getByRole("button", { name: /Build Feature Index|Try Again/ }).count(), 0);
    assert.deepEqual(host.queries, []);
    await page.getByRole("searchbox").fill("/(a)/");
    await page.locator(".row").nth(5).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await page.getByRole("searchbox").fill("/(a)/[");
    await page.getByText("not a regular expression: unterminated character class").waitFor();
    assert.equal((await page.locator(".count").textContent())?.trim(), "– of 100,000");
    await page.close();
  });

  test("an index that was built anew is shown from its first row on: no old row opens a feature of the new one", async () => {
    const host = new StandInHost();
    const { page } = await open(host);
    await page.locator("#row-5").click();
    await page.getByRole("heading", { name: "1/1", exact: true }).waitFor();
    host.index = { width: 1000, from: 40 };
    host.details.length = 0;
    notify(host.line!, featureBrowserView, "indexChanged", {});
    await page.getByRole("heading", { name: "0/10", exact: true }).waitFor();
    assert.equal((await page.locator(".count").textContent())?.trim(), "1,000 of 1,000");
    assert.deepEqual(host.details, [40]);
    assert.equal(await cursor(page), "0/10");
    await page.close();
  });

  test("a change that could not be made is said, also after the rows have been read again; the next feature is without it", async () => {
    const host = new StandInHost();
    const full = "annotations.json: no space left on device";
    const { page } = await open(
      host,
      {},
      {
        annotate: () => {
          throw new Error(full);
        },
        undo: () => {
          throw new Error("there is nobody to undo it");
        },
        copy: () => {
          throw new Error("no clipboard");
        },
      },
    );
    const said = page.getByRole("alert");
    const before = host.details.length;
    await page.keyboard.press("f");
    await eventually(() => assert.ok(host.details.length > before));
    await said.getByText(full).waitFor();
    await page.keyboard.press("Control+z");
    await said.getByText("there is nobody to undo it").waitFor();
    await page.getByRole("button", { name: "Copy" }).click();
    await said.getByText("no clipboard").waitFor();
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "1/0", exact: true }).waitFor();
    await said.waitFor({ state: "hidden" });
    await page.close();
  });

  test("a search for tokens says that its rows are ranked by relevance, and other searches that they are not", async () => {
    const { page } = await open();
    const order = page.locator('sae-filter-bar vscode-single-select[label="Sort by"] .select-face .text');
    await order.getByText("clearest first").waitFor();
    for (const [typed, shown] of [
      ["she", "most relevant first"],
      ['"she ran', "clearest first"],
      ["/sh.*/", "most relevant first"],
      ["label:women", "clearest first"],
    ] as const) {
      await page.locator("sae-filter-bar input").first().fill(typed);
      await order.getByText(shown).waitFor();
    }
    await page.close();
  });

  test("after a search f turns the flag of what the detail shows, not of the first row", async () => {
    const { page, host } = await open();
    await page.locator("#row-5").click();
    await page.keyboard.press("f");
    await page.locator('#row-5 .flag[aria-pressed="true"]').waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("nothing");
    await page.getByText("Nothing matches among 100,000 features.").waitFor();
    await page.locator("sae-feature-detail h2").click();
    await page.keyboard.press("f");
    await eventually(() => assert.equal(host.flags.size, 0));
    await page.close();
  });

  test("a range of rows is flagged together", async () => {
    const { page, host } = await open();
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("f");
    await page.locator('.flag[aria-pressed="true"]').nth(2).waitFor();
    await eventually(() => assert.deepEqual([...host.flags].sort(), [0, 1, 2]));
    await page.close();
  });

  test("a range over rows that were never loaded is flagged whole", async () => {
    const { page, host } = await open();
    await page.locator("#row-0").click();
    await page.locator("sae-feature-list .scroller").evaluate((list) => {
      list.scrollTop = 750 * 30;
    });
    await page.locator("#row-755:not(.waiting)").click({ modifiers: ["Shift"] });
    await page.keyboard.press("f");
    await page.locator('#row-755 .flag[aria-pressed="true"]').waitFor();
    await eventually(() => assert.equal(host.flags.size, 756));
    await page.close();
  });

  test("flags that change while the first rows are on their way leave the list whole", async () => {
    const host = new StandInHost();
    const first = Promise.withResolvers<void>();
    let asked = 0;
    let line: MessageConnection | undefined;
    const page = await openWebview(browser, {
      ...view,
      connect: (connection) => {
        line = connection;
        answer(connection, featureBrowserHost, {
          ...host.handlers,
          page: async (params, signal) => {
            if (asked++ === 0) await first.promise;
            return host.handlers.page(params, signal);
          },
        });
      },
    });
    await eventually(() => assert.equal(asked, 1));
    notify(line!, featureBrowserView, "annotationsChanged", {});
    await eventually(() => assert.equal(asked, 2));
    first.resolve();
    await page.locator(".row .id").nth(5).waitFor();
    assert.equal((await page.locator(".count").textContent())?.trim(), "100,000 of 100,000");
    await page.close();
  });

  test("End goes to the last of 100,000 rows", async () => {
    const { page } = await open();
    await page.keyboard.press("End");
    await page.locator(`#row-${width - 1}`).waitFor();
    await page.close();
  });

  test("typing in the search box asks the host and is no shortcut; x clears", async () => {
    const { page, host } = await open();
    await page.keyboard.press("/");
    await page.keyboard.type("nothing");
    await page.getByText("Nothing matches among 100,000 features.").waitFor();
    assert.equal(host.flags.size, 0);
    assert.equal(host.queries.at(-1)?.text, "nothing");
    // A word that the tokenizer splits is no token, and stands in the texts all the same.
    await page.getByRole("button", { name: 'Search for "nothing" in the texts where features fire' }).click();
    await page.locator(".row").nth(5).waitFor();
    assert.equal(host.queries.at(-1)?.text, '"nothing"');
    assert.equal(await page.locator("sae-filter-bar input").first().inputValue(), '"nothing"');
    await page.locator("sae-filter-bar input").first().fill("nothing");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /Clear search/ }).click();
    await page.locator(".row").nth(5).waitFor();
    await eventually(() => assert.equal(host.queries.at(-1)?.text, ""));
    await page.close();
  });

  test("Enter takes a label and gives the keys back to the list; another feature is read from its top", async () => {
    const { page, host } = await open();
    await page.keyboard.press("l");
    await page.keyboard.type("pronouns");
    await page.keyboard.press("Enter");
    await page.locator(".row .label:visible", { hasText: "pronouns" }).first().waitFor();
    await page.locator("sae-feature-detail").evaluate((detail) => {
      detail.style.height = "200px";
      detail.scrollTop = 120;
    });
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "1/0", exact: true }).waitFor();
    await eventually(() => assert.equal(host.labels.get(0), "pronouns"));
    await page.waitForFunction(() => {
      const root = document.querySelector("sae-feature-browser")?.shadowRoot;
      return root?.querySelector("sae-feature-detail")?.scrollTop === 0;
    });
    await page.close();
  });

  test("undo is not the page's as well: a key that VS Code hears would empty the field typed in last", async () => {
    const { page, host } = await open();
    await page.evaluate(() => {
      window.addEventListener("keydown", (event) => {
        if (event.key === "z") document.body.dataset["heard"] = "yes";
      });
    });
    await page.keyboard.press("f");
    await page.locator('.row .flag[aria-pressed="true"]').first().waitFor();
    await page.keyboard.press("Control+z");
    await eventually(() => assert.equal(host.undone, 1));
    assert.equal(await page.locator("body").getAttribute("data-heard"), null);
    await page.close();
  });

  test("filters that are set are cleared by one click, the order stays", async () => {
    const { page, host } = await open();
    const clear = page.getByRole("button", { name: "Clear", exact: true });
    assert.equal(await clear.isVisible(), false);
    await page.getByRole("button", { name: "Descending; reverse the order" }).click();
    await page.getByRole("button", { name: "⚑ flagged" }).click();
    await clear.click();
    await clear.waitFor({ state: "hidden" });
    await eventually(() => {
      assert.deepEqual([host.queries.at(-1)?.flaggedOnly, host.queries.at(-1)?.descending], [false, false]);
    });
    await page.close();
  });

  test("a label is written where it is typed", async () => {
    const { page, host } = await open();
    await page.keyboard.press("l");
    await page.keyboard.type("female pronouns");
    await page.keyboard.press("Tab");
    await page.locator(".row .label:visible", { hasText: "female pronouns" }).first().waitFor();
    await eventually(() => assert.equal(host.labels.get(0), "female pronouns"));
    await page.close();
  });

  test("token text is data: markup in a token is shown, never run", async () => {
    const { page, errors } = await open();
    await page.keyboard.press("End");
    await page.locator(`#row-${width - 1}`).waitFor();
    await page.getByText("<img␣src=x␣onerror=alert(1)>").first().waitFor();
    assert.equal(await page.locator(".token img").count(), 0);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("an error of the host is said where it happened", async () => {
    const host = new StandInHost();
    const { page } = await open(host);
    host.failDetail = "index.sqlite: found damage, expected an index";
    await page.keyboard.press("j");
    await page.getByRole("alert").getByText("found damage").waitFor();
    await page.close();
  });

  test("try text shows which features fire on which token", async () => {
    const { page } = await open();
    await page.getByRole("button", { name: "Try text" }).click();
    await page.locator("sae-try-text textarea").fill("she ran home");
    await page.locator("sae-try-text vscode-button").click();
    await page.locator("sae-try-text .text button").nth(2).click();
    await page.locator("sae-try-text li").getByText("2/0").waitFor();
    await page.close();
  });

  test("what is typed once Try text is open is its text, and no shortcut of the list", async () => {
    const { page, host } = await open();
    await page.getByRole("button", { name: "Try text" }).click();
    await page.waitForFunction(() => {
      const root = document.querySelector("sae-feature-browser")?.shadowRoot;
      return root?.activeElement?.localName === "sae-try-text";
    });
    await page.keyboard.type("f n x");
    assert.equal(await page.locator("sae-try-text textarea").inputValue(), "f n x");
    assert.equal(host.flags.size, 0);
    await page.close();
  });

  test("a note has lines: Enter begins one, Ctrl+Enter or Escape leaves it, and its end is trimmed", async () => {
    const host = new StandInHost();
    const notes: (string | undefined)[] = [];
    const { annotate } = host.handlers;
    const { page } = await open(
      host,
      {},
      {
        annotate: (params, signal) => {
          if ("note" in params) notes.push(params.note);
          return annotate(params, signal);
        },
      },
    );
    await page.keyboard.press("n");
    await page.keyboard.type("first\nsecond\n ");
    await page.keyboard.press("Control+Enter");
    await eventually(() => assert.deepEqual(notes, ["first\nsecond"]));
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "1/0", exact: true }).waitFor();
    await page.keyboard.press("n");
    await page.keyboard.type("third\n");
    await page.keyboard.press("Escape");
    await eventually(() => assert.deepEqual(notes, ["first\nsecond", "third"]));
    await page.close();
  });

  test("j and at once n or l: the field is that of the feature on its way, with what is typed meanwhile, which is no shortcut", async () => {
    const host = new StandInHost();
    const edits: unknown[] = [];
    const { annotate, detail } = host.handlers;
    let held = Promise.resolve();
    const { page } = await open(
      host,
      {},
      {
        annotate: (params, signal) => {
          edits.push(params);
          return annotate(params, signal);
        },
        detail: async (params, signal) => {
          const waited = held;
          const answered = await detail(params, signal);
          await waited;
          return answered;
        },
      },
    );
    const focused = (id: string) =>
      page.waitForFunction((id) => {
        const shown = document.querySelector("sae-feature-browser")?.shadowRoot?.querySelector("sae-feature-detail");
        return shown?.shadowRoot?.activeElement?.id === id;
      }, id);
    for (const [feature, key, id, early, kept] of [
      [1, "n", "note", "f x\nnot", "f x\nnote"],
      [2, "l", "label", "jj /f", "jj /fe"],
    ] as const) {
      const release = Promise.withResolvers<void>();
      held = release.promise;
      await page.keyboard.press("j");
      await eventually(() => assert.equal(host.details.at(-1), feature));
      await page.keyboard.press(key);
      await page.keyboard.type(early);
      release.resolve();
      await page.getByRole("heading", { name: `${feature}/0`, exact: true }).waitFor();
      await focused(id);
      await page.keyboard.type("e");
      await page.keyboard.press("Escape");
      await eventually(() => assert.deepEqual(edits, [{ features: [feature], [id]: kept }]));
      edits.length = 0;
    }
    // Escape takes the wish back.
    const release = Promise.withResolvers<void>();
    held = release.promise;
    await page.keyboard.press("j");
    await eventually(() => assert.equal(host.details.at(-1), 3));
    await page.keyboard.press("n");
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    await eventually(() => assert.deepEqual([...host.flags], [3]));
    release.resolve();
    await page.getByRole("heading", { name: "3/0", exact: true }).waitFor();
    await page.keyboard.press("f");
    await eventually(() => assert.equal(host.flags.size, 0));
    await page.close();
  });

  test("narrow: n opens the detail that the note is in", async () => {
    const { page } = await open(new StandInHost(), { width: 320 });
    await page.keyboard.press("n");
    await page.keyboard.type("seen");
    const note = page.locator("sae-feature-detail textarea");
    assert.equal(await note.inputValue(), "seen");
    assert.equal(await note.isVisible(), true);
    await page.close();
  });

  test("high contrast: what a feature lowers is underlined otherwise than what it raises, and no flag is faint", async () => {
    const { page } = await open();
    await setTheme(page, "high-contrast");
    const line = (side: string) =>
      page
        .locator(`.${side} .token`)
        .first()
        .evaluate((token) => getComputedStyle(token).borderBottomStyle);
    assert.deepEqual([await line("raised"), await line("lowered")], ["solid", "dashed"]);
    const flag = page.locator("#row-3 .flag");
    assert.equal(await flag.evaluate((sign) => getComputedStyle(sign).opacity), "1");
    await page.close();
  });

  test("a character of several tokens is shown as itself, with what fires on any of them", async () => {
    const host = new StandInHost();
    const fired = (text: string, ...features: [feature: number, value: number][]) => ({
      text,
      features: features.map(([feature, value]) => ({ feature, value })),
    });
    const tokens = [fired(" book"), fired(" ⟨F0⟩⟨9F⟩", [0, 1]), fired("⟨98⟩", [0, 3], [1, 2]), fired("⟨80⟩")];
    const { page } = await open(host, {}, { tryText: () => ({ tokens, rows: [host.row(0), host.row(1)] }) });
    await page.getByRole("button", { name: "Try text" }).click();
    await page.locator("sae-try-text textarea").fill(" book 😀");
    await page.locator("sae-try-text vscode-button").click();
    const shown = page.locator("sae-try-text .text button");
    await shown.nth(1).click();
    assert.deepEqual(await shown.allTextContents(), [" book", " 😀"]);
    assert.deepEqual(await page.locator("sae-try-text .value").allTextContents(), ["3.00", "2.00"]);
    assert.equal(
      await shown.nth(1).locator(".token").getAttribute("title"),
      [
        '" 😀"  3.00  position 2–4',
        "3 tokens, tinted by the strongest:",
        '" ⟨F0⟩⟨9F⟩"  1.00',
        '"⟨98⟩"  3.00',
        '"⟨80⟩"  0',
      ].join("\n"),
    );
    await page.close();
  });

  test("what stands together is what makes characters, and nothing else", () => {
    const joined = (...texts: string[]) => joinedTokens(texts.map((text) => ({ text }))).map(({ text }) => text);
    assert.deepEqual(joined("na", "⟨C3⟩", "⟨AF⟩ve"), ["na", "ïve"]);
    // One token ends a character and begins the next.
    assert.deepEqual(joined("⟨E4⟩⟨BD⟩", "⟨A0⟩⟨E5⟩", "⟨A5⟩⟨BD⟩", "!"), ["你好", "!"]);
    for (const apart of [
      ["⟨98⟩", "⟨80⟩", " she"],
      ["⟨F0⟩⟨9F⟩", "⟨98⟩"],
      ["⟨F0⟩", "⟨41⟩"],
      ["⟩", "⟨", "she", "⟩"],
      ["⟨C3⟩", "she"],
    ])
      assert.deepEqual(joined(...apart), apart);
    assert.deepEqual(joined("⟨80⟩", "⟨C3⟩", "⟨AF⟩"), ["⟨80⟩", "ï"]);
  });

  test("a feature that is asked for from elsewhere is the list's as well, however far down; f flags it", async () => {
    const { page, host } = await open();
    notify(host.line!, featureBrowserView, "show", { feature: 50_002 });
    await page.getByRole("heading", { name: "2/12500", exact: true }).waitFor();
    await page.locator('#row-50002.cursor[aria-selected="true"]').waitFor();
    await page.keyboard.press("f");
    await eventually(() => assert.deepEqual([...host.flags], [50_002]));
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "3/12500", exact: true }).waitFor();
    await page.close();
  });

  test("where the filter leaves out what is asked for, no row is outlined, and the keys start at the first", async () => {
    const host = new StandInHost();
    host.flags.add(3).add(6);
    const { page } = await open(host);
    await page.getByRole("button", { name: "⚑ flagged" }).click();
    await page.getByText("2 of 100,000").waitFor();
    assert.equal(await page.locator(".row.cursor").count(), 0);
    await page.keyboard.press("j");
    await page.locator("#row-0.cursor").waitFor();
    notify(host.line!, featureBrowserView, "show", { feature: 8 });
    await page.getByRole("heading", { name: "0/2", exact: true }).waitFor();
    await page.locator(".row.cursor").waitFor({ state: "detached" });
    assert.equal(await page.locator('.row[aria-selected="true"]').count(), 0);
    await page.getByRole("heading", { name: "0/2", exact: true }).click();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "3/0", exact: true }).waitFor();
    await page.close();
  });

  test("the nearest features stand by member, each with whether the feature was found there", async () => {
    const { page } = await open();
    const near = page.locator("sae-feature-detail .near");
    assert.deepEqual(await near.locator(".band").allTextContents(), ["in member 1 · found", "in member 3 · not found"]);
    assert.match((await near.innerText()).replaceAll(/\s+/g, " "), /0\.910 1\/7 .*0\.280 1\/2 .*0\.310 3\/4/);
    await page.getByText("dotted: bands below").waitFor();
    await page.close();
  });

  test("the filter bar is as high as before, whatever is typed and chosen", async () => {
    for (const width of [900, 1040, 1400]) {
      const { page } = await open(new StandInHost(), { width });
      const bar = page.locator("sae-filter-bar");
      const before = await bar.boundingBox();
      const sorts = bar.locator('vscode-single-select[label="Sort by"]');
      const left = (await sorts.boundingBox())?.x;
      await bar.locator("input").first().fill("she");
      await sorts.locator(".select-face .text").getByText("most relevant first").waitFor();
      assert.equal((await sorts.boundingBox())?.x, left);
      for (const [label, option] of [
        ["State", "alive and dead"],
        ["Member", "member 3"],
        ["Found in at least", "found in ≥ 4"],
        ["Density", "≥ 1% of tokens"],
      ] as const) {
        await bar.locator(`vscode-single-select[label="${label}"]`).click();
        await bar.locator(`vscode-single-select[label="${label}"]`).getByRole("option", { name: option }).click();
      }
      await bar.getByRole("button", { name: "⚑ flagged" }).click();
      await bar.getByRole("button", { name: "Clear", exact: true }).waitFor();
      assert.deepEqual(await bar.boundingBox(), before);
      assert.ok(await bar.evaluate((element) => element.scrollWidth <= element.clientWidth));
      await page.close();
    }
  });

  test("copies a feature as Markdown", async () => {
    const { page, host } = await open();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.match(host.copied, /^### Feature 0\/0\n/);
    assert.match(host.copied, /^- Then \*\*she\*\* ran \(× 3\)$/m);
    await page.getByRole("button", { name: "Copy", exact: true }).waitFor();
    await page.close();
  });

  test("of a long sequence what stands around the peak is copied", async () => {
    const host = new StandInHost();
    const { detail } = host.handlers;
    const tokens = Array.from({ length: 128 }, (_, i) => ({ text: ` w${i}`, value: i === 60 ? 12 : 0 }));
    const { page } = await open(
      host,
      {},
      {
        detail: async (params, signal) => {
          const one = await detail(params, signal);
          return {
            ...one,
            bands: [{ ...one.bands[0]!, sequences: [{ ...one.bands[0]!.sequences[0]!, tokens, peak: 60 }] }],
          };
        },
      },
    );
    await page.getByRole("button", { name: "Copy" }).click();
    await eventually(() => assert.match(host.copied, /^- … w40 w41 .* w59 \*\*w60\*\* w61 .* w68 … \(× 3\)$/m));
    await page.close();
  });

  test("narrow: the list alone; Enter opens the detail below it, Escape goes back", async () => {
    const { page } = await open(new StandInHost(), { width: 520 });
    assert.equal(await page.locator("sae-feature-detail").isVisible(), false);
    await page.keyboard.press("Enter");
    await page.locator("sae-feature-detail h2").waitFor({ state: "visible" });
    const list = (await page.locator("sae-feature-list").boundingBox())!;
    const detail = (await page.locator("sae-feature-detail").boundingBox())!;
    assert.ok(list.height > 150 && list.y + list.height <= detail.y);
    await page.keyboard.press("j");
    await page.getByRole("heading", { name: "1/0", exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("sae-feature-detail").waitFor({ state: "hidden" });
    await page.close();
  });

  test("narrow and low: the list alone; Enter opens the detail over it, Escape goes back", async () => {
    const host = new StandInHost();
    const page = await openWebview(browser, {
      ...view,
      width: 520,
      height: 460,
      connect: (connection) => answer(connection, featureBrowserHost, host.handlers),
    });
    await page.locator(".row").nth(3).waitFor();
    assert.equal(await page.locator("sae-feature-detail").isVisible(), false);
    await page.keyboard.press("Enter");
    await page.locator("sae-feature-detail h2").waitFor({ state: "visible" });
    assert.equal(await page.locator("sae-feature-list").isVisible(), false);
    await page.keyboard.press("Escape");
    await page.locator("sae-feature-list").waitFor({ state: "visible" });
    await page.close();
  });

  /** A page whose host fails until it is mended. */
  async function openDamaged(error: Error) {
    const host = new StandInHost();
    let damaged = true;
    const { ready } = host.handlers;
    const page = await openWebview(browser, {
      ...view,
      connect: (connection) =>
        answer(connection, featureBrowserHost, {
          ...host.handlers,
          ready: (params, signal) => {
            if (damaged) throw error;
            return ready(params, signal);
          },
        }),
    });
    const mend = (): void => {
      damaged = false;
    };
    return { page, host, mend };
  }

  test("a damaged index says so, can be built anew, and opens when it has been", async () => {
    const { page, host, mend } = await openDamaged(
      new Error("index.sqlite: found damage, expected an undamaged index; build it again"),
    );
    assert.match(await page.getByRole("alert").innerText(), /build it again/);
    await page.getByRole("button", { name: "Build Feature Index" }).click();
    mend();
    await page.getByRole("button", { name: "Try Again" }).click();
    await page.locator(".row").nth(5).waitFor();
    await eventually(() => assert.deepEqual(host.opened, ["buildIndex"]));
    await page.close();
  });

  test("what was deleted while it was open says so, and can be closed; nothing is there to build", async () => {
    const host = new StandInHost();
    let deleted = false;
    const { page } = await open(
      host,
      {},
      {
        ready: (params, signal) => {
          if (deleted) throw new ResponseError(ENSEMBLE_DELETED, "This run was deleted.");
          return host.handlers.ready(params, signal);
        },
      },
    );
    deleted = true;
    notify(host.line!, featureBrowserView, "indexChanged", {});
    await page.getByText("This run was deleted.").waitFor();
    assert.deepEqual(await page.getByRole("button").allTextContents(), ["Close"]);
    await page.getByRole("button", { name: "Close" }).click();
    await eventually(() => assert.deepEqual(host.opened, ["close"]));
    await page.close();
  });

  test("damaged flags and labels say so, and no index is offered that would not mend them", async () => {
    const { page, mend } = await openDamaged(
      new ResponseError(ANNOTATIONS_DAMAGED, "annotations.json: found <<<<<<<, expected JSON"),
    );
    assert.match(await page.getByRole("alert").innerText(), /annotations\.json: found <<<<<<</);
    assert.equal(await page.getByRole("button", { name: "Build Feature Index" }).count(), 0);
    mend();
    await page.getByRole("button", { name: "Try Again" }).click();
    await page.locator(".row").nth(5).waitFor();
    await page.close();
  });

  test("features are filtered by density", async () => {
    const { page, host } = await open();
    const select = page.locator('sae-filter-bar vscode-single-select[label="Density"]');
    await select.click();
    await select.getByRole("option", { name: "0.1% – 1%" }).click();
    await eventually(() => assert.deepEqual(host.queries.at(-1)?.density, [0.001, 0.01]));
    await page.close();
  });

  test("a sequence opens its source text, a published feature its page, a selection the label's question", async () => {
    const host = new StandInHost();
    host.canLabel = true;
    host.neuronpedia = "https://www.neuronpedia.org/gpt2-small/0-res-jb/0";
    host.labels.set(0, "women");
    host.sources.set(0, { model: "Stand-in model", detection: 0.5, passages: 16 });
    const { page, errors } = await open(host);
    await page.locator(".row").first().click();
    const place = { document: 0, start: 5, end: 9, token: " she" };
    await page.getByRole("button", { name: "Open the source text" }).click();
    await page.locator("sae-feature-detail .sequence").click();
    await page.getByRole("button", { name: "Neuronpedia" }).click();
    await page.getByRole("button", { name: "Label with model" }).click();
    await page
      .locator(".row")
      .nth(1)
      .click({ modifiers: ["Shift"] });
    await page.getByRole("button", { name: "Label with model" }).click();
    await eventually(() => {
      assert.deepEqual(host.opened, [place, place, "neuronpedia 0", { label: [0] }, { label: [0, 1] }]);
    });
    // A label that tells nothing looks like one.
    assert.match(
      await page.locator(".source.poor").innerText(),
      /Stand-in model · detection 0\.50 on 16 .*hardly better/,
    );
    assert.match((await page.locator(".token.peak").getAttribute("title"))!, /" she"\s+12\.0\s+position 2/);
    assert.deepEqual(errors, []);
    await page.close();
  });

  inEveryTheme("feature-browser", async () => {
    const host = new StandInHost();
    host.flags.add(2).add(4);
    host.labels.set(2, "a label");
    const { page } = await open(host);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.locator("sae-feature-detail h2", { hasText: "2/0" }).waitFor();
    return page;
  });

  inEveryTheme("feature-browser-narrow", async () => {
    const { page } = await open(new StandInHost(), { width: 520, height: 460 });
    return page;
  });

  inEveryTheme("feature-browser-narrow-detail", async () => {
    const { page } = await open(new StandInHost(), { width: 520 });
    await page.keyboard.press("Enter");
    await page.locator("sae-feature-detail h2").waitFor({ state: "visible" });
    return page;
  });

  inEveryTheme("feature-browser-several", async () => {
    const { page } = await open(new StandInHost(), low);
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Shift+ArrowDown");
    await page.locator('.row[aria-selected="true"]').nth(2).waitFor();
    return page;
  });

  inEveryTheme("feature-browser-no-match", async () => {
    const { page } = await open(new StandInHost(), low);
    await page.keyboard.press("/");
    await page.keyboard.type("nothing");
    await page.getByText("Nothing matches among 100,000 features.").waitFor();
    return page;
  });

  inEveryTheme("feature-browser-try-text", async () => {
    const { page } = await open(new StandInHost(), low);
    await page.getByRole("button", { name: "Try text" }).click();
    await page.locator("sae-try-text textarea").fill("she ran home");
    await page.locator("sae-try-text vscode-button").click();
    await page.locator("sae-try-text li").first().waitFor();
    return page;
  });

  inEveryTheme("feature-browser-two-lines", async () => {
    const { page } = await open(new StandInHost(), { ...low, width: 900 });
    await page.locator("sae-filter-bar input").first().fill("she");
    await page.getByRole("button", { name: "Clear", exact: true }).waitFor();
    return page;
  });

  inEveryTheme("feature-browser-deleted", async () => {
    const { page } = await openDamaged(new ResponseError(ENSEMBLE_DELETED, "This run was deleted."));
    await page.getByRole("button", { name: "Close" }).waitFor();
    return page;
  });

  inEveryTheme("feature-browser-keys", async () => {
    const { page } = await open(new StandInHost(), low);
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    return page;
  });

  inEveryTheme("feature-browser-error", async () => {
    const host = new StandInHost();
    const { page } = await open(host, low);
    host.failDetail = "index.sqlite: found damage, expected an index";
    await page.keyboard.press("j");
    await page.getByRole("alert").getByText("found damage").waitFor();
    return page;
  });

  inEveryTheme("feature-browser-damaged", async () => {
    const page = await openWebview(browser, {
      ...view,
      connect: (connection) =>
        answer(connection, featureBrowserHost, {
          ...new StandInHost().handlers,
          ready: () => {
            throw new Error("runs/demo/ensembles/bagging/index.sqlite: found a damaged file, expected a feature index");
          },
        }),
    });
    await page.getByRole("alert").waitFor();
    return page;
  });

  inEveryTheme("feature-browser-opening", async () => {
    const page = await openWebview(browser, {
      ...view,
      connect: (connection) =>
        answer(connection, featureBrowserHost, { ...new StandInHost().handlers, ready: () => new Promise(() => {}) }),
    });
    await page.getByText("Opening the feature index").waitFor();
    return page;
  });
});

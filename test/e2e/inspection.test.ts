// Debugging a model in the editor, in a real VS Code with the packaged VSIX: open a text → inspect → hover → tint by a feature → ablate it → read the changed next token → switch it off → generate → undo.
import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Frame, Page } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser, themes, Workbench } from "../../scripts/workbench.ts";
import { hues } from "../../src/extension/editor/palette.ts";
import { runTiny, writeTinyExperiment } from "../tinyRun.ts";

const root = join(import.meta.dirname, "..", "..");
const minutes = 60_000;

const story = `She was a nurse in a small village. 🌧️ Her mother said that she was happy.
He was a doctor, and his brother was a soldier. Élan.
`;

/** How the styles begin that tint by the strongest feature, or by the first one that is pinned. */
const tintOf = (theme: "dark" | "light") => `rgba(${hues[0]![theme].join(", ")}`;

/** What the workbench calls the kinds of colour theme. */
const workbenchClass = {
  dark: "vs-dark",
  light: "vs",
  "high-contrast": "hc-black",
  "high-contrast-light": "hc-light",
} as const;

const notebook = {
  cells: [{ cell_type: "markdown", metadata: {}, source: ["She was a nurse."] }],
  metadata: { language_info: { name: "python" } },
  nbformat: 4,
  nbformat_minor: 5,
};

describe("debugging a model in the editor", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 15 * minutes,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-e2e-"));
  const workspace = join(state, "workspace");
  let server: RunningVsCode;
  let browser: Browser;
  let workbench: Workbench;
  let page: Page;

  before(async () => {
    await prepareRealVsCode();
    writeTinyExperiment(workspace, {
      training_tokens: 40_000,
      ensembles: { methods: ["bagging"], n_members: 2 },
      index: { methods: ["bagging"], tokens: 20_000 },
    });
    writeFileSync(join(workspace, "story.txt"), story);
    writeFileSync(
      join(workspace, "rows.jsonl"),
      '{"id": 7, "text": "She was a \\u201cnurse\\u201d."}\n{"id": 8, "text": "He was a doctor."}\n',
    );
    writeFileSync(join(workspace, "twin.txt"), story.replace("She", "He").replace("Her", "His").replace("she", "he"));
    writeFileSync(join(workspace, "runes.txt"), "ᚠᚢᚦᚨᚱᚲ ᚷᚹᚺᚾᛁᛃ ᛇᛈᛉᛊᛏᛒ ᛖᛗᛚᛜᛞᛟ\n".repeat(8));
    writeFileSync(join(workspace, "cells.ipynb"), JSON.stringify(notebook));
    server = await startVsCode({ vsix: packagedVsix(), state });
    browser = await launchBrowser();
    workbench = await Workbench.open(browser, server.url, workspace);
    page = workbench.page;
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  const picture = (name: string) => page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });
  /** Backgrounds of the editor's decorated pieces: how many there are of each colour. */
  const tints = () =>
    page.evaluate((tint) => {
      const counts: Record<string, number> = {};
      for (const piece of document.querySelectorAll(".editor-instance .cdr")) {
        const { backgroundColor } = getComputedStyle(piece);
        if (backgroundColor.startsWith(tint)) counts[backgroundColor] = (counts[backgroundColor] ?? 0) + 1;
      }
      return counts;
    }, tintOf("dark"));
  const word = (text: string) => page.locator(".editor-instance .view-line span span", { hasText: text }).first();

  /** Points at a word until the hover is there. */
  async function hover(text: string): Promise<void> {
    const card = page.locator(".monaco-hover:visible", { hasText: "rank" });
    for (;;) {
      await page.mouse.move(5, 5);
      // Nothing where the line is drawn anew at this moment.
      const part = await word(text).evaluate((span, wanted) => {
        const range = document.createRange();
        const node = span.firstChild!;
        const at = node.textContent!.indexOf(wanted);
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        return range.getBoundingClientRect().toJSON() as DOMRect;
      }, text);
      await page.mouse.move(part.x + part.width / 2, part.y + part.height / 2, { steps: 4 });
      const there = await card
        .first()
        .waitFor({ timeout: 5000 })
        .then(
          () => true,
          () => false,
        );
      if (there) return;
    }
  }

  const toast = (text: string) => page.locator(".notification-toast", { hasText: text });
  const dismiss = () => workbench.command("Notifications: Clear All Notifications");

  test("without an ensemble: one sentence, and a button that makes one", async () => {
    await workbench.openFile("story.txt");
    await word("nurse").waitFor();
    await workbench.command("SAE Ensembles: Inspect Text");
    await toast("There is no ensemble with a feature index").waitFor();
    await toast("There is no ensemble").locator(".monaco-button", { hasText: "Run the Demo" }).waitFor();
    await picture("inspect-no-ensemble-dark");
    await dismiss();
    runTiny(workspace);
    await workbench.showViews();
    await workbench.row("tiny · bagging").waitFor();
  });

  test("a text is inspected: tokens are tinted, the status bar says through what", async () => {
    await workbench.command("SAE Ensembles: Inspect Text");
    await workbench.statusBarItem(/tiny · bagging/).waitFor({ timeout: 2 * minutes });
    await page.waitForFunction(() => document.querySelectorAll(".editor-instance .cdr").length > 20);
    assert.ok(Object.keys(await tints()).length > 2, "several strengths");
    await picture("inspect-dark");
  });

  test("an edit is read again: the new words are tinted too", async () => {
    const before = Object.values(await tints()).reduce((sum, n) => sum + n, 0);
    await page.keyboard.press("Control+End");
    await page.keyboard.type("The nurse said that");
    await page.waitForFunction(
      ([least, tint]) =>
        [...document.querySelectorAll(".editor-instance .cdr")].filter((piece) =>
          getComputedStyle(piece).backgroundColor.startsWith(tint),
        ).length > least,
      [before, tintOf("dark")] as const,
    );
  });

  test("a hover names the features of a token, the token's id, probability and rank", async () => {
    await hover("doctor");
    const card = page.locator(".monaco-hover:visible", { hasText: "rank" }).first();
    const text = await card.innerText();
    assert.match(text, /[01]\/\d+/);
    assert.match(text, /flag · label · tint · pin · ablate · steer/);
    assert.match(text, /id \d+ · p .*rank [\d,]+/s);
    await picture("inspect-hover-dark");
  });

  test("tint by a feature: only where it fires", async () => {
    const all = Object.values(await tints()).reduce((sum, n) => sum + n, 0);
    await hover("doctor");
    await page.locator(".monaco-hover:visible a", { hasText: "tint" }).first().click();
    await workbench
      .statusBarItem(/[01]\/\d+ /)
      .first()
      .waitFor();
    await page.waitForFunction(
      ([most, tint]) => {
        const tinted = [...document.querySelectorAll(".editor-instance .cdr")].filter((piece) =>
          getComputedStyle(piece).backgroundColor.startsWith(tint),
        ).length;
        return tinted > 0 && tinted < most;
      },
      [all, tintOf("dark")] as const,
    );
    await picture("inspect-tint-dark");
  });

  const header = () => page.locator('.pane-header[aria-label^="Features Here"]');
  const pane = () => page.locator(".pane", { has: header() });
  async function showFeaturesHere(): Promise<void> {
    await workbench.showViews();
    await header().waitFor();
    if ((await header().getAttribute("aria-expanded")) === "false") await header().click();
  }

  test("Features Here lists what fires in the selection, by a ranking of one's choice; a click on a row tints by it", async () => {
    await showFeaturesHere();
    const message = (text: RegExp, within = {}) => pane().getByText(text).waitFor(within);
    await message(/features in what was read \(\d+ tokens\), by specificity/);
    // Two clicks that are too far apart select nothing.
    await workbench.insist("the word was never selected", async () => {
      await word("doctor").dblclick({ timeout: 4000 });
      await message(/features in the selection \(\d tokens\), by specificity/, { timeout: 8000 });
    });
    await workbench.command("SAE Ensembles: Rank Features Here By…");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "largest activation" }).click();
    await message(/features in the selection \(\d tokens\), by max/);
    const rows = pane().locator(".monaco-list-row");
    const values = (await rows.allInnerTexts()).map((text) => Number(/· ([\d.]+)\s*$/.exec(text)?.[1]));
    assert.ok(values.length > 1);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => b - a),
    );
    // The rows may be the list's before.
    await workbench.insist("no row's feature tinted", async () => {
      const name = /[01]\/\d+/.exec(await rows.nth(1).innerText({ timeout: 4000 }))![0];
      await rows.nth(1).click({ timeout: 4000 });
      await workbench.statusBarItem(name).waitFor({ timeout: 8000 });
    });
    await word("doctor").click();
    await page.keyboard.press("Control+End");
    await message(/features in what was read \(\d+ tokens\), by max/);
  });

  test("Features Here flags live, and pins features with colours of their own", async () => {
    await showFeaturesHere();
    await workbench.command("SAE Ensembles: Tint by Strongest Feature");
    const rows = pane();
    // The list is made anew when an answer comes, and a row's buttons with it: what was not taken is done again.
    const act = (place: number, button: string, done: () => Promise<boolean>) =>
      workbench.insist(
        `${button} was never taken`,
        async () => {
          if (await done()) return;
          const row = rows.locator(".monaco-list-row").nth(place);
          await row.hover();
          await row.locator(`.action-label[aria-label^="${button}"]`).click({ timeout: 2000 });
          await workbench.until(`${button} has done it`, done, 15_000);
        },
        80_000,
      );
    const flags = () => globSync("runs/tiny/ensembles/*/annotations.json", { cwd: workspace });
    await act(0, "Flag", async () => flags().length > 0);
    const [file] = flags();
    assert.match(readFileSync(join(workspace, file!), "utf8"), /"flagged":\s*true/);
    await rows.locator(".monaco-list-row .codicon-flag.custom-view-tree-node-item-icon").first().waitFor();
    // A second one beside it: each has a colour of its own, in the list as in the text.
    const dots = rows.locator(".codicon-circle-filled.custom-view-tree-node-item-icon");
    for (const place of [1, 2]) await act(place, "Pin", async () => (await dots.count()) >= place);
    await dots.nth(1).waitFor();
    const colors = await dots.evaluateAll((icons) => icons.map((icon) => getComputedStyle(icon).color));
    assert.equal(new Set(colors).size, colors.length);
    for (const theme of themes) {
      workbench.theme(theme);
      await page.locator(`.monaco-workbench.${workbenchClass[theme]}`).waitFor();
      await hover("doctor");
      await picture(`features-here-${theme}`);
    }
    // Strengths as figures, for print and for eyes that do not tell colours apart.
    await page.mouse.move(5, 5);
    await page.locator(".monaco-hover:visible").waitFor({ state: "detached" });
    for (const theme of ["light", "dark"] as const) {
      workbench.theme(theme, { "saeEnsembles.inspection.strengthMarks": true });
      await page.locator(`.monaco-workbench.${workbenchClass[theme]}`).waitFor();
      await page
        .locator(".editor-instance .view-line", { hasText: /[▁▂▃▄▅▆▇█]/ })
        .first()
        .waitFor();
      await picture(`inspect-marks-${theme}`);
    }
    workbench.theme("dark");
    await page.locator(".monaco-workbench.vs-dark").waitFor();
  });

  const panel = (): Promise<Frame> => workbench.webview("sae-next-token");
  const probabilities = async (frame: Frame) =>
    (await frame.locator("sae-probability-bars td.number").allInnerTexts()).join(" ");

  /** What is shown is of the list as it stands. */
  const settled = (frame: Frame) =>
    frame.waitForFunction(() => !document.querySelector("sae-next-token")?.shadowRoot?.querySelector(".stale"));

  /** Without the pointer: where it goes, a hover of the editor may open over the panel. */
  const toggle = (frame: Frame) =>
    frame
      .locator('sae-intervention-list input[type="checkbox"]')
      .first()
      .evaluate((box) => (box as HTMLInputElement).click());

  test("ablating a feature changes the next token; switching it off gives the original back", async () => {
    await hover("said");
    await page.locator(".monaco-hover:visible a", { hasText: "ablate" }).first().click();
    const frame = await panel();
    await frame
      .locator("sae-probability-bars td.number")
      .first()
      .waitFor({ timeout: 2 * minutes });
    await frame.getByText(/KL/).waitFor();
    const kl = Number(/KL ([\d.e−-]+)/.exec(await frame.locator(".summary").innerText())?.[1]);
    assert.ok(kl > 0, "the ablation changes the distribution");
    await picture("next-token-beside-dark");
    await toggle(frame);
    await frame.locator(".summary").waitFor({ state: "detached" });
    await settled(frame);
    const original = await probabilities(frame);
    await toggle(frame);
    await frame.locator(".summary").waitFor();
    await frame
      .locator('sae-intervention-list button[aria-label^="Remove"]')
      .first()
      .evaluate((button) => (button as HTMLButtonElement).click());
    await frame.locator(".summary").waitFor({ state: "detached" });
    await settled(frame);
    assert.equal(await probabilities(frame), original);
  });

  test("which features push a token, and 50 tokens with the flagged features ablated and without", async () => {
    const frame = await panel();
    await frame.locator("sae-probability-bars tbody button").first().click();
    await frame.locator("sae-pushing-features tbody tr").first().waitFor({ timeout: minutes });
    await frame.getByRole("button", { name: "Ablate the flagged ones" }).click();
    await frame.locator(".summary").waitFor();
    await frame.getByText("Generate with and without").click();
    await frame.waitForFunction(() => {
      const sides = document.querySelector("sae-next-token")?.shadowRoot?.querySelectorAll(".side") ?? [];
      return sides.length === 2 && [...sides].every((side) => (side.textContent ?? "").length > 20);
    });
    await frame.locator("vscode-button", { hasText: "Generate" }).waitFor({ timeout: minutes });
    workbench.theme("light");
    await frame.locator("body.vscode-light").waitFor();
    await picture("next-token-beside-light");
  });

  test("jsonl is read cell by cell: keys and numbers stay untinted", async () => {
    await workbench.openFile("rows.jsonl");
    await word("doctor").waitFor();
    await workbench.command("SAE Ensembles: Tint by Strongest Feature");
    await workbench.command("SAE Ensembles: Inspect Text");
    await page.waitForFunction(
      () => document.querySelectorAll(".editor-group-container.active .editor-instance .cdr").length > 8,
    );
    await picture("inspect-jsonl-light");
    const tinted = await page.evaluate((tint) => {
      const editor = document.querySelector(".editor-group-container.active .editor-instance")!;
      const line = editor.querySelector(".view-line")!.getBoundingClientRect();
      const lefts = [...editor.querySelectorAll(".cdr")]
        .filter((piece) => getComputedStyle(piece).backgroundColor.startsWith(tint))
        .map((piece) => piece.getBoundingClientRect().left - line.left);
      return Math.min(...lefts);
    }, tintOf("light"));
    assert.ok(tinted > 60, "nothing before the cell is tinted");
  });

  test("two files chosen in the Explorer: what differs, and a choice tints both", async () => {
    await workbench.command("View: Show Explorer");
    const file = (name: string) => page.locator(".explorer-folders-view .monaco-list-row", { hasText: name });
    // Revealing the active file chooses it alone.
    await workbench.insist("two files were never chosen", async () => {
      await file("story.txt").click({ timeout: 4000 });
      const tab = page.locator(".editor-group-container.active .tab.active", { hasText: "story.txt" });
      await tab.waitFor({ timeout: 4000 });
      await file("twin.txt").click({ modifiers: ["Control"], timeout: 4000 });
      await page.locator(".explorer-folders-view .monaco-list-row.selected").nth(1).waitFor({ timeout: 4000 });
    });
    const list = page.locator(".quick-input-widget:visible", { hasText: "by the difference of their means" });
    const working = page.locator(".notification-toast", { hasText: "Comparing two texts" });
    await workbench.fromMenu(file("twin.txt"), "Compare Two Texts", list.or(working));
    await list.waitFor({ timeout: minutes });
    await picture("compare-light");
    await list.locator("input.input").press("Enter");
    await page.waitForFunction(
      () =>
        [...document.querySelectorAll(".editor-group-container .editor-instance")].filter(
          (editor) => editor.querySelectorAll(".cdr").length > 0,
        ).length >= 2,
    );
    await picture("compared-light");
    await workbench.command("View: Close All Editors");
  });

  test("a script that the tokenizer has never seen: the status bar warns and says how little is known", async () => {
    await workbench.openFile("runes.txt");
    await word("ᚠ").waitFor();
    await workbench.command("SAE Ensembles: Inspect Text");
    const warning = page.locator(".statusbar-item.warning-kind", { hasText: /tiny|[01]\/\d+/ });
    await warning.waitFor();
    // The bar's items move as they change.
    await workbench.insist("the status bar never said how much is unknown", async () => {
      await page.mouse.move(5, 5);
      await warning.hover({ timeout: 4000 });
      await page.getByText(/has no names for \d+% of these characters/).waitFor({ timeout: 4000 });
    });
    await picture("inspect-unknown-script-light");
    await workbench.command("View: Close All Editors");
  });

  test("a file that no editor shows for its size: from the Explorer its first part is inspected, by cell", async () => {
    const row = JSON.stringify({ id: 7, text: "She was a nurse, and he was a doctor." });
    writeFileSync(join(workspace, "large.jsonl"), `${row}\n`.repeat(100e6 / (row.length + 1)));
    await workbench.command("View: Show Explorer");
    const file = page.locator(".explorer-folders-view .monaco-list-row", { hasText: "large.jsonl" });
    await workbench.fromMenu(file, "Inspect Text", page.locator(".tab", { hasText: "large (part 1 of 50).jsonl" }));
    await workbench.statusBarItem(/part 1 of 50 of the file/).waitFor();
    // What was chosen in the comparison may fire nowhere here.
    await workbench.command("SAE Ensembles: Tint by Strongest Feature");
    await page.waitForFunction(() => document.querySelectorAll(".editor-instance .cdr").length > 8);
    await picture("inspect-part-light");
    await workbench.command("SAE Ensembles: Show Another Part of This File…");
    const parts = page.locator(".quick-input-widget", { hasText: "Part 1 of 50 is shown" });
    await parts.locator("input.input").press("Enter");
    await workbench.statusBarItem(/part 2 of 50 of the file/).waitFor();
    await workbench.command("View: Close All Editors");
    rmSync(join(workspace, "large.jsonl"));
  });

  test("a notebook without a cell in use: it says to enter one; the button on a cell inspects it", async () => {
    await workbench.openFile("cells.ipynb");
    await page.locator(".notebookOverlay .cell-list-container").waitFor();
    await workbench.command("SAE Ensembles: Inspect Text");
    await toast("Put the cursor into a cell").locator(".codicon-info").waitFor();
    await picture("inspect-notebook-light");
    await dismiss();
    await workbench.command("View: Close All Editors");
  });

  test("an ensemble whose model is gone: the status bar says so, the way out is there", async () => {
    const record = join(workspace, "runs", "tiny", "experiment.json");
    const text = readFileSync(record, "utf8");
    const { paths } = JSON.parse(text) as { paths: { model: string } };
    writeFileSync(record, text.replaceAll(JSON.stringify(paths.model), JSON.stringify("/nowhere/model")));
    await page.reload();
    await workbench.icon.waitFor();
    await workbench.openFile("story.txt");
    await word("nurse").waitFor();
    await workbench.command("SAE Ensembles: Inspect Text");
    await workbench.statusBarItem(/failed/).waitFor({ timeout: minutes });
    await workbench.statusBarItem(/failed/).click();
    await page.locator(".quick-input-widget", { hasText: "/nowhere/model" }).waitFor();
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Choose Another Ensemble" }).waitFor();
    await picture("inspect-failed-light");
    await page.keyboard.press("Escape");
    await showFeaturesHere();
    await pane()
      .getByText(/This text could not be read:.*nowhere\/model/)
      .waitFor();
    await picture("features-here-failed-light");
    writeFileSync(record, text);
    await pane().locator(".monaco-list-row", { hasText: "Try Again" }).click();
    await pane()
      .getByText(/features in what was read/)
      .waitFor({ timeout: minutes });
  });

  test("a run that is deleted takes its tints along, and what remains is one sentence", async () => {
    const tinted = () =>
      page.evaluate(
        (tint) =>
          [...document.querySelectorAll(".editor-instance .cdr")].filter((piece) =>
            getComputedStyle(piece).backgroundColor.startsWith(tint),
          ).length,
        tintOf("light"),
      );
    assert.ok((await tinted()) > 0);
    rmSync(join(workspace, "runs", "tiny"), { recursive: true });
    await pane().getByText("tiny · bagging is gone: it was deleted or moved.").waitFor();
    await workbench.statusBarItem("tiny · bagging is gone").waitFor();
    assert.equal(await page.locator(".statusbar-item.error-kind", { hasText: "tiny" }).count(), 0);
    assert.equal(await tinted(), 0);
    await picture("features-here-gone-light");
  });
});

// Labels by the editor's language model, in a real VS Code with the packaged VSIX: what is sent is shown first, nothing goes without a yes, a label arrives with its score on held-out passages, a bad one scores as one, and cancelling stores nothing; then the text behind a sequence, and a run deleted under its browser. The model is a stand-in that answers by rules (standInModel/).
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Frame, Page } from "playwright-core";
import { packagedVsix } from "../../scripts/packagedVsix.ts";
import { prepareRealVsCode, type RunningVsCode, startVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser, Workbench } from "../../scripts/workbench.ts";
import { runTiny, writeTinyExperiment } from "../tinyRun.ts";

const root = join(import.meta.dirname, "..", "..");
const minutes = 60_000;

describe("labels by a stand-in for the editor's language model", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 12 * minutes,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-labels-"));
  const workspace = join(state, "workspace");
  const [sent, behaviour] = [join(state, "sent.jsonl"), join(state, "behaviour")];
  const annotations = join(workspace, "runs", "tiny", "ensembles", "single", "annotations.json");
  let server: RunningVsCode;
  let browser: Browser;
  let workbench: Workbench;
  let page: Page;
  let features: Frame;

  before(async () => {
    await prepareRealVsCode();
    writeTinyExperiment(workspace, {
      training_tokens: 60_000,
      ensembles: { methods: ["single"], n_members: 1 },
      index: { methods: ["single"], tokens: 30_000 },
    });
    runTiny(workspace);
    writeFileSync(sent, "");
    writeFileSync(behaviour, "good");
    Object.assign(process.env, { SAE_STAND_IN_SENT: sent, SAE_STAND_IN_BEHAVIOUR: behaviour });
    const model = join(state, "extensions", "sae-ensembles-tests.stand-in-model-0.0.1");
    cpSync(join(import.meta.dirname, "standInModel"), model, { recursive: true });
    server = await startVsCode({ vsix: packagedVsix(), state, settings: { "chat.disableAIFeatures": false } });
    browser = await launchBrowser();
    workbench = await Workbench.open(browser, server.url, workspace);
    page = workbench.page;
    await workbench.command("SAE Ensembles: Browse Features");
    features = await workbench.webview("sae-feature-browser");
    await features.locator(".row .id").nth(3).waitFor();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  const picture = (name: string) => page.screenshot({ path: join(root, "test", "screenshots", `${name}.png`) });
  const questions = () =>
    readFileSync(sent, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as string);
  type Stored = Record<
    string,
    { label?: string; label_source?: { model: string; detection: number; passages: number } }
  >;
  const stored = (): Stored =>
    existsSync(annotations) ? (JSON.parse(readFileSync(annotations, "utf8")) as { features: Stored }).features : {};
  const dialog = () => page.locator(".monaco-dialog-box");
  const answer = (name: string) => dialog().getByRole("button", { name, exact: true }).click();

  /** Opens the feature of a row and asks for its label, up to the question whether to send. */
  async function ask(place: number): Promise<string> {
    features = await workbench.webview("sae-feature-browser");
    const row = features.locator(`.row[data-place="${place}"]`);
    await row.waitFor();
    const name = (await row.locator(".id").innerText()).trim();
    await row.locator(".id").click();
    await features.getByRole("heading", { name, exact: true }).waitFor();
    await features.getByRole("button", { name: "Label with model" }).click();
    await dialog().getByText("Send this to Rules?").waitFor();
    return name;
  }

  test("what would be sent stands in a document before anything is sent, and without a yes nothing is", async () => {
    await ask(0);
    const shown = page.locator(".editor-instance .view-lines");
    await shown.getByText("# What is sent to Rules (stand-in)").waitFor();
    await shown.getByText("Nothing has been sent yet.").waitFor();
    assert.match(
      await dialog().innerText(),
      /passages of your text go to stand-in, once to ask for a label and once to test it/,
    );
    await picture("label-what-is-sent-dark");
    await answer("Cancel");
    await workbench.webview("sae-feature-list");
    assert.deepEqual(questions(), []);
    assert.deepEqual(stored(), {});
    assert.equal(
      await page.locator(".tab", { hasText: "What is sent" }).count(),
      0,
      "nothing is left to close or to save",
    );
  });

  test("a label arrives with how well it tells held-out passages; what was sent is what was shown", async () => {
    const name = await ask(0);
    await answer("Send");
    features = await workbench.webview("sae-feature-browser");
    await features.getByText(/Label by Rules · detection \d\.\d\d on \d+ held-out passages/).waitFor();
    await picture("label-by-model-dark");
    const { label, label_source: source } = stored()[name]!;
    assert.match(label!, /^the word: /);
    assert.equal(source!.model, "Rules");
    assert.ok(source!.detection >= 0.8, `detection ${source!.detection}`);
    const [forLabel, forTest, ...more] = questions();
    assert.deepEqual(more, []);
    assert.match(forLabel!, /Answer with a label alone/);
    assert.ok(forTest!.includes(`A feature of a language model is described as: ${label}\n`));
    // Passages that test the label are not those that it was made from.
    const passages = (question: string) =>
      [...question.matchAll(/^\d+\. (.*)$/gm)].map(([, text]) => text!.replaceAll(/[«»]/g, ""));
    assert.equal(passages(forTest!).length, source!.passages);
    assert.deepEqual(
      passages(forTest!).filter((text) => passages(forLabel!).includes(text)),
      [],
    );
  });

  test("a label that says what no passage has scores as chance", async () => {
    writeFileSync(behaviour, "bad");
    const name = await ask(1);
    await answer("Send");
    features = await workbench.webview("sae-feature-browser");
    await features
      .getByText(/detection 0\.50 on \d+ held-out passages \(0\.5 is chance\) – hardly better than chance/)
      .waitFor();
    assert.equal(stored()[name]!.label, "zeppelins over Vladivostok");
    assert.equal(stored()[name]!.label_source!.detection, 0.5);
    await picture("label-poor-dark");
  });

  test("cancelled while the model thinks, nothing is stored", async () => {
    writeFileSync(behaviour, "slow");
    const name = await ask(2);
    const before = questions().length;
    await answer("Send");
    const toast = page.locator(".notification-toast", { hasText: "Labels by Rules" });
    await toast.waitFor();
    await workbench.until("a question is asked", () => questions().length > before);
    await toast.getByRole("button", { name: "Cancel" }).click();
    await toast.waitFor({ state: "detached" });
    assert.equal(stored()[name], undefined);
  });

  test("several at once: each gets its own label", async () => {
    writeFileSync(behaviour, "good");
    features = await workbench.webview("sae-feature-browser");
    const third = features.locator('.row[data-place="3"] .id');
    await third.click();
    // What the button is for: the feature that is shown, and the selection that it is part of.
    await features.getByRole("heading", { name: (await third.innerText()).trim(), exact: true }).waitFor();
    await features.locator('.row[data-place="5"] .id').click({ modifiers: ["Shift"] });
    await features.locator('.row[aria-selected="true"]').nth(2).waitFor();
    const names = await features.locator('.row[aria-selected="true"] .id').allInnerTexts();
    await features.getByRole("button", { name: "Label with model" }).click();
    await dialog().getByText("3 features: passages of your text").waitFor();
    await answer("Send");
    await page.locator(".notification-toast", { hasText: `${names[0]!.trim()}: the word` }).waitFor();
    for (const name of names) assert.match(stored()[name.trim()]!.label!, /^the word: /);
  });

  test("the text behind a sequence opens beside the browser, its long line wrapped; list and detail stay", async () => {
    features = await workbench.webview("sae-feature-browser");
    await features.getByRole("button", { name: "Open the source text" }).first().click();
    await page.locator(".tab", { hasText: /, line \d+\.txt/ }).waitFor();
    // More lines are seen than the document has: they are numbered once.
    await page.waitForFunction(() => {
      const numbers = [...document.querySelectorAll(".editor-instance .line-numbers")];
      const lines = document.querySelectorAll(".editor-instance .view-line").length;
      return numbers.length > 0 && lines > numbers.filter((number) => number.textContent).length;
    });
    await features.locator("sae-feature-list").waitFor({ state: "visible" });
    await features.locator("sae-feature-detail h2").waitFor({ state: "visible" });
    await picture("features-source-dark");
  });

  test("a run that is deleted while its features are shown: one sentence, and Close; the Features view is empty", async () => {
    await workbench.showViews();
    await workbench.fromMenu(workbench.row("tiny").first(), "Delete Run…", dialog());
    await answer("Delete");
    features = await workbench.webview("sae-feature-browser");
    await features.getByText("This run was deleted.").waitFor();
    await picture("features-deleted-dark");
    await features.getByRole("button", { name: "Close" }).click();
    await page.locator(".tab", { hasText: "Features: tiny" }).waitFor({ state: "detached" });
    assert.equal(await page.getByText("index.sqlite").count(), 0);
  });
});

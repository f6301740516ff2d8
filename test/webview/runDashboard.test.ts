// The run dashboard's bundle in a real Chromium, its host a stand-in: live charts, progress, the table, exports, accessibility.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { prepareRealVsCode, unavailable } from "../../scripts/realVsCode.ts";
import { launchBrowser } from "../../scripts/workbench.ts";
import type { ReportTable } from "../../src/protocol/reportTable.ts";
import { answer, notify } from "../../src/protocol/rpc.ts";
import { dashboardHost, dashboardView, type RunSnapshot } from "../../src/protocol/runDashboard.ts";
import type { RunEvent } from "../../src/protocol/runEvents.ts";
import type { RunEntry } from "../../src/protocol/service.ts";
import { quantityMark, roundMarks } from "../../webview/run-dashboard/axis.ts";
import { eventually, inEveryTheme, openWebview, viewState } from "./webviewPage.ts";

const running: RunEntry = {
  folder: "demo-run",
  name: "demo",
  state: "running",
  reason: null,
  experiment: "demo.sae.jsonc",
  worked: null,
  ahead: null,
  progress: { stage: "train bagging", done: 63_000, total: 100_000, unit: "tokens", rate: 41_250, eta: 12 },
  report: false,
  ensembles: [],
};

const report: ReportTable = {
  over: "",
  columns: [
    {
      key: "explained_variance",
      title: "explained variance",
      better: "higher",
      paper: true,
      about: "How explained_variance is computed.",
    },
    { key: "mse", title: "MSE", better: "lower", paper: true, about: "How mse is computed." },
    { key: "stability", title: "stability", better: "higher", paper: true, about: "How stability is computed." },
    { key: "l0", title: "L0", better: null, paper: false, about: "How l0 is computed." },
  ],
  rows: [
    {
      label: "single",
      cells: [
        { value: 0.72, reason: "" },
        { value: 12.1, reason: "" },
        { value: null, reason: "trained from one seed set" },
        { value: 16, reason: "" },
      ],
    },
    {
      label: "bagging",
      cells: [
        { value: 0.81, reason: "" },
        { value: 8.4, reason: "" },
        { value: 0.63, reason: "" },
        { value: 64, reason: "" },
      ],
    },
  ],
};

/** More columns than a narrow view has room for. */
const wideColumns = Array.from({ length: 12 }, (_, i) => ({
  ...report.columns[0]!,
  key: `metric ${i}`,
  title: `metric ${i}`,
}));
const wideRow = (label: string, value: number) => ({
  label,
  cells: wideColumns.map(() => ({ value, reason: "" })),
});
const wide: ReportTable = {
  over: "Means over 2 seed sets; stability is between them.",
  columns: wideColumns,
  rows: [wideRow("bagging", 0.29), wideRow("boosting", 0.063)],
};

const trainEvents = Array.from(
  { length: 60 },
  (_, i): RunEvent => ({
    time: i,
    type: "train",
    stage: "train bagging",
    step: i,
    tokens: 2048 * (i + 1),
    members: [0, 1, 2, 3].map((member) => ({
      member,
      loss: 40 * Math.exp(-i / 15) + 5 + member,
      mse: 5,
      l0: 16,
      explained_variance: 0.8 - Math.exp(-i / 12),
      dead: 0.01 * member,
      lr: 1e-3,
    })),
  }),
);

const snapshotOf = (run: RunEntry, report: ReportTable | null = null): RunSnapshot => ({
  run,
  report,
  reportDamage: "",
});

/** A host's end that fails at what it is asked. */
const failing = (message: string) => (): never => {
  throw new Error(message);
};

describe("run dashboard", { skip: unavailable && `SKIPPED: ${unavailable}` }, () => {
  let browser: Browser;
  before(async () => {
    await prepareRealVsCode();
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  const view = { bundle: "run-dashboard", element: "sae-run-dashboard", width: 1200, height: 900 };

  async function open(
    run: RunEntry,
    table: ReportTable | null,
    others: Partial<Parameters<typeof answer<typeof dashboardHost>>[2]> = {},
  ) {
    const asked: string[] = [];
    const saved: { name: string; content: string; base64: boolean }[] = [];
    let connection: MessageConnection | undefined;
    const page = await openWebview(browser, {
      ...view,
      connect: (line) => {
        connection = line;
        answer(line, dashboardHost, {
          ready: () => snapshotOf(run, table),
          stop: () => {
            asked.push("stop");
            return {};
          },
          resume: () => {
            asked.push("resume");
            return {};
          },
          browse: ({ ensemble }) => {
            asked.push(`browse ${ensemble}`);
            return {};
          },
          save: (file) => {
            saved.push(file);
            return { file: `runs/demo/${file.name}` };
          },
          ...others,
        });
      },
    });
    await page.getByRole("heading", { name: run.name }).waitFor();
    return {
      page,
      asked,
      saved,
      tell: (events: RunEvent[]) => notify(connection!, dashboardView, "events", { events }),
      connection: () => connection!,
    };
  }

  test("shows progress, stops the run, and draws what is told while it runs", async () => {
    const { page, asked, tell } = await open(running, null);
    await page.getByText("train bagging · 63%").waitFor();
    await page.getByText("12 s left of this stage").waitFor();
    await page.getByText("The charts begin with the first training step.").waitFor();
    tell([{ time: 0, type: "log", level: "info", message: "device cpu (2 threads): asked for" }]);
    tell(trainEvents.slice(0, 10));
    await page.getByText("on cpu").waitFor();
    await page.locator("sae-chart canvas").nth(3).waitFor();
    const last = page.locator("sae-chart .last").first();
    const before = await last.textContent();
    tell(trainEvents.slice(10));
    await page.waitForFunction((text) => {
      const chart = document.querySelector("sae-run-dashboard")?.shadowRoot?.querySelector("sae-chart");
      return chart?.shadowRoot?.querySelector(".last")?.textContent !== text;
    }, before);
    await page.getByRole("button", { name: "Stop" }).click();
    await eventually(() => assert.deepEqual(asked, ["stop"]));
    await page.close();
  });

  test("the pointer on one chart reads every line of every chart at that place", async () => {
    const { page, tell } = await open(running, null);
    tell(trainEvents);
    const dead = page.locator("sae-chart").nth(3);
    assert.match(await dead.locator(".values").innerText(), /member 2 2\.0%.*mean 1\.5%/s);
    assert.equal(await dead.locator(".last").textContent(), "1.5% mean of members");
    await page
      .locator("sae-chart .u-over")
      .first()
      .hover({ position: { x: 300, y: 80 } });
    await dead.getByText(/^at [\d,]+ tokens$/).waitFor();
    await page.close();
  });

  test("a narrow chart names every line whole", async () => {
    const { page, tell } = await open(running, null);
    await page.setViewportSize({ width: 460, height: 900 });
    tell(trainEvents);
    const values = page.locator("sae-chart").first().locator(".values");
    await values.getByText("mean").waitFor();
    const cut = await values.evaluate((legend) => {
      const { bottom, right } = legend.getBoundingClientRect();
      return [...legend.querySelectorAll("span")]
        .filter((line) => {
          const box = line.getBoundingClientRect();
          return line.scrollWidth > line.clientWidth || box.right > right + 0.5 || box.bottom > bottom + 0.5;
        })
        .map((line) => line.textContent);
    });
    assert.deepEqual(cut, []);
    await page.close();
  });

  test("boosting's members learn different targets: no mean is drawn of them", async () => {
    const { page, tell } = await open(running, null);
    const boosting = trainEvents.slice(0, 20).map((event, i) => {
      const { members, tokens, ...rest } = event as Extract<RunEvent, { type: "train" }>;
      const member = i < 10 ? 0 : 1;
      return { ...rest, stage: "train boosting", tokens: tokens - 20_480 * member, members: [members[member]!] };
    });
    tell(boosting);
    const values = page.locator("sae-chart").first().locator(".values");
    await values.getByText("member 1").waitFor();
    assert.doesNotMatch(await values.innerText(), /mean/);
    const last = (chart: number) => page.locator("sae-chart").nth(chart).locator(".last").textContent();
    assert.match((await last(0))!, /^\S+ of what is left for member 1$/);
    assert.match((await last(1))!, /^\S+ for member 1$/);
    await page.close();
  });

  test("a report: the best of a column is bold, a missing number is a dash with its reason", async () => {
    const { page } = await open({ ...running, state: "done", progress: null, report: true }, report);
    assert.equal(await page.locator("sae-report-table td.best").first().textContent(), "0.810");
    const dash = page.locator("sae-report-table td", { hasText: "–" }).first();
    assert.equal(await dash.getAttribute("title"), "trained from one seed set");
    const header = page.getByRole("columnheader", { name: /MSE/ });
    assert.equal(await header.getAttribute("title"), "How mse is computed. Lower is better.");
    assert.equal(await page.getByRole("columnheader", { name: /L0/ }).count(), 0);
    await page.getByRole("button", { name: "All metrics" }).click();
    await page.getByRole("columnheader", { name: /L0/ }).waitFor();
    await page.close();
  });

  test("exports CSV, SVG, PNG and Markdown", async () => {
    const { page, saved, tell } = await open({ ...running, state: "done", progress: null, report: true }, report);
    tell(trainEvents);
    for (const name of ["CSV", "SVG", "PNG", "Markdown"]) await page.getByRole("button", { name, exact: true }).click();
    await eventually(() => assert.equal(saved.length, 4));
    const byName = new Map(saved.map((file) => [file.name.split(".").at(-1), file]));
    assert.equal(byName.get("csv")!.content.split("\n").length, 1 + 60 * 4 + 1);
    assert.deepEqual([...Buffer.from(byName.get("png")!.content, "base64").subarray(1, 4)], [...Buffer.from("PNG")]);
    await page.getByRole("status").getByText("Saved: runs/demo/report-table.md").waitFor();
    assert.match(byName.get("md")!.content, /\| bagging \| 0\.810 \| 8\.40 \| 0\.630 \| 64 \|/);
    await page.close();
  });

  test("a figure has round marks and units, a constant quantity among them, in SVG as in PNG", async () => {
    const { page, saved, tell } = await open({ ...running, state: "done", progress: null }, null);
    tell(trainEvents.map((event) => ({ ...event, stage: "train bagging-1" })));
    for (const name of ["SVG", "PNG"]) await page.getByRole("button", { name, exact: true }).click();
    await eventually(() => assert.equal(saved.length, 2));
    const [svg, png] = saved.map(({ content }) => content) as [string, string];
    const texts = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</g)].map(([, x, y, text]) => ({
      place: `${x} ${y}`,
      text: text!,
    }));
    assert.equal(new Set(texts.map(({ place }) => place)).size, texts.length);
    const words = texts.map(({ text }) => text);
    for (const word of ["demo · bagging, seed set 2", "member 3", "mean", "L0", "20", "3%", "0", "100k", "tokens"])
      assert.ok(words.includes(word), `${word} is not among ${words.join(", ")}`);
    // 2 panels of 480 pixels, three times.
    assert.equal(Buffer.from(png, "base64").readUInt32BE(16), 2880);
    await page.close();
  });

  test("marks are round, enclose what is shown, and differ from each other", () => {
    const marks = (quantity: "loss" | "dead", low: number, high: number) =>
      roundMarks(low, high, 4).map((value) => quantityMark(quantity, value));
    assert.deepEqual(marks("loss", 1346, 18_691), ["0", "5,000", "10,000", "15,000", "20,000"]);
    assert.deepEqual(marks("loss", 1346.2, 1349.9), ["1,346", "1,347", "1,348", "1,349", "1,350"]);
    assert.deepEqual(marks("loss", -0.214, 0.935), ["-0.5", "0", "0.5", "1"]);
    assert.deepEqual(marks("dead", 0, 0.0007), ["0%", "0.02%", "0.04%", "0.06%", "0.08%"]);
  });

  test("a share that is 0 throughout has an axis of shares", async () => {
    const { page, tell } = await open(running, null);
    await page.evaluate(() => {
      const drawn: string[] = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...others) {
        drawn.push(text);
        fillText.call(this, text, ...others);
      };
      Object.assign(globalThis, { drawn });
    });
    const alive = trainEvents.map((event) => {
      const { members, ...rest } = event as Extract<RunEvent, { type: "train" }>;
      return { ...rest, members: members.map((member) => ({ ...member, dead: 0 })) };
    });
    tell(alive);
    const drawn = () => page.evaluate(() => (globalThis as unknown as { drawn: string[] }).drawn);
    await page.waitForFunction(() => (globalThis as unknown as { drawn: string[] }).drawn.includes("100%"));
    assert.deepEqual(
      (await drawn()).filter((text) => /^\d{4,}%$/.test(text)),
      [],
    );
    await page.close();
  });

  test("seed sets are rows; the training in view stays when the run stops, and when it ends", async () => {
    const { page, tell, connection } = await open(running, null);
    const of = (stage: string) => trainEvents.map((event) => ({ ...event, stage: `train ${stage}` }));
    tell([...of("single"), ...of("bagging"), ...of("single-1"), ...of("bagging-1")]);
    const second = page.getByRole("group", { name: "Training, seed set 2" });
    const pressed = second.getByRole("button", { name: "bagging", pressed: true });
    await pressed.waitFor();
    assert.match(await second.innerText(), /seed set 2\s+single\s+bagging/);
    const reason = "stopped in train bagging-1 at 63%; resume goes on from there";
    notify(connection(), dashboardView, "runChanged", snapshotOf({ ...running, state: "stopped", reason }));
    await page.getByText(reason).waitFor();
    await pressed.waitFor();
    notify(connection(), dashboardView, "runChanged", snapshotOf({ ...running, state: "done", progress: null }));
    await page.getByText("done", { exact: true }).waitFor();
    await pressed.waitFor();
    await page.close();
  });

  test("a run that is deleted is gone from its dashboard, and another in its place begins anew", async () => {
    const done: RunEntry = { ...running, state: "done", progress: null, report: true };
    const { page, tell, connection } = await open(done, report);
    tell(trainEvents);
    await page.locator("sae-chart canvas").nth(3).waitFor();
    notify(connection(), dashboardView, "runGone", { message: "There is no run in demo-run any more." });
    await page.getByRole("alert").getByText("There is no run in demo-run any more.").waitFor();
    assert.equal(await page.locator("sae-report-table, vscode-button, sae-chart").count(), 0);
    notify(connection(), dashboardView, "runChanged", snapshotOf({ ...running, progress: null }));
    await page.getByText("The charts begin with the first training step.").waitFor();
    await page.close();
  });

  test("numbers of a column have equally many decimals, and what a row is stays in view", async () => {
    const { page } = await open({ ...running, state: "done", progress: null, report: true }, wide);
    await page.setViewportSize({ width: 600, height: 900 });
    await page.getByText(wide.over).waitFor();
    assert.deepEqual(await page.locator("sae-report-table tbody tr td:nth-child(2)").allInnerTexts(), [
      "0.2900",
      "0.0630",
    ]);
    await page.getByRole("region", { name: "Metrics" }).evaluate((region) => region.scrollTo({ left: 400 }));
    const { left, hidden } = await page.getByRole("rowheader", { name: "boosting" }).evaluate((header) => {
      const box = header.getBoundingClientRect();
      const root = header.getRootNode() as ShadowRoot;
      return { left: box.left, hidden: root.elementFromPoint(box.left + 5, box.top + 5) !== header };
    });
    assert.deepEqual({ left, hidden }, { left: 16, hidden: false });
    await page.close();
  });

  test("a long run of many members is exported as PNG as well", async () => {
    const { page, saved, tell } = await open({ ...running, state: "done", progress: null }, null);
    const long = Array.from({ length: 2000 }, (_, i): RunEvent => {
      const [event] = trainEvents.slice(i % 60) as Extract<RunEvent, { type: "train" }>[];
      const members = Array.from({ length: 8 }, (_, member) => ({ ...event!.members[member % 4]!, member }));
      return { ...event!, step: i, tokens: 2048 * (i + 1), members };
    });
    tell(long);
    await page.getByRole("button", { name: "PNG", exact: true }).click();
    await eventually(() => assert.equal(saved.length, 1));
    assert.deepEqual([...Buffer.from(saved[0]!.content, "base64").subarray(1, 4)], [...Buffer.from("PNG")]);
    await page.close();
  });

  test("an action that fails says so beside its button, and the dashboard stays", async () => {
    const done = { ...running, state: "stopped" as const, progress: null, report: true };
    const { page, tell } = await open(done, report, {
      resume: failing("its process is still there"),
      save: failing("EACCES: permission denied"),
    });
    tell(trainEvents);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("alert").getByText("its process is still there").waitFor();
    await page.getByRole("button", { name: "CSV", exact: true }).click();
    await page.getByRole("alert").getByText("EACCES: permission denied").waitFor();
    // What was said of the action before is gone.
    assert.equal(await page.getByRole("alert").count(), 1);
    await page.locator("sae-chart canvas").nth(3).waitFor();
    await page.locator("sae-report-table").waitFor();
    await page.close();
  });

  test("a run that could not be opened in time is shown once there is word of it, and kept for a reload", async () => {
    let connection: MessageConnection | undefined;
    const page = await openWebview(browser, {
      ...view,
      connect: (line) => {
        connection = line;
        const nothing = () => ({});
        answer(line, dashboardHost, {
          ready: failing("ready had no answer within 30 s"),
          stop: nothing,
          resume: nothing,
          browse: nothing,
          save: () => ({ file: null }),
        });
      },
    });
    await page.getByRole("alert").getByText("ready had no answer").waitFor();
    notify(connection!, dashboardView, "runChanged", snapshotOf(running));
    await page.getByRole("heading", { name: "demo" }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    assert.deepEqual(await viewState(page), { folder: "demo-run" });
    await page.close();
  });

  test("a report that can't be read says so in its place, and the rest is shown", async () => {
    const reportDamage = "report.json: found broken JSON, expected a report as evaluate writes it; evaluate again";
    const done: RunEntry = { ...running, state: "done", progress: null, report: true };
    const { page, tell } = await open(done, null, { ready: () => ({ run: done, report: null, reportDamage }) });
    tell(trainEvents);
    await page.locator("sae-chart canvas").nth(3).waitFor();
    await page.getByRole("alert").getByText("report.json: found broken JSON").waitFor();
    await page.close();
  });

  test("a failed run says why and offers to resume", async () => {
    const { page, asked } = await open(
      { ...running, state: "failed", reason: "its process ended without a word" },
      null,
    );
    await page.getByText("its process ended without a word").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await eventually(() => assert.deepEqual(asked, ["resume"]));
    await page.close();
  });

  test("a queued run says what it waits for and can leave", async () => {
    const waiting = { ...running, state: "queued" as const, ahead: 1, reason: "waits for first", progress: null };
    const { page, asked } = await open(waiting, null);
    await page.getByText("waits for first").waitFor();
    await page.getByRole("button", { name: "Leave the Queue" }).click();
    await eventually(() => assert.deepEqual(asked, ["stop"]));
    await page.close();
  });

  inEveryTheme("run-dashboard", async () => {
    const { page, tell } = await open(running, null);
    tell(trainEvents);
    await page.locator("sae-chart canvas").nth(3).waitFor();
    return page;
  });

  inEveryTheme("run-dashboard-starting", async () => (await open({ ...running, progress: null }, null)).page);

  inEveryTheme("run-dashboard-done", async () => {
    const { page, tell } = await open({ ...running, state: "done", progress: null, report: true }, report);
    tell(trainEvents);
    tell(trainEvents.map((event) => ({ ...event, stage: "train bagging-1" })));
    await page.locator("sae-chart canvas").nth(3).waitFor();
    return page;
  });

  inEveryTheme("run-dashboard-wide-table", async () => {
    const { page, tell } = await open({ ...running, state: "done", progress: null, report: true }, wide);
    await page.setViewportSize({ width: 600, height: 700 });
    tell(
      ["single", "bagging", "single-1"].flatMap((name) =>
        trainEvents.map((event) => ({ ...event, stage: `train ${name}` })),
      ),
    );
    await page.locator("sae-chart canvas").nth(3).waitFor();
    const region = page.getByRole("region", { name: "Metrics" });
    await region.evaluate((table) => {
      table.scrollLeft = 130;
      table.scrollIntoView();
    });
    return page;
  });

  inEveryTheme("run-dashboard-failed", async () => {
    const reason = "its process ended without a word (signal SIGKILL): the machine may be out of memory";
    return (await open({ ...running, state: "failed", progress: null, reason }, null)).page;
  });

  inEveryTheme("run-dashboard-trouble", async () => {
    const done: RunEntry = { ...running, state: "done", progress: null, report: true };
    const { page, tell } = await open(done, null, {
      ready: () => ({ run: done, report: null, reportDamage: "report.json: found broken JSON, expected a report" }),
      save: failing("EACCES: permission denied"),
    });
    tell(trainEvents);
    await page.getByRole("button", { name: "CSV", exact: true }).click();
    await page.getByRole("alert").getByText("EACCES").waitFor();
    return page;
  });
});

// The command line as a person and as a script meet it: exit codes, one line for what is wrong, and a whole tiny run. Real child processes.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { temporaryFolder } from "../fixtures.ts";
import { runCommand, writeTinyExperiment } from "../jobs/tinyExperiment.ts";

const root = temporaryFolder();

function fresh(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  return folder;
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

describe("wrong input: one line, exit code 2, nothing written", () => {
  const folder = fresh("wrong");
  writeTinyExperiment(folder);
  const text = readFileSync(join(folder, "tiny.sae.jsonc"), "utf8");
  const write = (name: string, changed: string) => writeFileSync(join(folder, name), changed);
  write("key.sae.jsonc", text.replace('"lr"', '"learning_rte"'));
  write("value.sae.jsonc", text.replace('"topk"', '"topq"'));
  write("hook.sae.jsonc", text.replace("blocks.1.", "blocks.7."));
  write("model.sae.jsonc", text.replace(/"model_name": ".*"/, '"model_name": "."'));
  write("context.sae.jsonc", text.replace('"context_size": 32', '"context_size": 100000'));
  write("k.sae.jsonc", text.replace('"k": 4', '"k": 400'));
  // Far enough behind the beginning that the harvest is at work when it comes upon it.
  const good = JSON.stringify({ text: "the king saw a small red house and the old river ".repeat(8) });
  write("broken.jsonl", `${`${good}\n`.repeat(400)}{"text": "the\n${good}\n`);
  write(
    "broken.sae.jsonc",
    text
      .replace("text.txt", "broken.jsonl")
      .replace('"tokens": 4000', '"tokens": 400000')
      .replace('"lr"', '"output_path": "runs/a/broken",\n"lr"'),
  );
  for (const [name, file] of [
    ["others", "report.md"],
    ["foreign", "experiment.json"],
  ] as const) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, file), '{ "my": "file" }');
  }
  const listing = readdirSync(folder);
  for (const [args, message] of [
    [["run", "none.sae.jsonc"], /^error: none\.sae\.jsonc: found no such file, expected an experiment file/],
    [["run", "key.sae.jsonc"], /^error: key\.sae\.jsonc:\d+:3, learning_rte: found an unknown key/],
    [["train", "value.sae.jsonc"], /^error: value\.sae\.jsonc:\d+:5, sae\.architecture: found "topq", expected one of/],
    [
      ["harvest", "hook.sae.jsonc"],
      /^error: hook\.sae\.jsonc:4:3, hook_name: found "blocks\.7\.hook_resid_post", expected blocks\.0 to blocks\.2/,
    ],
    [
      ["run", "model.sae.jsonc"],
      /^error: model\.sae\.jsonc:3:3, model_name: found "\." \(.*config\.json: found no such file.*\), expected a language model/,
    ],
    [["run", "context.sae.jsonc"], /^error: .*context_size: found 100000, expected at most the model's/],
    [["run", "k.sae.jsonc"], /^error: .*sae\.k: found 400, expected at most d_sae, 48/],
    [["harvest", "broken.sae.jsonc", "--plain"], /^error: .*broken\.jsonl, line 401: found /m],
    [["run", "hook.sae.jsonc", "--detach"], /^error: .*hook_name: found "blocks\.7\.hook_resid_post"/],
    [["evaluate", "tiny.sae.jsonc"], /^error: .*tiny: found no run, expected one: run train first/],
    [["features", "."], /^error: .*found no experiment\.json in it, expected a run folder/],
    [
      ["run", "tiny.sae.jsonc", "--run-folder", "others"],
      /^error: .*others, output_path: found other files \(report\.md\)/,
    ],
    [["run", "tiny.sae.jsonc", "--run-folder", "foreign"], /^error: .*foreign.experiment\.json, format_version: found/],
    [
      ["run", "tiny.sae.jsonc", "--run-folder", "broken.jsonl/x"],
      /^error: .*broken\.jsonl: found a file, expected a place/,
    ],
    [["demo", "--folder", "broken.jsonl"], /^error: .*broken\.jsonl: found a file, expected a place/],
    [["resume", "nowhere"], /^error: .*nowhere: found no such folder, expected a run folder/],
  ] as const) {
    test(args.join(" "), async () => {
      const { code, stdout, stderr } = await runCommand([...args], folder);
      assert.match(stderr, message);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      const words = lines(stderr).filter((line) => line.startsWith("error: "));
      assert.equal(words.length, 1, stderr);
      // What is only found on the way comes after the lines of the way.
      if (!args[1].startsWith("broken")) assert.deepEqual(lines(stderr), words);
      assert.deepEqual(readdirSync(folder), listing);
    });
  }

  test("--json says the same as one object on standard output", async () => {
    const { code, stdout, stderr } = await runCommand(["run", "value.sae.jsonc", "--json"], folder);
    assert.equal(code, 2);
    assert.equal(stderr, "");
    const error = JSON.parse(stdout) as Record<string, string>;
    assert.equal(error["type"], "error");
    assert.equal(error["where"], "sae.architecture");
    assert.equal(error["found"], '"topq"');
  });
});

describe("usage", () => {
  test("help lists every command and exits with 0", async () => {
    const { code, stdout } = await runCommand(["--help"], root);
    assert.equal(code, 0);
    for (const name of "demo run resume status stop harvest train evaluate index features doctor schema".split(" "))
      assert.match(stdout, new RegExp(`^ {2}${name}\\b`, "m"));
    assert.ok(lines(stdout).every((line) => line.length <= 100));
  });

  for (const args of [
    ["evaluat"],
    ["run"],
    ["run", "a", "--nope"],
    ["run", "a", "--jobs", "dance"],
    ["features", "a", "--limit", "x"],
    ["features", "a", "--limit", "0"],
    ["features", "a", "--clearest", "--token", "x"],
    ["features", "a", "--show", "0/1", "--token", "x"],
  ])
    test(`${args.join(" ")}: exit code 2`, async () => {
      const { code, stdout, stderr } = await runCommand(args, root);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^error: /);
    });

  test("wrong usage with --json is an object on standard output too", async () => {
    const { code, stdout } = await runCommand(["run", "--json"], root);
    assert.equal(code, 2);
    const { type, message } = JSON.parse(stdout) as { type: string; message: string };
    assert.deepEqual([type, /missing required argument/.test(message)], ["error", true]);
  });

  test("schema prints JSON", async () => {
    const { code, stdout } = await runCommand(["schema"], root);
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as { type: string }).type, "object");
  });

  test("doctor examines everything it names", async () => {
    const { code, stdout } = await runCommand(["doctor", "--json"], root);
    const findings = JSON.parse(stdout) as { name: string; state: string; value: string }[];
    assert.equal(code, 0, stdout);
    for (const name of ["Processor", "Memory", "Disk", "SQLite", "WebAssembly", "onnxruntime", "Training engine"])
      assert.ok(
        findings.some((finding) => finding.name === name && finding.value !== ""),
        name,
      );
    assert.match(findings.find(({ name }) => name === "WebAssembly")!.value, /SIMD, threads/);
    assert.match(findings.find(({ name }) => name === "onnxruntime")!.value, /\d+ GFLOP\/s/);
    assert.match(findings.find(({ name }) => name === "Training engine")!.value, /[1-9][\d,.]* tokens\/s$/);
  });
});

describe("a whole run", () => {
  const folder = fresh("whole");
  const run = join(folder, "runs", "tiny");

  before(async () => {
    writeTinyExperiment(folder, {
      ensembles: { methods: ["single", "bagging", "boosting", "expanded"], n_members: 2, seed_sets: 2 },
    });
    const { code, stdout, stderr } = await runCommand(["run", "tiny.sae.jsonc", "--json"], folder);
    assert.equal(code, 0, stdout + stderr);
    assert.equal(stderr, "");
    const events = lines(stdout).map((line) => JSON.parse(line) as { type: string; state?: string; time: number });
    assert.equal(events.at(-1)!.state, "done");
    assert.deepEqual([...new Set(events.map((event) => event.type))].sort(), ["log", "progress", "state", "train"]);
  });

  test("nothing is said of cosines that are there at once", () => {
    assert.doesNotMatch(readFileSync(join(run, "events.jsonl"), "utf8"), /"stage":"(diversity|stability)/);
  });

  test("every method and seed set is there, and its members load", async () => {
    const names = readdirSync(join(run, "ensembles")).sort();
    assert.deepEqual(names, [
      "bagging",
      "bagging-1",
      "boosting",
      "boosting-1",
      "expanded",
      "expanded-1",
      "single",
      "single-1",
    ]);
    const bagging = await loadEnsemble(join(run, "ensembles", "bagging"));
    assert.equal(bagging.members.length, 2);
    assert.deepEqual(bagging.seeds, [42, 43]);
    assert.deepEqual((await loadEnsemble(join(run, "ensembles", "bagging-1"))).seeds, [1042, 1043]);
    const expanded = await loadEnsemble(join(run, "ensembles", "expanded"));
    assert.deepEqual([expanded.members[0]!.config.d_sae, expanded.members[0]!.config.k], [96, 8]);
  });

  test("nothing half-made is left", () => {
    const left = readdirSync(run, { recursive: true }).filter((name) => /\.tmp$|building/.test(String(name)));
    assert.deepEqual(left, []);
    assert.deepEqual(readdirSync(join(run, "checkpoints")), []);
  });

  test("the report has the paper's metrics for every method", () => {
    const report = JSON.parse(readFileSync(join(run, "report.json"), "utf8")) as {
      methods: { method: string; metrics: Record<string, { value: number | null }> }[];
    };
    assert.deepEqual(
      report.methods.map(({ method }) => method),
      ["single", "bagging", "boosting", "expanded"],
    );
    for (const { method, metrics } of report.methods)
      for (const key of [
        "explained_variance",
        "mse",
        "connectivity",
        "diversity",
        "stability",
        "l0",
        "ce_loss_with_sae",
        "kl_div_score",
      ])
        assert.ok(Number.isFinite(metrics[key]!.value), `${method} ${key}`);
    const [single, , boosting] = report.methods.map(({ metrics }) => metrics["explained_variance"]!.value!);
    assert.ok(boosting! > single!, `boosting ${boosting}, single ${single}`);
    assert.ok(existsSync(join(run, "report.csv")) && existsSync(join(run, "report.md")));
  });

  test("the same command again finds everything done and changes nothing", async () => {
    const before = readFileSync(join(run, "report.json"), "utf8");
    const { code, stderr } = await runCommand(["run", "tiny.sae.jsonc", "--plain"], folder);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.equal(readFileSync(join(run, "report.json"), "utf8"), before);
  });

  test("evaluate prints the table", async () => {
    const { code, stdout } = await runCommand(["evaluate", "tiny.sae.jsonc"], folder);
    assert.equal(code, 0);
    for (const word of ["single", "bagging", "boosting", "expanded", "stability", "connectivity"])
      assert.match(stdout, new RegExp(word));
    assert.ok(
      lines(stdout).every((line) => [...line].length <= 100),
      stdout,
    );
  });

  test("features: list, by token, by text, one in full", async () => {
    const list = await runCommand(["features", run, "--limit", "5"], folder);
    assert.equal(list.code, 0, list.stderr);
    assert.match(list.stdout, /1 to 5 of \d+ that match \(bagging, 96 features in all\)/);
    const first = /^(\d+\/\d+) /m.exec(list.stdout)![1]!;
    const shown = await runCommand(["features", run, "--show", first], folder);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, new RegExp(`^Feature ${first}`));
    assert.match(shown.stdout, /Top logits/);
    const json = await runCommand(["features", run, "--token", "nurse", "--json"], folder);
    for (const line of lines(json.stdout)) assert.ok("relevance" in JSON.parse(line));
    const none = await runCommand(["features", run, "--text", "no such words anywhere"], folder);
    assert.deepEqual([none.code, none.stdout], [0, "No feature of bagging matches.\n"]);
  });

  test("features: flags and labels are shown and searched; no answer is no line of JSON", async () => {
    const flags = join(run, "ensembles", "bagging", "annotations.json");
    const annotation = { flagged: true, label: "nurses and doctors" };
    writeFileSync(flags, JSON.stringify({ format_version: 1, features: { "0/1": annotation } }));
    for (const args of [["--flagged"], ["--label", "nurses"]]) {
      const { stdout } = await runCommand(["features", run, ...args], folder);
      assert.match(stdout, /^0\/1 .*⚑ nurses and doctors/m);
      assert.match(stdout, /1 to 1 of 1 that match/);
    }
    const shown = await runCommand(["features", run, "--show", "0/1"], folder);
    assert.match(shown.stdout, /^Feature 0\/1 {2}nurses and doctors {2}⚑/);
    writeFileSync(flags, "<<<<<<< ours");
    const broken = await runCommand(["features", run], folder);
    assert.deepEqual([broken.code, /annotations\.json/.test(broken.stderr)], [2, true]);
    rmSync(flags);
    const none = await runCommand(["features", run, "--text", "no such words anywhere", "--json"], folder);
    assert.deepEqual([none.code, none.stdout], [0, ""]);
    const beyond = await runCommand(["features", run, "--offset", "5000"], folder);
    assert.match(beyond.stdout, /^\d+ match, and --offset 5,000 passes over all of them/);
  });

  test("features: what does not exist is one line and exit code 2", async () => {
    for (const [args, message] of [
      [["--member", "7"], /--member: found 7, expected 0 to 1/],
      [["--found", "99"], /--found: found 99, expected at most 2/],
      [["--pattern", "["], /--pattern: found "\[" \(.*\), expected a regular expression/],
      [["--show", "9/9"], /--show: found "9\/9", expected member\/index from 0\/0 to 1\/47/],
      [["--ensemble", "single"], /found no index of "single", expected one of bagging/],
      [["--sort", "relevance"], /relevance/],
    ] as const) {
      const { code, stderr } = await runCommand(["features", run, ...args], folder);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(lines(stderr).length, 1);
    }
  });

  test("other settings in the same run folder are refused", async () => {
    const file = join(folder, "other.sae.jsonc");
    writeFileSync(file, readFileSync(join(folder, "tiny.sae.jsonc"), "utf8").replace('"lr": 0.001', '"lr": 0.002'));
    const { code, stderr } = await runCommand(["run", file, "--run-folder", run], folder);
    assert.equal(code, 2);
    assert.match(stderr, /lr: found 0\.002, expected 0\.001, with which the run in .* began/);
    const files = readdirSync(run);
    const detached = await runCommand(["run", file, "--run-folder", run, "--detach"], folder);
    assert.deepEqual([detached.code, detached.stderr], [2, stderr]);
    assert.deepEqual(readdirSync(run), files);
  });

  test("another evaluation of the same ensembles is made anew", async () => {
    const file = join(folder, "evaluated.sae.jsonc");
    const text = readFileSync(join(folder, "tiny.sae.jsonc"), "utf8");
    writeFileSync(file, text.replace('"test_tokens": 500', '"test_tokens": 300'));
    const { code, stderr } = await runCommand(["evaluate", file, "--run-folder", run], folder);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /harvest held-out: 300 \/ 300 tokens/);
    const report = JSON.parse(readFileSync(join(run, "report.json"), "utf8")) as {
      methods: { runs: { tokens: number }[] }[];
    };
    assert.deepEqual([...new Set(report.methods.flatMap(({ runs }) => runs.map(({ tokens }) => tokens)))], [300]);
  });

  test("one more indexed method leaves the index that is there as it is", async () => {
    const file = join(folder, "indexed.sae.jsonc");
    const text = readFileSync(join(folder, "tiny.sae.jsonc"), "utf8");
    writeFileSync(file, text.replace('"tokens": 1500', '"tokens": 1500, "methods": ["bagging", "single"]'));
    const there = join(run, "ensembles", "bagging", "index.sqlite");
    const { ino, mtimeMs } = statSync(there);
    const { code, stderr } = await runCommand(["index", file, "--run-folder", run], folder);
    assert.equal(code, 0, stderr);
    const added = join(run, "ensembles", "single", "index.sqlite");
    assert.ok(existsSync(added));
    rmSync(added);
    const now = statSync(there);
    assert.deepEqual([now.ino, now.mtimeMs], [ino, mtimeMs]);
  });

  test("training anew loses nothing: same weights keep their flags, others are moved aside with theirs", async () => {
    const file = join(folder, "tiny.sae.jsonc");
    const record = JSON.parse(readFileSync(join(run, "run.json"), "utf8")) as { stages: Record<string, unknown> };
    const flags = '{ "format_version": 1, "features": { "0/1": { "flagged": true } } }';
    for (const name of ["bagging", "single"]) {
      delete record.stages[`train ${name}`];
      writeFileSync(join(run, "ensembles", name, "annotations.json"), flags);
    }
    writeFileSync(join(run, "run.json"), JSON.stringify(record));
    // As if another version of the program had trained it.
    const weights = join(run, "ensembles", "bagging", "member_1", "sae_weights.safetensors");
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(weights, bytes);
    const { code, stderr } = await runCommand(["run", file, "--plain"], folder);
    assert.equal(code, 0, stderr);
    const names = readdirSync(join(run, "ensembles"));
    const aside = names.find((name) => name.startsWith("bagging."))!;
    assert.match(stderr, new RegExp(`flags and labels, as ensembles/${aside}`));
    assert.equal(names.length, 9, "one more than before");
    const annotations = (name: string) => join(run, "ensembles", name, "annotations.json");
    assert.equal(readFileSync(annotations(aside), "utf8"), flags);
    assert.ok(!existsSync(annotations("bagging")), "other features, other flags");
    assert.equal(readFileSync(annotations("single"), "utf8"), flags);
    const list = await runCommand(["features", run, "--ensemble", aside, "--limit", "1"], folder);
    assert.equal(list.code, 0, list.stderr);
  });

  test("a damaged index is built anew by its job alone, and the flags beside it stay", async () => {
    const index = join(run, "ensembles", "bagging", "index.sqlite");
    const flags = join(run, "ensembles", "bagging", "annotations.json");
    writeFileSync(flags, '{ "format_version": 1, "features": { "0/1": { "flagged": true } } }');
    const before = readFileSync(flags, "utf8");
    truncateSync(index, 20_000);
    assert.equal((await runCommand(["features", run], folder)).code, 2);
    const { code, stdout, stderr } = await runCommand(["resume", run, "--jobs", "index", "--plain"], folder);
    assert.match(stdout, /Everything is in .*\n.*features/);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: index bagging: .*build it again/);
    const list = await runCommand(["features", run, "--limit", "1"], folder);
    assert.equal(list.code, 0, list.stderr);
    assert.equal(readFileSync(flags, "utf8"), before);
  });

  test("status lists it", async () => {
    const { stdout } = await runCommand(["status"], folder);
    assert.match(stdout, /runs\/tiny\s+done\s+index; .+ of work in all/);
  });
});

test("cosines of many features say how far they are", async () => {
  const folder = fresh("many-features");
  writeTinyExperiment(folder, {
    training_tokens: 256,
    sae: { architecture: "topk", d_sae: 2100, k: 4 },
    ensembles: { methods: ["single"], seed_sets: 2 },
    evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 },
  });
  const { code, stderr } = await runCommand(
    ["run", "tiny.sae.jsonc", "--jobs", "harvest,train,evaluate", "--plain"],
    folder,
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^diversity single: 3 \/ 3 blocks/m);
  assert.match(stderr, /^diversity single-1 \(seed set 2\): 3 \/ 3 blocks/m);
  assert.match(stderr, /^stability single: 4 \/ 4 blocks/m);
});

test("a detached run outlives its starter, is followed, stopped and resumed by others", async () => {
  const folder = fresh("detached");
  writeTinyExperiment(folder, { training_tokens: 64_000_000, ensembles: { methods: ["bagging"], n_members: 2 } });
  const run = join(folder, "runs", "tiny");
  const started = await runCommand(["train", "tiny.sae.jsonc", "--detach", "--json"], folder);
  assert.equal(started.code, 0, started.stderr);
  assert.equal((JSON.parse(started.stdout) as { runFolder: string }).runFolder, run);
  const busy = await runCommand(["train", "tiny.sae.jsonc"], folder);
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /^error: .*another process \(\d+ on .*\) is at work on this run/);
  const stopped = await runCommand(["stop", run], folder);
  assert.match(stopped.stderr, /runs\/tiny: stopped\. To go on: sae-ensembles resume runs\/tiny/);
  const followed = await runCommand(["status", run, "--follow", "--json"], folder);
  const events = lines(followed.stdout).map((line) => JSON.parse(line) as { type: string; state?: string });
  assert.deepEqual(
    events.filter(({ type }) => type === "state").map(({ state }) => state),
    ["running", "stopped"],
  );
  const state = async (...args: string[]) =>
    (JSON.parse((await runCommand([...args, "--json"], folder)).stdout) as { state: string }).state;
  assert.equal(await state("stop", run), "stopped");
  truncateSync(join(run, "run.json"), 10);
  assert.equal(await state("status"), "damaged");
});

// The command line on a machine without onnxruntime-node: all but the language model works. Real processes in which the package can't be resolved.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { STATE_VARIABLE } from "../../../src/jobs/stateFolder.ts";
import { temporaryFolder } from "../fixtures.ts";
import { runCommand, weightsOf, writeTinyExperiment } from "./tinyExperiment.ts";

const source = join(import.meta.dirname, "../../..", "src");
const without = ["--import", pathToFileURL(join(import.meta.dirname, "../noOnnxRuntime.ts")).href];
const folder = temporaryFolder();

/** The command line without onnxruntime. */
function bare(...args: string[]) {
  return spawnSync(process.execPath, [...without, join(source, "cli", "main.ts"), ...args], {
    cwd: folder,
    encoding: "utf8",
    // Not behind a run that somebody has at work on this machine.
    env: { ...process.env, [STATE_VARIABLE]: join(folder, "state") },
  });
}

/** What an expression of a module of src/ gives, as JSON, with onnxruntime or without. */
function evaluated(runtime: "onnxruntime" | "none", code: string): unknown {
  const args = [...(runtime === "none" ? without : []), "--input-type=module", "--eval", code];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const imported = (path: string) => `await import(${JSON.stringify(pathToFileURL(join(source, path)).href)})`;

test("--version and doctor start; doctor names what is missing and that training goes on without", () => {
  const version = bare("--version");
  assert.equal(version.status, 0, version.stderr);
  assert.match(version.stdout, /^\d+\.\d+\.\d+/);
  const doctor = bare("doctor");
  assert.doesNotMatch(doctor.stderr, /\n {4}at /);
  assert.match(doctor.stdout, /onnxruntime .*Cannot find package/);
  assert.match(doctor.stdout, /language models need it/);
  assert.match(doctor.stdout, /matrix products by wasm \(no onnxruntime/);
});

test("train and evaluate work on stored activations; what needs the language model says so", async () => {
  const file = writeTinyExperiment(folder, {
    ensembles: { methods: ["bagging"], n_members: 2, seed_sets: 2 },
    evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 },
  });
  const run = (name: string, jobs: string) => ["run", file, "--run-folder", join(folder, name), "--jobs", jobs];
  const harvested = await runCommand([...run("harvested", "harvest"), "--plain"], folder);
  assert.equal(harvested.code, 0, harvested.stderr);
  cpSync(join(folder, "harvested"), join(folder, "bare"), { recursive: true });
  // As `train` has it: what is harvested is not harvested again, and the model not opened.
  const trained = bare("train", file, "--run-folder", join(folder, "bare"), "--plain");
  assert.equal(trained.status, 0, trained.stderr);
  assert.equal(Object.keys(weightsOf(join(folder, "bare"))).length, 4);
  cpSync(join(folder, "bare"), join(folder, "whole"), { recursive: true });
  const evaluate = (name: string) => [...run(name, "evaluate"), "--plain"];
  const own = bare(...evaluate("bare"));
  assert.equal(own.status, 0, own.stderr);
  const whole = await runCommand(evaluate("whole"), folder);
  assert.equal(whole.code, 0, whole.stderr);
  const [a, b] = ["bare", "whole"].map((name) => metricsOf(join(folder, name)));
  for (const key of ["mse", "diversity", "stability", "stability_hungarian"]) {
    assert.ok(Math.abs(a![key]!.value - b![key]!.value) < 1e-5, `${key}: ${a![key]!.value}, ${b![key]!.value}`);
  }
  mkdirSync(join(folder, "no-model"));
  const harvest = bare(...run("no-model/run", "harvest"), "--plain");
  assert.equal(harvest.status, 1, harvest.stderr);
  assert.match(harvest.stderr, /a language model needs onnxruntime-node, which can't be loaded here.*npm ci/);
});

function metricsOf(run: string): Record<string, { value: number }> {
  const report = JSON.parse(readFileSync(join(run, "report.json"), "utf8"));
  return report.methods[0].metrics;
}

test("the plain product is the product, over parts and columns left over", () => {
  const code = `
    const { plainProduct } = ${imported("evaluation/plainProduct.ts")};
    const [m, n, d] = [7, 6, 3];
    const a = Float32Array.from({ length: m * d }, (_, i) => (i % 5) - 2);
    const b = Float32Array.from({ length: n * d }, (_, i) => (i % 7) - 3);
    const product = await plainProduct(a, b, { m, n, d });
    const expected = [];
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
      expected.push([0, 1, 2].reduce((sum, t) => sum + a[i * d + t] * b[j * d + t], 0));
    }
    console.log(JSON.stringify([[...product], expected]));`;
  const [product, expected] = evaluated("none", code) as [number[], number[]];
  assert.deepEqual(product, expected);
});

test("each feature's nearest features are the same", () => {
  const code = `
    const { loadEnsemble } = ${imported("sae/ensembleFolder.ts")};
    const { nearestFeatures } = ${imported("features/nearestFeatures.ts")};
    const ensemble = await loadEnsemble(${JSON.stringify(join(folder, "bare", "ensembles", "bagging"))});
    const all = [];
    for await (const one of nearestFeatures(ensemble, { perMember: 3 })) all.push(one);
    console.log(JSON.stringify(all));`;
  const found = evaluated("none", code) as { nearest: unknown[][] }[];
  assert.equal(found.length, 96);
  assert.ok(found.every(({ nearest }) => nearest.length === 2 && nearest.every((list) => list.length === 3)));
  assert.deepEqual(found, evaluated("onnxruntime", code));
});

// Shows that SAEBench's own evaluations run on what we export: trains a bagging and a boosting ensemble on the demo model, exports them for Python, has SAEBench run core, SCR and sparse probing on them, and computes each number here, from the same tokens, with their formula and with ours. Not part of `npm test`: it needs Python.
//
//   pip install -r bench/peers/requirements-saebench.txt && npm run crosscheck:saebench -- [python]
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import Table from "cli-table3";
import { createCpuEngine } from "../../src/engine/cpu/cpuEngine.ts";
import { demoPath } from "../../src/jobs/demoData.ts";
import { readExperiment } from "../../src/jobs/experiment.ts";
import { exportEnsemble } from "../../src/jobs/exportEnsemble.ts";
import { runJobs } from "../../src/jobs/runJobs.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { loadEnsemble } from "../../src/sae/ensembleFolder.ts";
import { type Compared, compareCore } from "./saeBenchCore.ts";
import { compareProbing } from "./saeBenchProbing.ts";

const python = process.argv[2] ?? "python3";
const methods = ["bagging", "boosting"] as const;
const hook = "blocks.2.hook_resid_post";

const task = {
  model: "demo",
  model_path: demoPath("model"),
  bos_id: 0,
  d_in: 160,
  context_size: 128,
  batches: 4,
  batch_size: 16,
  // Small: what is shown is that numbers are equal, and SAEBench encodes and decodes the test texts anew for each of them.
  scr: { train: 120, test: 60, pair: ["professor", "nurse"], n_values: [10, 50] },
  sparse_probing: {
    train: 80,
    test: 40,
    classes: ["journalist", "nurse", "photographer", "professor", "surgeon", "teacher"],
    k_values: [1, 5],
  },
};

const folder = mkdtempSync(join(tmpdir(), "crosscheck-saebench-"));
let failed = false;
try {
  const runFolder = await trained();
  const ensembles: Record<string, string> = {};
  for (const method of methods) {
    ensembles[method] = join(folder, "exported", method);
    await exportEnsemble(join(runFolder, "ensembles", method), "python", ensembles[method]);
  }
  mkdirSync(join(folder, "texts"));
  unzipped(demoPath("testText"), join(folder, "texts", "train.jsonl"));
  const bios = { train: join(folder, "bios-train.jsonl"), test: join(folder, "bios-test.jsonl") };
  unzipped(demoPath("bios"), bios.train);
  unzipped(demoPath("testBios"), bios.test);
  writeFileSync(join(folder, "task.json"), JSON.stringify({ ...task, ensembles, texts: join(folder, "texts"), bios }));
  const script = join(import.meta.dirname, "saeBench.py");
  // One thread: the tensors are small, and where other work holds the cores, several wait for each other far longer.
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const { status } = spawnSync(python, [script, folder], { stdio: "inherit", env });
  if (status !== 0) throw new Error(`saeBench.py ended with ${status}`);

  const answers = JSON.parse(readFileSync(join(folder, "answers.json"), "utf8"));
  const model = await openLanguageModel(task.model_path);
  const engine = await createCpuEngine();
  try {
    for (const method of methods) {
      const ensemble = await loadEnsemble(ensembles[method]!);
      show(
        `${method}, core`,
        await compareCore(engine, model, ensemble, join(folder, `${method}.tokens.safetensors`), task, answers[method]),
      );
      show(
        `${method}, SCR and sparse probing`,
        await compareProbing(engine, ensemble, method, folder, task, answers[method]),
      );
    }
  } finally {
    await engine.close();
    await model.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

/** Two small ensembles of the demo's kind; the run's folder. */
async function trained(): Promise<string> {
  const file = join(folder, "crosscheck.sae.jsonc");
  writeFileSync(
    file,
    JSON.stringify({
      model_name: task.model,
      hook_name: hook,
      dataset_path: "demo",
      context_size: task.context_size,
      exclude_special_tokens: true,
      training_tokens: 100_000,
      train_batch_size_tokens: 1024,
      lr: 2e-3,
      lr_warm_up_steps: 20,
      dead_feature_window: 100,
      sae: { architecture: "topk", expansion_factor: 2, k: 16 },
      ensembles: { methods, n_members: 3 },
      activations: { tokens: 50_000 },
    }),
  );
  const experiment = readExperiment(file);
  await runJobs(experiment, ["harvest", "train"]);
  return experiment.paths.runFolder;
}

function unzipped(from: string, to: string): void {
  writeFileSync(to, gunzipSync(readFileSync(from)));
}

/** Prints a table and notes what is further apart than it may be. */
function show(title: string, rows: readonly Compared[]): void {
  const table = new Table({
    head: [title, "SAEBench", "its formula, computed here", "ours", ""],
    colAligns: ["left", "right", "right", "right", "left"],
    style: { head: [], border: [] },
  });
  for (const { name, theirs, same, ours, tolerance } of rows) {
    const apart = Math.abs(theirs - same);
    const ok = apart <= tolerance * Math.max(1, Math.abs(theirs));
    failed ||= !ok;
    const word = Number.isFinite(tolerance) ? (ok ? "same" : `apart by ${apart.toExponential(1)}`) : "";
    table.push([name, shown(theirs), shown(same), ours === null ? "" : shown(ours), word]);
  }
  console.log(table.toString());
}

function shown(value: number): string {
  return value.toPrecision(5);
}

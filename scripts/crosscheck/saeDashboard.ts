// Shows that our Neuronpedia JSON is what SAEDashboard writes and reads: indexes an SAE of the demo model over some rows of tokens, exports it, and has SAEDashboard load every batch, make its own of the same SAE and tokens, and compare the two. Not part of `npm test`: it needs Python.
//
//   pip install -r bench/peers/requirements-dashboard.txt && npm run crosscheck:dashboard -- [python] [hook of layer 2]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createCpuEngine } from "../../src/engine/cpu/cpuEngine.ts";
import { buildFeatureIndex } from "../../src/features/buildFeatureIndex.ts";
import type { IndexRow } from "../../src/features/indexWindows.ts";
import { demoPath } from "../../src/jobs/demoData.ts";
import { readExperiment } from "../../src/jobs/experiment.ts";
import { exportEnsemble } from "../../src/jobs/exportEnsemble.ts";
import { runJobs } from "../../src/jobs/runJobs.ts";
import type { LanguageModel } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { loadEnsemble } from "../../src/sae/ensembleFolder.ts";

const python = process.argv[2] ?? "python3";
const hook = process.argv[3] ?? "blocks.2.hook_resid_post";
/** Tokens of a row, BOS among them. */
const LENGTH = 64;
const ROWS = 128;

const folder = mkdtempSync(join(tmpdir(), "crosscheck-dashboard-"));
try {
  const ensemble = await trained();
  const model = await openLanguageModel(demoPath("model"));
  const rows = rowsOfTokens(model);
  await index(ensemble, model, rows);
  await model.close();
  const exported = join(folder, "neuronpedia");
  await exportEnsemble(ensemble, "neuronpedia", exported);
  writeFileSync(
    join(folder, "task.json"),
    JSON.stringify({
      model_path: demoPath("model"),
      bos_id: model.tokenizer.bosId,
      sae: join(ensemble, "member_0"),
      hook,
      layer: 2,
      exported,
      tokens: rows.map(({ ids }) => [...ids]),
    }),
  );
  const script = join(import.meta.dirname, "saeDashboard.py");
  const { status } = spawnSync(python, [script, folder], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The folder of a small single SAE. */
async function trained(): Promise<string> {
  const file = join(folder, "crosscheck.sae.jsonc");
  writeFileSync(
    file,
    JSON.stringify({
      model_name: "demo",
      hook_name: hook,
      dataset_path: "demo",
      context_size: 128,
      exclude_special_tokens: true,
      training_tokens: 60_000,
      train_batch_size_tokens: 1024,
      lr: 2e-3,
      lr_warm_up_steps: 20,
      sae: { architecture: "topk", expansion_factor: 2, k: 16 },
      ensembles: { methods: ["single"] },
      activations: { tokens: 30_000 },
    }),
  );
  const experiment = readExperiment(file);
  await runJobs(experiment, ["harvest", "train"]);
  return join(experiment.paths.runFolder, "ensembles", "single");
}

/** Beginnings of texts that are long enough, each after a BOS: rows of one length, as SAEDashboard wants them. */
function rowsOfTokens({ tokenizer }: LanguageModel): IndexRow[] {
  const lines = gunzipSync(readFileSync(demoPath("testText")))
    .toString("utf8")
    .trim()
    .split("\n");
  const rows: IndexRow[] = [];
  for (const [document, line] of lines.entries()) {
    const tokens = tokenizer.encode((JSON.parse(line) as { text: string }).text).slice(0, LENGTH - 1);
    if (tokens.length < LENGTH - 1) continue;
    rows.push({
      ids: Int32Array.from([tokenizer.bosId!, ...tokens.map(({ id }) => id)]),
      documents: [-1, ...tokens.map(() => document)],
      starts: [0, ...tokens.map(({ start }) => start)],
      ends: [0, ...tokens.map(({ end }) => end)],
    });
    if (rows.length === ROWS) break;
  }
  return rows;
}

async function index(path: string, model: LanguageModel, rows: readonly IndexRow[]): Promise<void> {
  const ensemble = await loadEnsemble(path);
  const engine = await createCpuEngine();
  const encoder = await engine.createEncoder(ensemble);
  const each = async function* (): AsyncGenerator<IndexRow> {
    yield* rows;
  };
  const source = { dataset_path: "demo" };
  await buildFeatureIndex({ path: join(path, "index.sqlite"), ensemble, encoder, model, rows: each(), source });
  await encoder.close();
  await engine.close();
}

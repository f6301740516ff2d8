// An experiment that runs in seconds on the tiny golden Llama, and the command line as a child process. Not a test.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { STATE_VARIABLE } from "../../../src/jobs/stateFolder.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

/** A queue of these tests alone, or they would wait for each other and for the runs of whoever runs them. */
const state = temporaryFolder();
const main = join(import.meta.dirname, "../../../src/cli/main.ts");

/** Writes `tiny.sae.jsonc` and its text to `folder`; `change` replaces top-level keys. Returns the experiment file. */
export function writeTinyExperiment(folder: string, change: object = {}, documents = 200): string {
  writeFileSync(join(folder, "text.txt"), texts(documents).join("\n\n"));
  const experiment = {
    model_name: golden("models", "llama"),
    hook_name: "blocks.1.hook_resid_post",
    dataset_path: "text.txt",
    context_size: 32,
    exclude_special_tokens: true,
    store_batch_size_prompts: 4,
    training_tokens: 6400,
    train_batch_size_tokens: 128,
    lr: 1e-3,
    dead_feature_window: 10,
    n_checkpoints: 9,
    // More would only wait for each other at this size.
    threads: 1,
    sae: { architecture: "topk", d_sae: 48, k: 4 },
    ensembles: { methods: ["single", "bagging", "boosting", "expanded"], n_members: 2 },
    activations: { tokens: 4000 },
    evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 200 },
    index: { tokens: 1500 },
    ...change,
  };
  const file = join(folder, "tiny.sae.jsonc");
  writeFileSync(file, `// Seconds on two cores.\n${JSON.stringify(experiment, null, 2)}\n`);
  return file;
}

/** Sentences of a few words in random order, the same every time. */
function texts(count: number): string[] {
  const random = SeededRandom.derive(1, "texts");
  const words =
    "the a nurse king river small old red house ran saw sang over under and then she he it was Friday".split(" ");
  return Array.from({ length: count }, () =>
    Array.from({ length: 20 + random.integer(30) }, () => words[random.integer(words.length)]).join(" "),
  );
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line from its sources. */
export function startCommand(args: readonly string[], cwd: string): { child: ChildProcess; ended: Promise<Ended> } {
  const env = { ...process.env, [STATE_VARIABLE]: state };
  const child = spawn(process.execPath, [main, ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended };
}

export function runCommand(args: readonly string[], cwd: string): Promise<Ended> {
  return startCommand(args, cwd).ended;
}

/** SHA-256 of every weights file of every ensemble of a run, by its path in the run folder. */
export function weightsOf(runFolder: string): Record<string, string> {
  const files = globSync("ensembles/*/*/*.safetensors", { cwd: runFolder }).sort();
  return Object.fromEntries(
    files.map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(join(runFolder, file)))
        .digest("hex"),
    ]),
  );
}

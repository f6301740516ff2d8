// A run of the demo's model, trained just enough that features fire: what the tests in a real VS Code work on.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const program = join(import.meta.dirname, "..", "dist", "sae-ensembles.js");

export type TinyJob = "harvest" | "train" | "index";

/** What a test's run is besides; the rest is the same in all. */
export interface TinyRun {
  readonly training_tokens: number;
  readonly ensembles: { readonly methods: readonly string[]; readonly n_members?: number };
  readonly index?: { readonly methods: readonly string[]; readonly tokens: number };
}

/** Writes tiny.sae.jsonc into a folder that is made for it. */
export function writeTinyExperiment(folder: string, { training_tokens, ...sections }: TinyRun): void {
  mkdirSync(folder, { recursive: true });
  const experiment = {
    model_name: "demo",
    hook_name: "blocks.2.hook_resid_post",
    dataset_path: "demo",
    context_size: 128,
    exclude_special_tokens: true,
    training_tokens,
    train_batch_size_tokens: 1024,
    lr: 2e-3,
    sae: { architecture: "topk", expansion_factor: 2, k: 16 },
    ...sections,
  };
  writeFileSync(join(folder, "tiny.sae.jsonc"), JSON.stringify(experiment));
}

/** Does the jobs of tiny.sae.jsonc by the command line, into runs/tiny beside it. */
export function runTiny(folder: string, jobs: readonly TinyJob[] = ["harvest", "train", "index"]): void {
  for (const job of jobs)
    execFileSync(process.execPath, [program, job, "tiny.sae.jsonc", "--no-queue"], {
      cwd: folder,
      stdio: "ignore",
      timeout: 10 * 60_000,
    });
}

// import-large, import-large-cold: a SAELens folder of 1 GB opened, checks and all, beside a plain read of its bytes; from the system's cache, and from the disk.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SaeConfig } from "../../src/sae/sae.ts";
import { saveSae } from "../../src/sae/saeLensFolder.ts";
import { runChild } from "../children/child.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { median, takeTurns } from "../median.ts";

const D_IN = 2048;
const D_SAE = 65_536;
const ROUNDS = 5;

const against = "reading the same bytes into memory and doing nothing with them";
const measures = `seconds to open a JumpReLU SAE of ${D_IN} → ${D_SAE} in float32 (1 GiB): read, turned, every value checked`;

export const importLargeClaim: Claim = {
  name: "import-large",
  measures: `${measures}; from the system's cache`,
  against,
  unit: "s",
  goal: 1,
  run: (bench) => importLarge(bench, false),
};

export const importLargeColdClaim: Claim = {
  name: "import-large-cold",
  measures: `${measures}; from the disk`,
  against,
  unit: "s",
  goal: 1,
  run: (bench) => importLarge(bench, true),
};

interface Opened {
  readonly seconds: number;
  readonly peakBytes: number;
}

async function importLarge(bench: Bench, cold: boolean): Promise<Measured> {
  const folder = join(bench.dataFolder, "import-large");
  if (!existsSync(join(folder, "cfg.json"))) {
    bench.log("writing the SAE");
    await saveSae(folder, largeSae());
  }
  const runs: Record<"ours" | "plain", Opened[]> = { ours: [], plain: [] };
  const turn = (which: "ours" | "plain") => async () => {
    if (cold) forget(join(folder, "sae_weights.safetensors"));
    const opened = await runChild<Opened>("openSae.ts", { folder, plain: which === "plain" });
    runs[which].push(opened);
    return [opened.seconds];
  };
  // Once before the clock counts, so that both read from the same cache.
  await turn("plain")();
  const times = await takeTurns(ROUNDS, { ours: turn("ours"), plain: turn("plain") });
  const [ours, peer] = [median(times["ours"]!), median(times["plain"]!)];
  const bytes = 4 * (2 * D_IN * D_SAE + 2 * D_SAE + D_IN);
  const peak = Math.max(...runs.ours.map(({ peakBytes }) => peakBytes));
  return {
    ours,
    peer,
    ratio: peer / ours,
    details: { gib: bytes / 2 ** 30, peak_memory_over_size: peak / bytes, rounds: ROUNDS },
    notes: [cold ? "The file was dropped from the system's cache before each." : "Both read from the system's cache."],
  };
}

/** Drops a file from the system's cache, as any user may (posix_fadvise, by coreutils' dd). */
function forget(file: string): void {
  const { status } = spawnSync("dd", [`if=${file}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
  if (status !== 0) throw new NotMeasurable("dropping a file from the cache needs coreutils' dd");
}

function largeSae() {
  const config: SaeConfig = {
    architecture: "jumprelu",
    d_in: D_IN,
    d_sae: D_SAE,
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: { hook_name: "blocks.12.hook_resid_post" },
  };
  const W_dec = Float32Array.from({ length: D_SAE * D_IN }, (_, at) => Math.sin(at));
  const vector = (n: number) => new Float32Array(n).fill(0.1);
  return {
    config,
    weights: { W_enc: W_dec, W_dec, b_enc: vector(D_SAE), b_dec: vector(D_IN), threshold: vector(D_SAE) },
  };
}

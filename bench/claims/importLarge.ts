// import-large: a SAELens folder of 1 GB opened, checks and all, beside a plain read of its bytes.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SaeConfig } from "../../src/sae/sae.ts";
import { saveSae } from "../../src/sae/saeLensFolder.ts";
import { runChild } from "../children/child.ts";
import type { Bench, Claim, Measured } from "../claim.ts";
import { median, takeTurns } from "../median.ts";

const D_IN = 2048;
const D_SAE = 65_536;
const ROUNDS = 5;

export const importLargeClaim: Claim = {
  name: "import-large",
  measures: `seconds to open a JumpReLU SAE of ${D_IN} → ${D_SAE} in float32 (1 GiB): read, turned, every value checked`,
  against: "reading the same bytes into memory and doing nothing with them",
  unit: "s",
  goal: 1,
  run: importLarge,
};

interface Opened {
  readonly seconds: number;
  readonly peakBytes: number;
}

async function importLarge(bench: Bench): Promise<Measured> {
  const folder = join(bench.dataFolder, "import-large");
  if (!existsSync(join(folder, "cfg.json"))) {
    bench.log("writing the SAE");
    await saveSae(folder, largeSae());
  }
  const runs: Record<"ours" | "plain", Opened[]> = { ours: [], plain: [] };
  const turn = (which: "ours" | "plain") => async () => {
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
    notes: ["Both sides read from the system's cache: from a disk, reading takes longer and the ratio is nearer 1."],
  };
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

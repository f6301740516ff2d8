// harvest-FAMILY: activations of every family of models at widths where arithmetic counts, in full windows, beside TransformerLens, transformers and the machine's rate of matrix products; and everybody's peak memory.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SeededRandom } from "../../src/data/seededRandom.ts";
import type { TokenBatch } from "../../src/model/languageModel.ts";
import { modelSize } from "../../src/model/modelSize.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { runChild } from "../children/child.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { onnxruntimeRate, rateShares, torchRate } from "../gemmRate.ts";
import { median, takeTurns } from "../median.ts";

const FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gelu-1l"] as const;
type Family = (typeof FAMILIES)[number];

/** SAELens' default context, filled. */
const CONTEXT = 128;
const ROWS = 16;
const ROUNDS = 4;
/** Ids that every model of bench/peers/random_models.py has. */
const VOCABULARY = 4096;
/** Norms of the same activations may differ by float32 rounding. */
const SAME = 1e-3;

export const harvestFamilyClaims: readonly Claim[] = FAMILIES.map((family) => ({
  name: `harvest-${family}`,
  measures: `tokens a second of a random ${family === "gelu-1l" ? "model of one layer" : "model of four layers"} to its last residual stream, ${ROWS} windows of ${CONTEXT} tokens a batch`,
  against:
    "TransformerLens (run_with_cache, stop_at_layer); transformers, the machine's GEMM rate and memory in the details",
  unit: "tokens/s",
  goal: 1.5,
  run: (bench) => harvest(bench, family),
}));

interface PeerRun {
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly probes: number[];
  readonly peakBytes: number;
}

async function harvest(bench: Bench, family: Family): Promise<Measured> {
  const folder = join(bench.dataFolder, `harvest-${family}`);
  const cacheFolder = join(bench.dataFolder, "harvest-cache");
  await mkdir(bench.dataFolder, { recursive: true });
  const lens = await bench.peer("harvest_families.py");
  const { torch } = await lens.ask<{ torch: string }>("write", { family, folder });
  const rows = windows();
  const batches = [rows];
  await lens.ask("prepare", { which: "hooked", folder, batches });
  // TransformerLens' own models are none of transformers'.
  const plain = family === "gelu-1l" ? null : await bench.peer("harvest_families.py");
  await plain?.ask("prepare", { which: "transformers", folder, batches });
  const model = await openLanguageModel(folder, { threads: bench.threads, cacheFolder });
  try {
    const { nLayers, dModel: d } = model.info;
    const hook = `blocks.${nLayers - 1}.hook_resid_post`;
    const batch: TokenBatch = {
      rows: ROWS,
      length: CONTEXT,
      ids: Int32Array.from(rows.flat()),
      lengths: new Int32Array(ROWS).fill(CONTEXT),
    };
    const ours = async () => {
      const [start, processor] = [performance.now(), process.cpuUsage()];
      const values = await model.capture(batch, hook);
      const { user, system } = process.cpuUsage(processor);
      return {
        seconds: (performance.now() - start) / 1000,
        processorSeconds: (user + system) / 1e6,
        probes: [Math.hypot(...values.subarray(d, 2 * d))],
      };
    };
    bench.log("warming up");
    const own = await ours();
    for (const peer of plain ? [lens, plain] : [lens]) {
      const other = await peer.ask<PeerRun>("run", { batches: 1 });
      if (!(Math.abs(own.probes[0]! / other.probes[0]! - 1) < SAME))
        throw new NotMeasurable(`not the same activations: norm ${own.probes[0]}, the peer's ${other.probes[0]}`);
    }
    const { perLayer } = await modelSize(folder);
    const inner = Math.round(perLayer / d / 4);
    const shapes = [
      [512, d, inner],
      [512, inner, d],
      [1024, 1024, 1024],
    ] as const;
    const tokens = ROWS * CONTEXT;
    const peaks = { hooked: 0, transformers: 0 };
    /** Tokens a second of processor time: each contender's best. */
    const byProcessor = { ours: 0, hooked: 0, transformers: 0 };
    const rate = (which: keyof typeof byProcessor, run: Pick<PeerRun, "seconds" | "processorSeconds">) => {
      byProcessor[which] = Math.max(byProcessor[which], tokens / run.processorSeconds);
      return [tokens / run.seconds];
    };
    const ask = (peer: typeof lens, which: keyof typeof peaks) => async () => {
      const run = await peer.ask<PeerRun>("run", { batches: 1 });
      peaks[which] = run.peakBytes;
      return rate(which, run);
    };
    const times = await takeTurns(ROUNDS, {
      ours: async () => rate("ours", await ours()),
      hooked: ask(lens, "hooked"),
      transformers: plain ? ask(plain, "transformers") : async () => [],
      onnxruntime: async () => [await onnxruntimeRate(bench.threads, shapes)],
      torch: async () => [await torchRate(shapes, lens)],
    });
    const { peakBytes } = await runChild<{ peakBytes: number }>("harvest.ts", {
      folder,
      cacheFolder,
      hook,
      rows: batches,
      threads: bench.threads,
    });
    const [our, hooked] = [median(times.ours), median(times.hooked)];
    const gflops = (tokensASecond: number) => (tokensASecond * 2 * perLayer * nLayers) / 1e9;
    const shares = rateShares(gflops(our), times.onnxruntime, times.torch);
    const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
    return {
      ours: our,
      peer: hooked,
      ratio: our / hooked,
      details: {
        ...(plain && {
          transformers: median(times.transformers),
          ratio_transformers: our / median(times.transformers),
        }),
        ...shares,
        peak_mib: mib(peakBytes),
        peak_mib_transformer_lens: mib(peaks.hooked),
        ...(plain && { peak_mib_transformers: mib(peaks.transformers) }),
        // Threads that wait spin, which counts as work: only with one thread does this mean anything.
        ...(bench.threads === 1 && {
          processor_time_ratio: byProcessor.ours / byProcessor.hooked,
          ...(plain && { processor_time_ratio_transformers: byProcessor.ours / byProcessor.transformers }),
          processor_time_share_of_gemm_rate: gflops(byProcessor.ours) / shares.gflops_machine,
        }),
        threads: bench.threads,
        d_model: d,
        layers: nLayers,
        torch,
      },
      notes: [
        "Windows are full, so nobody computes padding. Goals besides: ratio_transformers above 1, share_of_gemm_rate 0.85 (products with weights only, attention's own not counted).",
        "Under taskset of one core, the times by processor are given too, which a busy machine hardly lengthens.",
        "Peak memory is of a process that opens the model and harvests: onnxruntime and Node, or torch and the peer.",
      ],
    };
  } finally {
    await model.close();
  }
}

/** [ROWS][CONTEXT] */
function windows(): number[][] {
  const random = SeededRandom.derive(1, "harvest");
  return Array.from({ length: ROWS }, () => Array.from({ length: CONTEXT }, () => random.integer(VOCABULARY)));
}

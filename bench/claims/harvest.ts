// harvest: activations of SmolLM2-135M at layer 15 on texts as long as they are, beside TransformerLens, transformers and the machine's rate of matrix products.
import { readTexts } from "../../src/data/texts.ts";
import type { TokenBatch } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { tokenWindows } from "../../src/model/windows.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { onnxruntimeRate, rateShares, torchRate } from "../gemmRate.ts";
import { median, takeTurns } from "../median.ts";
import { reviews, smolLm2 } from "../sharedData.ts";

const LAYER = 15;
const HOOK = `blocks.${LAYER}.hook_resid_post`;
const TEXTS = 16;
const ROWS = 8;
const CONTEXT = 512;
const ROUNDS = 3;
/** Weights of one layer's matrices: q and o 576², k and v 576·192, three of the MLP 576·1536. */
const WEIGHTS_A_LAYER = 2 * 576 ** 2 + 2 * 576 * 192 + 3 * 576 * 1536;
/** Norms of the same activations may differ by float32 rounding through 16 layers. */
const SAME = 1e-3;

export const harvestClaim: Claim = {
  name: "harvest",
  measures: `tokens a second of SmolLM2-135M to ${HOOK}, film reviews a row each as long as they are (at most ${CONTEXT} tokens), ${ROWS} rows a batch`,
  against: "TransformerLens (run_with_cache, stop_at_layer); transformers and the machine's GEMM rate in the details",
  unit: "tokens/s",
  goal: 1.5,
  run: harvest,
};

interface PeerRun {
  readonly seconds: number;
  readonly probes: number[];
}

async function harvest(bench: Bench): Promise<Measured> {
  const path = smolLm2();
  const model = await openLanguageModel(path, { threads: bench.threads });
  try {
    const batches = await firstBatches(reviews(), model.tokenizer);
    const tokens = batches.reduce((sum, batch) => sum + batch.lengths.reduce((n, length) => n + length, 0), 0);
    const padded = batches.reduce((sum, batch) => sum + batch.rows * batch.length, 0);
    const peer = await bench.peer("harvest.py");
    bench.log("loading the peers' models");
    const { torch } = await peer.ask<{ torch: string }>("prepare", {
      model: path,
      layer: LAYER,
      batches: batches.map(rowsOf),
    });
    const d = model.info.dModel;
    const ours = async (count: number) => {
      const start = performance.now();
      const probes: number[] = [];
      for (const batch of batches.slice(0, count)) {
        const values = await model.capture(batch, HOOK);
        probes.push(Math.hypot(...values.subarray(d, 2 * d)));
      }
      return { seconds: (performance.now() - start) / 1000, probes };
    };
    bench.log("warming up");
    const [own, hooked, plain] = [
      await ours(1),
      await peer.ask<PeerRun>("run", { which: "hooked", batches: 1 }),
      await peer.ask<PeerRun>("run", { which: "transformers", batches: 1 }),
    ];
    for (const other of [hooked, plain]) {
      const off = Math.abs(own.probes[0]! / other.probes[0]! - 1);
      if (off > SAME)
        throw new NotMeasurable(`not the same activations: norm ${own.probes[0]}, the peer's ${other.probes[0]}`);
    }
    const rate = ({ seconds }: { seconds: number }) => [tokens / seconds];
    const ask = (which: string) => async () => rate(await peer.ask<PeerRun>("run", { which, batches: batches.length }));
    const times = await takeTurns(ROUNDS, {
      ours: async () => rate(await ours(batches.length)),
      hooked: ask("hooked"),
      transformers: ask("transformers"),
      onnxruntime: async () => [await onnxruntimeRate(bench.threads, GEMM_SHAPES)],
      torch: async () => [await torchRate(GEMM_SHAPES, peer)],
    });
    const [our, lens, hf] = [median(times.ours), median(times.hooked), median(times.transformers)];
    const ourGflops = (our * 2 * WEIGHTS_A_LAYER * (LAYER + 1)) / 1e9;
    return {
      ours: our,
      peer: lens,
      ratio: our / lens,
      details: {
        transformers: hf,
        ratio_transformers: our / hf,
        ratio_counting_peers_padding: our / (lens * (padded / tokens)),
        ratio_transformers_counting_its_padding: our / (hf * (padded / tokens)),
        ...rateShares(ourGflops, times.onnxruntime, times.torch),
        tokens,
        padded_tokens: padded,
        torch,
      },
      notes: [
        "Same rows of tokens for all, in the order of the file; tokens are real ones, padding not counted. The ratios that count it credit the peers with padding as if it were text.",
        "The machine's rate of matrix products is the best that onnxruntime or torch reached on any of a few shapes.",
        "Goals besides: ratio_transformers above 1, share_of_gemm_rate 0.85 (products with weights only, attention's own not counted).",
      ],
    };
  } finally {
    await model.close();
  }
}

async function firstBatches(
  path: string,
  tokenizer: Parameters<typeof tokenWindows>[1],
): Promise<readonly TokenBatch[]> {
  const batches: TokenBatch[] = [];
  let rows: Int32Array[] = [];
  const windows = tokenWindows(readTexts(path), tokenizer, {
    contextSize: CONTEXT,
    prependBos: true,
    packing: "one_text_per_row",
  });
  for await (const { ids } of windows) {
    rows.push(ids);
    if (rows.length < ROWS) continue;
    const length = Math.max(...rows.map((row) => row.length));
    const padded = new Int32Array(ROWS * length);
    for (const [r, row] of rows.entries()) padded.set(row, r * length);
    batches.push({ rows: ROWS, length, ids: padded, lengths: Int32Array.from(rows, (row) => row.length) });
    rows = [];
    if (batches.length * ROWS >= TEXTS) break;
  }
  return batches;
}

function rowsOf(batch: TokenBatch): number[][] {
  return Array.from({ length: batch.rows }, (_, r) =>
    Array.from(batch.ids.subarray(r * batch.length, r * batch.length + batch.lengths[r]!)),
  );
}

/** [m, k, n]: the model's own products, and squares that suit any library. */
const GEMM_SHAPES = [
  [2048, 576, 1536],
  [2048, 1536, 576],
  [1024, 1024, 1024],
  [2048, 2048, 2048],
] as const;

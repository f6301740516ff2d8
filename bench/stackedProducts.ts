// Whether a bagging ensemble's encoders are multiplied faster stacked into one product or one after the other: the CPU engine's own calls, in turns, on all cores.
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { NativeGemm } from "../src/engine/cpu/gemm.ts";
import { BLOCK_ROWS } from "../src/engine/cpu/layout.ts";
import { median } from "./median.ts";

const [MEMBERS, F, d, B] = [8, 4096, 576, 2048];
const ROUNDS = 7;
const ways = ["stacked", "one after the other"] as const;
type Way = (typeof ways)[number];

interface Shared {
  readonly X: Float32Array;
  readonly W: Float32Array;
  readonly next: Int32Array;
}

if (isMainThread) await measure();
else await work(workerData as Shared);

async function measure(): Promise<void> {
  const shared = (n: number) => {
    const values = new Float32Array(new SharedArrayBuffer(4 * n));
    for (let i = 0; i < n; i++) values[i] = Math.sin(i);
    return values;
  };
  const data: Shared = {
    X: shared(B * d),
    W: shared(MEMBERS * F * d),
    next: new Int32Array(new SharedArrayBuffer(4)),
  };
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(new URL(import.meta.url), { workerData: data }),
  );
  const turn = async (way: Way): Promise<number> => {
    data.next[0] = 0;
    const start = performance.now();
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            worker.once("error", reject);
            worker.once("message", () => resolve());
            worker.postMessage(way);
          }),
      ),
    );
    for (const worker of workers) worker.removeAllListeners("error");
    return performance.now() - start;
  };
  for (const way of ways) await turn(way);
  const ms: Record<Way, number[]> = { stacked: [], "one after the other": [] };
  for (let round = 0; round < ROUNDS; round++) for (const way of ways) ms[way].push(await turn(way));
  await Promise.all(workers.map((worker) => worker.terminate()));
  const [stacked, single] = ways.map((way) => median(ms[way])) as [number, number];
  const ratios = ms.stacked.map((one, round) => ms["one after the other"][round]! / one);
  console.log(
    JSON.stringify({
      MEMBERS,
      F,
      d,
      B,
      stacked_ms: stacked,
      one_after_the_other_ms: single,
      ratio: median(ratios),
      ratios,
    }),
  );
}

/** Blocks of rows, first come, first served, as in a step. */
async function work({ X, W, next }: Shared): Promise<void> {
  const gemm = await NativeGemm.load();
  if (!(gemm instanceof NativeGemm)) throw new Error(gemm.reason);
  const out = new Float32Array(new SharedArrayBuffer(4 * BLOCK_ROWS * MEMBERS * F));
  const product = (rows: Float32Array, members: Float32Array, n: number) =>
    gemm.run(
      "nt",
      { data: rows, shape: [BLOCK_ROWS, d] },
      { data: members, shape: [n, d] },
      out.subarray(0, BLOCK_ROWS * n),
      [BLOCK_ROWS, n],
    );
  parentPort!.on("message", async (way: Way) => {
    const blocks = B / BLOCK_ROWS;
    // One after the other: a member's blocks, then the next one's, as steps follow each other.
    const units = way === "stacked" ? blocks : blocks * MEMBERS;
    for (let unit = Atomics.add(next, 0, 1); unit < units; unit = Atomics.add(next, 0, 1)) {
      const block = unit % blocks;
      const member = Math.floor(unit / blocks);
      const rows = X.subarray(block * BLOCK_ROWS * d, (block + 1) * BLOCK_ROWS * d);
      if (way === "stacked") await product(rows, W, MEMBERS * F);
      else await product(rows, W.subarray(member * F * d, (member + 1) * F * d), F);
    }
    parentPort!.postMessage("done");
  });
}

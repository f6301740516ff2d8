// device-channel: how long a batch of activations is on its way to the process in which a GPU's driver works.
import { fork } from "node:child_process";
import { once } from "node:events";
import { ChildCalls } from "../../src/formats/childCalls.ts";
import type { Batch } from "../children/channelSink.ts";
import type { Claim, Measured } from "../claim.ts";
import { median, takeTurns } from "../median.ts";

const ROWS = 10_000;
const D_IN = 2304;
const ROUNDS = 9;

export const deviceChannelClaim: Claim = {
  name: "device-channel",
  measures: `milliseconds for a batch of ${ROWS} × ${D_IN} float32 (88 MiB) to the GPU's process, and one number back`,
  against: "Node's own channel to a child process (structured clones)",
  unit: "ms",
  goal: 3,
  run: deviceChannel,
};

const sink = new URL("../children/channelSink.ts", import.meta.url);

async function deviceChannel(): Promise<Measured> {
  const x = Float32Array.from({ length: ROWS * D_IN }, (_, at) => at % 1000);
  const last = x.at(-1)!;
  const calls = new ChildCalls<Batch>(sink, {
    process: "the sink",
    device: "the sink",
    advice: () => "",
    error: (message) => new Error(message),
  });
  const peer = fork(sink, ["node"], { serialization: "advanced" });
  const check = (found: unknown) => {
    if (found !== last) throw new Error(`the batch ended with ${String(found)} there and with ${last} here`);
  };
  const timed = async (send: () => Promise<unknown>): Promise<number[]> => {
    const start = performance.now();
    check(await send());
    return [performance.now() - start];
  };
  const ours = () => timed(() => calls.call({ kind: "batch", x }));
  const nodes = () =>
    timed(async () => {
      const reply = once(peer, "message");
      peer.send({ kind: "batch", x } satisfies Batch);
      return (await reply)[0];
    });
  try {
    // Once before the clock counts: both processes have started.
    await ours();
    await nodes();
    const times = await takeTurns(ROUNDS, { ours, nodes });
    const [own, other] = [median(times["ours"]!), median(times["nodes"]!)];
    const mib = x.byteLength / 2 ** 20;
    return {
      ours: own,
      peer: other,
      ratio: other / own,
      details: { mib, mib_per_second: (1000 * mib) / own, peer_mib_per_second: (1000 * mib) / other, rounds: ROUNDS },
      notes: [],
    };
  } finally {
    peer.kill();
    await calls.close();
  }
}

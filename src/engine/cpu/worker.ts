// Entry of a worker thread of the CPU engine: opens jobs and does its share of each call. All threads get every call.
import { parentPort, workerData } from "node:worker_threads";
import { Aborted, Crew } from "./crew.ts";
import { denseStep } from "./denseStep.ts";
import { encodeRows } from "./encodeRows.ts";
import { NativeGemm } from "./gemm.ts";
import { Job } from "./job.ts";
import type { Call, Reply, WorkerStart } from "./team.ts";
import { trainStep } from "./trainStep.ts";

const start = workerData as WorkerStart;
const crew = new Crew(start.control, start.partials, start.index, start.threads);
const jobs = new Map<number, Job>();
const loaded = start.native ? await NativeGemm.load() : undefined;
const native = loaded instanceof NativeGemm ? loaded : undefined;

async function answer(call: Call): Promise<unknown> {
  switch (call.kind) {
    case "hello":
      return { native: native !== undefined, reason: loaded && "reason" in loaded ? loaded.reason : undefined };
    case "open": {
      const job = new Job(call.description, crew, start.module, native);
      jobs.set(call.job, job);
      if (crew.index === 0) job.computeNorms();
      return undefined;
    }
    case "lay":
      jobs.get(call.job)!.lay(call.rows, call.needs);
      return undefined;
    case "step":
      return trainStep(jobs.get(call.job)!, call.member, call.count, call.input);
    case "denseStep":
      return denseStep(jobs.get(call.job)!, call.member, call.count, call.input, call.buffers);
    case "encode":
      return encodeRows(jobs.get(call.job)!, call.member, call.decodes);
    case "close":
      jobs.delete(call.job);
      return undefined;
  }
}

parentPort!.on("message", async ({ id, call }: { id: number; call: Call }) => {
  let reply: Reply;
  try {
    reply = { id, result: await answer(call) };
  } catch (error) {
    crew.abort();
    reply =
      error instanceof Aborted
        ? { id, aborted: true }
        : { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort!.postMessage(reply);
});

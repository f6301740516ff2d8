// Codes and reconstruction of the rows at hand by one SAE, inside a worker.
import { findCodes, selectCodes } from "./codes.ts";
import { decodeTile } from "./decodeTile.ts";
import type { Job } from "./job.ts";
import { TILE } from "./layout.ts";

/** Leaves the codes in the memories' first lists, by row, and, where it decodes, x̂ in the first memory's `out`. */
export async function encodeRows(job: Job, number: number, decodes: boolean): Promise<{ done: boolean }> {
  const sae = job.description.saes[number]!;
  const places = job.places(sae);
  const selection = { sae, number, auxK: 0, auxPositive: false, training: false, moments: false };
  if (!decodes) return { done: await selectCodes(job, selection, places) };
  if (!(await findCodes(job, selection))) return { done: false };
  const home = places[0]!;
  const { scratch, kernels } = home;
  for (const tile of job.crew.units(sae.d / TILE)) {
    const decoded = decodeTile(job, places, tile, "a", true);
    kernels.untile(decoded, scratch.out + tile * TILE * 4, sae.d, job.rows, scratch.outScale, scratch.outShift);
  }
  job.crew.barrier();
  return { done: true };
}

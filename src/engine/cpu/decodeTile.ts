// Decoding, 32 columns at a time: x̂ from the grouped codes of all slabs, inside a worker.
import { floats, type Job, type Place } from "./job.ts";
import { TILE } from "./layout.ts";
import { tileOf } from "./step.ts";

/** x̂ of 32 columns from all slabs' codes, then the gradient by it, to every memory that has latents of this SAE. */
export function decodeTile(
  job: Job,
  places: readonly Place[],
  tile: number,
  list: "a" | "b",
  withBias: boolean,
): number {
  const home = places[0]!;
  const { rows } = job;
  const out = list === "a" ? tileOf(home.scratch.GT, tile, rows) : tileOf(home.scratch.GT2, tile, rows);
  const bias = withBias ? home.slab.at.b_dec! + tile * TILE * 4 : home.scratch.zeros;
  home.kernels.fillTile(out, bias, rows);
  for (const place of places) {
    const { kernels, scratch, slab, worker } = place;
    const pairs = scratch[list];
    const W = tileOf(slab.at.W_dec!, tile, slab.padded);
    if (place === home) {
      kernels.scatter(out, W, pairs.off, pairs.rowOf, pairs.values, 0, slab.padded);
      continue;
    }
    kernels.fillTile(worker.tile, scratch.zeros, rows);
    kernels.scatter(worker.tile, W, pairs.off, pairs.rowOf, pairs.values, 0, slab.padded);
    floats(home, home.worker.tile2, rows * TILE).set(floats(place, worker.tile, rows * TILE));
    home.kernels.addInto(out, home.worker.tile2, rows * TILE);
  }
  return out;
}

/** Copies a tile that the home memory has just got to the other memories of the SAE. */
export function spread(job: Job, places: readonly Place[], tile: number, of: "GT" | "GT2"): void {
  const home = places[0]!;
  const length = job.rows * TILE;
  for (const place of places.slice(1)) {
    floats(place, tileOf(place.scratch[of], tile, job.rows), length).set(
      floats(home, tileOf(home.scratch[of], tile, job.rows), length),
    );
  }
}

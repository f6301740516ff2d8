// Decoding, 32 columns at a time: x̂ from the grouped codes of all slabs, whole or level by level, inside a worker.
import { floats, type Job, type Place } from "./job.ts";
import { type SaePlan, TILE } from "./layout.ts";
import { latentsOf } from "./levels.ts";
import { tileOf } from "./step.ts";

/** x̂ of 32 columns from all slabs' codes. */
export function decodeTile(
  job: Job,
  places: readonly Place[],
  tile: number,
  list: "a" | "b",
  withBias: boolean,
): number {
  const home = places[0]!;
  const out = startTile(job, home, tile, list, withBias);
  for (const place of places) addDecoded(job, home, place, tile, list, out, 0, place.slab.padded);
  return out;
}

/** The same with a stop after each level but the last: `between` gets what the latents up to it make of x̂. */
export function decodeLevels(
  job: Job,
  sae: SaePlan,
  places: readonly Place[],
  tile: number,
  levels: number,
  between: (level: number, decoded: number) => void,
): number {
  const home = places[0]!;
  const out = startTile(job, home, tile, "a", true);
  for (let level = 0; level < levels; level++) {
    for (const place of places) {
      const [i0, i1] = latentsOf(sae, place, level);
      if (i0 < i1) addDecoded(job, home, place, tile, "a", out, i0, i1);
    }
    if (level < levels - 1) between(level, out);
  }
  return out;
}

function startTile(job: Job, home: Place, tile: number, list: "a" | "b", withBias: boolean): number {
  const out = tileOf(list === "a" ? home.scratch.GT : home.scratch.GT2, tile, job.rows);
  const bias = withBias ? home.slab.at.b_dec! + tile * TILE * 4 : home.scratch.zeros;
  home.kernels.fillTile(out, bias, job.rows);
  return out;
}

/** Adds what latents [i0, i1) of a slab decode to. */
function addDecoded(
  { rows }: Job,
  home: Place,
  place: Place,
  tile: number,
  list: "a" | "b",
  out: number,
  i0: number,
  i1: number,
): void {
  const { kernels, scratch, slab, worker } = place;
  const pairs = scratch[list];
  const W = tileOf(slab.at.W_dec!, tile, slab.padded);
  if (place === home) {
    kernels.scatter(out, W, pairs.off, pairs.rowOf, pairs.values, i0, i1);
    return;
  }
  kernels.fillTile(worker.tile, scratch.zeros, rows);
  kernels.scatter(worker.tile, W, pairs.off, pairs.rowOf, pairs.values, i0, i1);
  floats(home, home.worker.tile2, rows * TILE).set(floats(place, worker.tile, rows * TILE));
  home.kernels.addInto(out, home.worker.tile2, rows * TILE);
}

/** Copies a tile that the home memory has just got to the other memories of the SAE. `tiles`: where a memory has them. */
export function spread(job: Job, places: readonly Place[], tile: number, tiles: (place: Place) => number): void {
  const home = places[0]!;
  const length = job.rows * TILE;
  for (const place of places.slice(1)) {
    floats(place, tileOf(tiles(place), tile, job.rows), length).set(
      floats(home, tileOf(tiles(home), tile, job.rows), length),
    );
  }
}

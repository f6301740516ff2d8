// Finds the quickest register tile of the matrix product for an adapter and shape by trying a few, and remembers it in a file.
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import type { Gpu } from "./gpu.ts";
import { DEFAULT_TILE, type GemmTile } from "./kernels.ts";
import { type Layouts, plainLayout } from "./layouts.ts";
import { measureTile } from "./tileRate.ts";

/** All fit 16 KiB of workgroup memory; the default comes first and wins a tie. */
export const TILES: readonly GemmTile[] = [
  DEFAULT_TILE,
  { side: 16, rows: 8, latents: 4, depth: 4 },
  { side: 16, rows: 4, latents: 8, depth: 4 },
  { side: 16, rows: 2, latents: 4, depth: 8 },
];

/** A tile has to be this much quicker than the default to be worth it: less is noise. */
const WORTH = 0.97;
/** Operations that a trial may take at most: a part of the batch tells as much as the whole. */
const MOST_OPERATIONS = 2e10;

const fileSchema = z.record(z.string(), z.object({ side: z.int(), rows: z.int(), latents: z.int(), depth: z.int() }));

/** `file` is made where it isn't there; one that can't be read is made anew. */
export function tunedLayouts(gpu: Gpu, file: string): Layouts {
  const known = new Map<string, GemmTile>(Object.entries(read(file)));
  const plain = plainLayout(gpu.description);
  return {
    for: async ({ d_in: d, d_sae: F }, rows) => {
      // Software has no tile worth the trials.
      if (gpu.description.software) return plain;
      const tried = Math.max(64, Math.min(rows, Math.floor(MOST_OPERATIONS / (2 * d * F))));
      const key = `${gpu.description.key} d${d} F${F} rows${2 ** Math.round(Math.log2(tried))}`;
      const before = known.get(key);
      if (before && TILES.some((tile) => same(tile, before))) return { ...plain, tile: before };
      const best = await quickest(gpu, { rows: tried, d, F });
      known.set(key, best);
      await mkdir(dirname(file), { recursive: true });
      await writeFileAtomic(file, `${JSON.stringify({ ...read(file), ...Object.fromEntries(known) }, null, 1)}\n`);
      return { ...plain, tile: best };
    },
  };
}

export async function quickest(gpu: Gpu, shape: { rows: number; d: number; F: number }): Promise<GemmTile> {
  let best = DEFAULT_TILE;
  let least = ((await measureTile(gpu, shape, DEFAULT_TILE)) ?? Number.POSITIVE_INFINITY) * WORTH;
  for (const tile of TILES.slice(1)) {
    const ms = await measureTile(gpu, shape, tile);
    if (ms === null || ms >= least) continue;
    best = tile;
    least = ms;
  }
  return best;
}

function read(file: string): Record<string, GemmTile> {
  if (!existsSync(file)) return {};
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {};
  }
}

function same(a: GemmTile, b: GemmTile): boolean {
  return a.side === b.side && a.rows === b.rows && a.latents === b.latents && a.depth === b.depth;
}

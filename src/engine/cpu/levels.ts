// Levels of a matryoshka: the latents between one width and the next are in the same reconstructions, so the same gradient reaches them. Every other SAE is one level.
import { floats, type Place } from "./job.ts";
import { type SaePlan, TILE } from "./layout.ts";
import { tileOf } from "./step.ts";

/** Widths up to which latents reconstruct: the whole's alone but for a matryoshka. */
export function widthsOf({ config }: SaePlan): readonly number[] {
  return config.matryoshka_widths ?? [config.d_sae];
}

/** Latents [i0, i1) of a slab that belong to a level; what pads the slab belongs to the last one. Empty where the slab has none. */
export function latentsOf(sae: SaePlan, { slab }: Place, level: number): [number, number] {
  const widths = widthsOf(sae);
  const within = (width: number): number => Math.min(Math.max(width - slab.lo, 0), slab.n);
  return [within(widths[level - 1] ?? 0), level === widths.length - 1 ? slab.padded : within(widths[level]!)];
}

/** Tiles of the gradient by what a level's latents decode to: of the whole, and of every width that holds them. */
export function gradientOf(sae: SaePlan, { scratch }: Place, level: number, rows: number): number {
  return level === widthsOf(sae).length - 1 ? scratch.GT : scratch.inner + level * rows * sae.d * 4;
}

/** Σ_t of the gradient by what an inner width decodes to, [d]. */
export function innerSums({ d }: SaePlan, { scratch }: Place, level: number): number {
  return scratch.innerSums + level * d * 4;
}

/** Σ(x̂ − x)² of each tile of an inner width, float64. */
export function innerErrors({ d }: SaePlan, { memory, scratch }: Place, level: number): Float64Array {
  const tiles = d / TILE;
  return new Float64Array(memory.buffer, scratch.innerErrors + level * tiles * 8, tiles);
}

/** Adds each width's gradient to those of the levels below it, for one tile: a level's latents are in every wider reconstruction. */
export function addUpLevels(sae: SaePlan, home: Place, tile: number, rows: number): void {
  for (let level = widthsOf(sae).length - 2; level >= 0; level--) {
    const at = (one: number): number => tileOf(gradientOf(sae, home, one, rows), tile, rows);
    home.kernels.addInto(at(level), at(level + 1), rows * TILE);
  }
}

/** What an inner width has decoded so far, to the place of its gradient. */
export function keepInner(
  sae: SaePlan,
  home: Place,
  tile: number,
  level: number,
  rows: number,
  decoded: number,
): number {
  const to = tileOf(gradientOf(sae, home, level, rows), tile, rows);
  floats(home, to, rows * TILE).set(floats(home, decoded, rows * TILE));
  return to;
}

// How the kernels are laid out for a shape on this adapter.
import type { SaeConfig } from "../../sae/sae.ts";
import { DEFAULT_TILE, type Layout, SOFTWARE_TILE, SOFTWARE_WIDTH, WIDTH } from "./kernels.ts";
import type { AdapterDescription } from "./protocol.ts";

export interface Layouts {
  for(sae: Pick<SaeConfig, "d_in" | "d_sae">, rows: number): Promise<Layout>;
}

/** Without trials: what is good everywhere, or on a processor. */
export function plainLayout({ software }: AdapterDescription): Layout {
  return software ? { width: SOFTWARE_WIDTH, tile: SOFTWARE_TILE } : { width: WIDTH, tile: DEFAULT_TILE };
}

// How the kernels are laid out for a shape on this adapter.
import type { SaeConfig } from "../../sae/sae.ts";
import { type Constants, vec4s } from "./kernels.ts";
import { constantsOf, PLAIN, type Product, SOFTWARE_PLAIN } from "./products.ts";
import type { AdapterDescription } from "./protocol.ts";

export interface Layout {
  /** Threads of a workgroup. */
  readonly width: number;
  readonly product: Product;
  /** What the product is checked against before it is used, and replaced by where it differs. */
  readonly plain: Product;
  /** Reductions by the GPU's subgroups. */
  readonly subgroups: boolean;
  /** Rows of all members in one product, so that it doesn't hold the device up for too long. */
  readonly mostRows: number;
}

export interface Layouts {
  /** `autocast`: the product's operands may be rounded to float16. */
  for(sae: Pick<SaeConfig, "d_in" | "d_sae">, rows: number, autocast: boolean): Promise<Layout>;
  /** A product came to other numbers than the plain one: it isn't given again. */
  avoid(product: Product): Promise<void>;
}

export const WIDTH = 128;
/** Software runs threads one after the other, and few of them quicker. */
const SOFTWARE_WIDTH = 32;

/** Without trials: what is good everywhere, or on a processor. `width`: another than the adapter's. */
export function plainLayout({ software, subgroups }: AdapterDescription, width?: number): Layout {
  const plain = software ? SOFTWARE_PLAIN : PLAIN;
  const mostRows = Number.POSITIVE_INFINITY;
  return { width: width ?? (software ? SOFTWARE_WIDTH : WIDTH), product: plain, plain, subgroups, mostRows };
}

/** The same with the plain product. */
export function withPlainProduct(layout: Layout): Layout {
  return { ...layout, product: layout.plain };
}

/** The constants of a layout, but for those of its product. */
export function layoutConstants({ width, subgroups }: Layout, d_in: number): Constants {
  return {
    WIDTH: `${width}u`,
    VECS: `${Math.ceil(vec4s(d_in) / width)}u`,
    SUBGROUPS: `${subgroups}`,
  };
}

/** Those of its product as well. */
export function withProduct(constants: Constants, product: Product): Constants {
  return { ...constants, ...constantsOf(product) };
}

// Finds the quickest way to compute the matrix product on an adapter and for a shape by trying what the adapter offers, and remembers it in a file.
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import type { Gpu } from "./gpu.ts";
import { type Layouts, plainLayout } from "./layouts.ts";
import { measureProduct, type ProductShape } from "./productRate.ts";
import { nameOf, type Product, productsFor, workgroupBytes } from "./products.ts";

/** Another product has to be this much quicker than the plain one to be worth it: less is noise. */
const WORTH = 0.97;
/** Operations that a trial may take at most: a part of the batch tells as much as the whole. */
const MOST_OPERATIONS = 2e10;

/** By adapter and shape the name of the product; by adapter those that are not to be used. */
const fileSchema = z.object({
  products: z.record(z.string(), z.string()),
  avoided: z.record(z.string(), z.array(z.string())),
});
type File = z.infer<typeof fileSchema>;

/** `file` is made where it isn't there; one that can't be read is made anew. */
export function tunedLayouts(gpu: Gpu, file: string, tunesSoftware = false): Layouts {
  const plain = plainLayout(gpu.description);
  const { key, software } = gpu.description;
  return {
    for: async ({ d_in: d, d_sae: F }, rows, autocast) => {
      // Software has nothing worth the trials.
      if (software && !tunesSoftware) return plain;
      const { products, avoided } = read(file);
      const offered = offeredBy(gpu, autocast).filter((one) => !avoided[key]?.includes(nameOf(one)));
      const tried = Math.max(64, Math.min(rows, Math.floor(MOST_OPERATIONS / (2 * d * F))));
      const shape = `${key} d${d} F${F} rows${2 ** Math.round(Math.log2(tried))}${autocast ? " autocast" : ""}`;
      const known = offered.find((one) => nameOf(one) === products[shape]);
      if (known) return { ...plain, product: known };
      const product = await quickest(gpu, { rows: tried, d, F }, offered, (name, isTried) =>
        avoid(file, key, name, isTried),
      );
      await change(file, (before) => {
        before.products[shape] = nameOf(product);
      });
      return { ...plain, product };
    },
    avoid: (product) => avoid(file, key, nameOf(product), true),
  };
}

/** Of what the adapter has, that which fits its workgroup memory. */
export function offeredBy({ description }: Gpu, autocast: boolean): readonly Product[] {
  return productsFor(description, autocast).filter(
    (one) => workgroupBytes(one) <= description.maxComputeWorkgroupStorageSize,
  );
}

/** `mark` is told of a trial's begin and end: one that the driver doesn't survive is not tried again. */
export async function quickest(
  gpu: Gpu,
  shape: ProductShape,
  offered: readonly Product[],
  mark: (name: string, isTried: boolean) => Promise<void>,
): Promise<Product> {
  const [plain, ...others] = offered;
  let best = plain!;
  let least = ((await measureProduct(gpu, shape, plain!)) ?? Number.POSITIVE_INFINITY) * WORTH;
  for (const product of others) {
    const name = nameOf(product);
    await mark(name, true);
    const ms = await measureProduct(gpu, shape, product);
    await mark(name, false);
    if (ms === null || ms >= least) continue;
    best = product;
    least = ms;
  }
  return best;
}

function avoid(file: string, key: string, name: string, isAvoided: boolean): Promise<void> {
  return change(file, ({ avoided }) => {
    const others = (avoided[key] ?? []).filter((one) => one !== name);
    avoided[key] = isAvoided ? [...others, name] : others;
  });
}

async function change(file: string, how: (content: File) => void): Promise<void> {
  const content = read(file);
  how(content);
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(content, null, 1)}\n`);
}

function read(file: string): File {
  const none = { products: {}, avoided: {} };
  if (!existsSync(file)) return none;
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return none;
  }
}

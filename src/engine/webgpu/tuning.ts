// Finds the quickest way to compute the matrix product on an adapter and for a shape by trying what the adapter offers, and remembers it in a file.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { acquireFileLock } from "../../formats/fileLock.ts";
import type { Gpu } from "./gpu.ts";
import { type Layouts, plainLayout } from "./layouts.ts";
import { measureProduct, type ProductShape } from "./productRate.ts";
import { nameOf, type Product, productsFor, workgroupBytes } from "./products.ts";

/** Another product has to be this much quicker than the plain one to be worth it: less is noise. */
const WORTH = 0.97;
/** Operations that a trial may take at most: a part of the batch tells as much as the whole. */
const MOST_OPERATIONS = 2e10;

/** Trials of a product that may have begun and never ended. One may have been cancelled; after the second, it is taken to be what ended them. */
const MOST_UNENDED = 2;

/** By adapter and shape the name of the product; by adapter those that are not to be used, and trials that have begun and not ended. */
const fileSchema = z.object({
  products: z.record(z.string(), z.string()),
  avoided: z.record(z.string(), z.array(z.string())),
  unended: z.record(z.string(), z.record(z.string(), z.number())).default({}),
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
      const { products, avoided, unended } = read(file);
      const [plainOne, ...others] = offeredBy(gpu, autocast);
      const offered = [
        plainOne!,
        ...others.filter(
          (one) => !avoided[key]?.includes(nameOf(one)) && (unended[key]?.[nameOf(one)] ?? 0) < MOST_UNENDED,
        ),
      ];
      const tried = Math.max(64, Math.min(rows, Math.floor(MOST_OPERATIONS / (2 * d * F))));
      const shape = `${key} d${d} F${F} rows${2 ** Math.round(Math.log2(tried))}${autocast ? " autocast" : ""}`;
      const known = offered.find((one) => nameOf(one) === products[shape]);
      if (known) return { ...plain, product: known };
      const product = await quickest(gpu, { rows: tried, d, F }, offered, (name, isTried) =>
        change(file, ({ unended }) => {
          const own = unended[key] ?? {};
          unended[key] = own;
          if (isTried) own[name] = (own[name] ?? 0) + 1;
          else delete own[name];
        }),
      );
      change(file, (before) => {
        before.products[shape] = nameOf(product);
      });
      return { ...plain, product };
    },
    avoid: async (product) =>
      change(file, ({ avoided }) => {
        avoided[key] = [...(avoided[key] ?? []).filter((one) => one !== nameOf(product)), nameOf(product)];
      }),
  };
}

/** Of what the adapter has, that which fits its workgroup memory. */
export function offeredBy({ description }: Gpu, autocast: boolean): readonly Product[] {
  return productsFor(description, autocast).filter(
    (one) => workgroupBytes(one) <= description.maxComputeWorkgroupStorageSize,
  );
}

/** `mark` is told of a trial's begin and end: one that the driver doesn't survive is not tried for ever. */
export async function quickest(
  gpu: Gpu,
  shape: ProductShape,
  offered: readonly Product[],
  mark: (name: string, isTried: boolean) => void,
): Promise<Product> {
  const [plain, ...others] = offered;
  let best = plain!;
  let least = ((await measureProduct(gpu, shape, plain!)) ?? Number.POSITIVE_INFINITY) * WORTH;
  for (const product of others) {
    const name = nameOf(product);
    mark(name, true);
    const ms = await measureProduct(gpu, shape, product);
    mark(name, false);
    if (ms === null || ms >= least) continue;
    best = product;
    least = ms;
  }
  return best;
}

/** Other processes wait meanwhile, so none loses what another has found. */
function change(file: string, how: (content: File) => void): void {
  mkdirSync(dirname(file), { recursive: true });
  const lock = acquireFileLock(`${file}.lock`, 10_000);
  if (!lock) throw new Error(`${file}: another process has had its lock for ten seconds`);
  try {
    const content = read(file);
    how(content);
    const next = `${file}.${process.pid}.tmp`;
    writeFileSync(next, `${JSON.stringify(content, null, 1)}\n`);
    renameSync(next, file);
  } finally {
    lock.release();
  }
}

function read(file: string): File {
  const none = { products: {}, avoided: {}, unended: {} };
  if (!existsSync(file)) return none;
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return none;
  }
}

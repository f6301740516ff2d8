// Finds the quickest way to compute the matrix product on an adapter and for a shape by trying what the adapter offers, and remembers it in a file.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { acquireFileLock } from "../../formats/fileLock.ts";
import type { StepShape } from "../stepRate.ts";
import type { Gpu } from "./gpu.ts";
import { type Layouts, plainLayout } from "./layouts.ts";
import { measureProduct } from "./productRate.ts";
import { nameOf, type Product, productsFor, workgroupBytes } from "./products.ts";

/** Another product has to be this much quicker than the plain one to be worth it: less is noise. */
const WORTH = 0.97;
/** Operations that a trial may take at most: a part of the batch tells as much as the whole. */
const MOST_OPERATIONS = 2e10;

/** Trials of a product that may have begun and never ended. One may have been cancelled; after the second, it is taken to be what ended them. */
const MOST_UNENDED = 2;
/** Milliseconds of one product in training: Windows resets a device that works for two seconds without a break, and a screen stands still meanwhile. */
const MOST_MS = 500;

/** By adapter and shape the name of the product, and its milliseconds a row; by adapter those that are not to be used, and trials that have begun and not ended. */
const fileSchema = z.object({
  products: z.record(z.string(), z.string()),
  times: z.record(z.string(), z.number()).default({}),
  avoided: z.record(z.string(), z.array(z.string())),
  unended: z.record(z.string(), z.record(z.string(), z.number())).default({}),
});
type File = z.infer<typeof fileSchema>;

/** `file` is made where it isn't there; one that can't be read is made anew, and one that can't be written costs a warning: what is found is known to this process alone then. */
export function tunedLayouts(gpu: Gpu, file: string, tunesSoftware = false): Layouts {
  const plain = plainLayout(gpu.description);
  const { key, software } = gpu.description;
  /** Once the file can't be written: what is in it, and what this process has found since. */
  let own: File | undefined;
  const keep = (how: (content: File) => void): void => {
    try {
      if (!own) change(file, how);
    } catch (error) {
      own = read(file);
      gpu.warnings.push(`which products are quickest on this GPU can't be kept: ${(error as Error).message}`);
    }
    if (own) how(own);
  };
  return {
    for: async ({ d_in: d, d_sae: F }, rows, autocast) => {
      // Software has nothing worth the trials.
      if (software && !tunesSoftware) return plain;
      const { products, times, avoided, unended } = own ?? read(file);
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
      if (known) return { ...plain, product: known, mostRows: mostRows(times[shape]) };
      const { product, ms } = await quickest(gpu, { rows: tried, d, F }, offered, (name, isTried) =>
        keep(({ unended }) => {
          const times = unended[key] ?? {};
          unended[key] = times;
          if (isTried) times[name] = (times[name] ?? 0) + 1;
          else delete times[name];
        }),
      );
      keep((before) => {
        before.products[shape] = nameOf(product);
        if (Number.isFinite(ms)) before.times[shape] = ms / tried;
      });
      return { ...plain, product, mostRows: mostRows(ms / tried) };
    },
    avoid: async (product) =>
      keep(({ avoided }) => {
        avoided[key] = [...(avoided[key] ?? []).filter((one) => one !== nameOf(product)), nameOf(product)];
      }),
  };
}

/** Rows that one product may have to take no longer than it should; no bound where its time isn't known. */
function mostRows(msOfRow = Number.POSITIVE_INFINITY): number {
  return Number.isFinite(msOfRow) ? Math.max(1, Math.floor(MOST_MS / msOfRow)) : Number.POSITIVE_INFINITY;
}

/** Of what the adapter has, that which fits its workgroup memory. */
export function offeredBy({ description }: Gpu, autocast: boolean): readonly Product[] {
  return productsFor(description, autocast).filter(
    (one) => workgroupBytes(one) <= description.maxComputeWorkgroupStorageSize,
  );
}

/** And its milliseconds, infinite where none can be measured. `mark` is told of a trial's begin and end: one that the driver doesn't survive is not tried for ever. */
export async function quickest(
  gpu: Gpu,
  shape: StepShape,
  offered: readonly Product[],
  mark: (name: string, isTried: boolean) => void,
): Promise<{ product: Product; ms: number }> {
  const [plain, ...others] = offered;
  let best = { product: plain!, ms: (await measureProduct(gpu, shape, plain!)) ?? Number.POSITIVE_INFINITY };
  let least = best.ms * WORTH;
  for (const product of others) {
    const name = nameOf(product);
    mark(name, true);
    const ms = await measureProduct(gpu, shape, product);
    mark(name, false);
    if (ms === null || ms >= least) continue;
    best = { product, ms };
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
  const none = { products: {}, times: {}, avoided: {}, unended: {} };
  if (!existsSync(file)) return none;
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return none;
  }
}

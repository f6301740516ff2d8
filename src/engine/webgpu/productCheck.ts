// Whether a product comes to the plain kernel's numbers on a run's own first batch. Drivers are young where matrix units are concerned.
import type { Gpu } from "./gpu.ts";
import type { Layout, Layouts } from "./layouts.ts";
import type { MemberPass } from "./memberPass.ts";
import { hasHalves, isExact, nameOf } from "./products.ts";

/** Bytes of pre-activations that are compared. */
const COMPARED = 2 ** 22;
/** ‖difference‖ over ‖product‖: float32 summed in another order, and float16 operands. */
const EXACT = 1e-5;
const HALF = 5e-3;
/** float16 ends at 65,504 and loses digits below 6e-5: activations are to stay well within, in this batch and in those to come. */
const LARGEST = 8192;
const SMALLEST_MEAN = 1e-3;

/** False where it doesn't: then a warning is left, and a product whose numbers differ isn't given again. `first`: the batch, padded. */
export async function provesItself(
  gpu: Gpu,
  layouts: Layouts,
  { product, plain }: Layout,
  pass: MemberPass,
  buffers: Readonly<Record<string, GPUBuffer>>,
  first: Float32Array,
): Promise<boolean> {
  if (product === plain) return true;
  const refuse = (why: string): false => {
    gpu.warnings.push(`the GPU's product by ${nameOf(product)} ${why}: the plain kernel is used`);
    return false;
  };
  if (hasHalves(product)) {
    const { largest, mean } = magnitudes(first);
    if (largest > LARGEST || (mean > 0 && mean < SMALLEST_MEAN))
      return refuse(
        `is not for activations of mean magnitude ${mean.toExponential(1)} up to ${largest.toExponential(1)}`,
      );
  }
  gpu.write(buffers["activations"]!, first);
  pass.prepare();
  const { own, plain: others } = pass.products();
  const bytes = Math.min(COMPARED, Math.floor(pass.productBytes / 16) * 16);
  gpu.submit(own);
  const found = new Float32Array(await gpu.readBuffer(buffers["pre"]!, 0, bytes));
  gpu.submit(others);
  const expected = new Float32Array(await gpu.readBuffer(buffers["pre"]!, 0, bytes));
  const distance = apart(found, expected);
  const allowed = isExact(product) ? EXACT : HALF;
  if (distance <= allowed) return true;
  await layouts.avoid(product);
  return refuse(`differs from the plain kernel's by ${distance.toExponential(1)} (allowed ${allowed})`);
}

function magnitudes(values: Float32Array): { largest: number; mean: number } {
  let [largest, sum] = [0, 0];
  for (const value of values) {
    const own = Math.abs(value);
    sum += own;
    if (own > largest) largest = own;
  }
  return { largest, mean: values.length > 0 ? sum / values.length : 0 };
}

/** ‖found − expected‖ / ‖expected‖, NaN where something is no number. */
function apart(found: Float32Array, expected: Float32Array): number {
  let squares = 0;
  let differences = 0;
  for (const [at, value] of expected.entries()) {
    squares += value ** 2;
    differences += (found[at]! - value) ** 2;
  }
  return differences === 0 ? 0 : Math.sqrt(differences / squares);
}

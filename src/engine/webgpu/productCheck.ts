// Whether a product comes to the plain kernel's numbers on a run's own first batch. Drivers are young where matrix units are concerned.
import type { Gpu } from "./gpu.ts";
import type { Layout, Layouts } from "./layouts.ts";
import type { MemberPass } from "./memberPass.ts";
import { isExact, nameOf } from "./products.ts";

/** Bytes of pre-activations that are compared. */
const COMPARED = 2 ** 22;
/** ‖difference‖ over ‖product‖: float32 summed in another order, and float16 operands. */
const EXACT = 1e-5;
const HALF = 5e-3;

/** False where it doesn't: then a warning is left and the product isn't given again. `first`: the batch, padded. */
export async function provesItself(
  gpu: Gpu,
  layouts: Layouts,
  { product, plain }: Layout,
  pass: MemberPass,
  buffers: Readonly<Record<string, GPUBuffer>>,
  first: Float32Array,
): Promise<boolean> {
  if (product === plain) return true;
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
  gpu.warnings.push(
    `the GPU's product by ${nameOf(product)} differs from the plain kernel's by ${distance.toExponential(1)} (allowed ${allowed}): the plain kernel is used`,
  );
  await layouts.avoid(product);
  return false;
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

// Whether a product comes to the plain kernel's numbers on a run's own first batch. Drivers are young where matrix units are concerned.
import type { Gpu } from "./gpu.ts";
import type { Layout, Layouts } from "./layouts.ts";
import type { MemberPass, Work } from "./memberPass.ts";
import { hasHalves, isExact, nameOf } from "./products.ts";

/** Bytes of pre-activations that are compared at the beginning (the first rows of the first member), and at the end (the last rows of the last). */
const COMPARED = 2 ** 21;
/** ‖difference‖ over ‖product‖: float32 summed in another order, and float16 operands. */
const EXACT = 1e-5;
const HALF = 5e-3;
/** Share of groups whose largest value may lie so near to zero that rounding decides. */
const GROUPS_APART = 0.01;
/** float16 ends at 65,504 and loses digits below 6e-5: what the encoder multiplies is to stay well within, in this batch and in those to come. */
const LARGEST = 8192;
const SMALLEST_MEAN = 1e-3;
/** Weights have the encoder's width in them: those of a row of length 0.1 are this small at a width of 10,000. */
const SMALLEST_MEAN_WEIGHT = 5e-4;

/** False where it doesn't: then a warning is left, and a product whose numbers differ isn't given again. `first`: the batch, padded; `rows` of it, where there is room for more. */
export async function provesItself(
  gpu: Gpu,
  layouts: Layouts,
  { product, plain }: Layout,
  pass: MemberPass,
  buffers: Readonly<Record<string, GPUBuffer>>,
  first: Float32Array,
  rows?: number,
): Promise<boolean> {
  if (product === plain) return true;
  const refuse = (why: string): false => {
    gpu.warnings.push(`the GPU's product by ${nameOf(product)} ${why}: the plain kernel is used`);
    return false;
  };
  gpu.write(buffers["activations"]!, first);
  pass.prepare(undefined, 1, rows);
  const { centre, own, plain: others } = pass.products();
  gpu.submit(centre);
  if (hasHalves(product)) {
    // As they are multiplied: normalised and less b_dec.
    for (const [what, { buffer, offset, bytes }, smallest] of [
      ["activations", pass.centred, SMALLEST_MEAN],
      ["encoder weights", pass.encoder, SMALLEST_MEAN_WEIGHT],
    ] as const) {
      const { largest, mean } = magnitudes(new Float32Array(await gpu.readBuffer(buffer, offset, bytes)));
      if (largest > LARGEST || (mean > 0 && mean < smallest))
        return refuse(
          `is not for ${what} of mean magnitude ${mean.toExponential(1)} up to ${largest.toExponential(1)}`,
        );
    }
  }
  const ends = endsOf(pass.productBytes);
  const reaches = endsOf(pass.reachBytes);
  const computed = async (work: Work[]) => {
    gpu.submit(work);
    return { pre: await read(gpu, buffers["pre"]!, ends), reach: await read(gpu, buffers["reach"]!, reaches) };
  };
  const found = await computed(own);
  const expected = await computed(others);
  const distance = Math.max(...expected.pre.map((values, end) => apart(found.pre[end]!, values)));
  const allowed = isExact(product) ? EXACT : HALF;
  const disagreeing = Math.max(...expected.reach.map((values, end) => groupsApart(found.reach[end]!, values)));
  if (distance <= allowed && disagreeing <= GROUPS_APART) return true;
  await layouts.avoid(product);
  if (distance <= allowed) return refuse("says of other groups of latents than the plain kernel that they are active");
  return refuse(`differs from the plain kernel's by ${distance.toExponential(1)} (allowed ${allowed})`);
}

/** Share of groups of which one says that they may be active and the other that they can't be. */
function groupsApart(found: Float32Array, expected: Float32Array): number {
  const [own, other] = [found, expected].map((values) => new Uint32Array(values.buffer));
  let apart = 0;
  for (const [at, reach] of other!.entries()) if (own![at]! > 0 !== reach > 0) apart += 1;
  return other!.length > 0 ? apart / other!.length : 0;
}

interface Span {
  readonly offset: number;
  readonly bytes: number;
}

/** The first and the last bytes of so many, or all of them. */
function endsOf(all: number): Span[] {
  const whole = Math.floor(all / 16) * 16;
  if (whole <= 2 * COMPARED) return [{ offset: 0, bytes: whole }];
  return [
    { offset: 0, bytes: COMPARED },
    { offset: whole - COMPARED, bytes: COMPARED },
  ];
}

async function read(gpu: Gpu, buffer: GPUBuffer, spans: readonly Span[]): Promise<Float32Array[]> {
  const values: Float32Array[] = [];
  for (const { offset, bytes } of spans) values.push(new Float32Array(await gpu.readBuffer(buffer, offset, bytes)));
  return values;
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

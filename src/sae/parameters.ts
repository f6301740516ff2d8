// The check that every layout's weights go through on their way in.
import { InputError } from "../formats/inputError.ts";

/** An exponent of all ones: NaN or an infinity. One more in its last place, and it carries into the sign. */
const EXPONENT = 0x7f800000;
const LAST_PLACE = 0x00800000;

/** Whether all are numbers. Every weight of a large SAE goes through here: whole numbers, no branches. */
export function allFinite(values: Float32Array): boolean {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let signs = 0;
  for (let at = 0; at < bits.length; at++) signs |= (bits[at]! & EXPONENT) + LAST_PLACE;
  return signs >= 0;
}

/** Throws InputError, with how many values are no numbers and where the first is. */
export function checkFinite(file: string, name: string, values: Float32Array): void {
  if (allFinite(values)) return;
  let first = -1;
  let count = 0;
  for (let at = 0; at < values.length; at++) {
    if (Number.isFinite(values[at])) continue;
    if (first < 0) first = at;
    count++;
  }
  throw new InputError({
    file,
    where: `tensor ${name}`,
    found: `${count} ${count === 1 ? "value that is" : "values that are"} not finite, the first (${values[first]}) at ${first}`,
    expected: "finite numbers",
  });
}

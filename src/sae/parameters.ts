// The check that every layout's weights go through on their way in.
import { InputError } from "../formats/inputError.ts";
import { allFinite } from "../formats/transpose.ts";

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

// One class against the rest, balanced: the tasks of concept detection and of TPP, drawn with a seed.
import { SeededRandom } from "../data/seededRandom.ts";

/** Rows with a label of 0 or 1; positives first. */
export interface LabelledRows {
  readonly rows: Uint32Array;
  readonly labels: Uint8Array;
}

/**
 * For each class all its rows against as many others: ⌈P/(C−1)⌉ from each other class, shuffled, cut to P. Where the others
 * are fewer, the positives are cut as well, so that half is right by chance.
 * `classes`: of each of `rows`, its class from 0 on. Throws RangeError for a class without rows or fewer than two classes.
 */
export function classTasks(rows: Uint32Array, classes: ArrayLike<number>, count: number, seed: number): LabelledRows[] {
  if (count < 2) throw new RangeError(`${count} class: one against the rest needs two at least`);
  const members = Array.from({ length: count }, (): number[] => []);
  for (let t = 0; t < rows.length; t++) members[classes[t]!]!.push(rows[t]!);
  return members.map((own, positive) => {
    if (own.length === 0) throw new RangeError(`class ${positive} has no rows`);
    const random = SeededRandom.derive(seed, "one against the rest", positive);
    const share = Math.ceil(own.length / (count - 1));
    const others = members.flatMap((rest, other) =>
      other === positive ? [] : random.shuffle(rest.slice()).slice(0, share),
    );
    random.shuffle(others);
    const size = Math.min(own.length, others.length);
    const positives = own.length === size ? own : random.shuffle(own.slice()).slice(0, size);
    return {
      rows: Uint32Array.from([...positives, ...others.slice(0, size)]),
      labels: Uint8Array.from({ length: 2 * size }, (_, at) => (at < size ? 1 : 0)),
    };
  });
}

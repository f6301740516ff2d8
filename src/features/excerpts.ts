// Short passages of a feature's stored sequences: where it fires, apart into shown and held out, and where it is silent. What a label is made from and tested on.
import { SeededRandom } from "../data/seededRandom.ts";
import type { FeatureDetail, FeatureSequence } from "./featureIndex.ts";

/** Tokens before the peak (what fires a feature lies to the left), and behind it. */
const BEFORE = 20;
const BEHIND = 8;
/** Fewest tokens of a passage in which a feature is silent. */
const LEAST_SILENT = 8;

export interface Excerpt {
  readonly tokens: readonly { readonly text: string; readonly activation: number }[];
  /** Where it stands: document, and range of bytes in it. */
  readonly document: number;
  readonly start: number;
  readonly end: number;
}

export interface FeatureExcerpts {
  /** Where it fires, the strongest first; for the label's maker to see. */
  readonly shown: readonly Excerpt[];
  /** Where it fires, of other windows: no byte of theirs is among the shown ones. */
  readonly heldOut: readonly Excerpt[];
  /** Passages of the same windows as the held-out ones in which it fires nowhere: as near in subject and length as text can be. */
  readonly silent: readonly Excerpt[];
}

/** The same every time for a feature: every other window of each band is held out, the places of silent passages are drawn by its id. */
export function featureExcerpts(detail: FeatureDetail, most = { shown: 12, heldOut: 8, silent: 8 }): FeatureExcerpts {
  const even: FeatureSequence[] = [];
  const odd: FeatureSequence[] = [];
  for (const { sequences } of detail.bands)
    for (const [i, sequence] of sequences.entries()) (i % 2 === 0 ? even : odd).push(sequence);
  const shown = spread(even, most.shown).flatMap((sequence) => firing(sequence) ?? []);
  const heldOut = spread(
    odd.flatMap((sequence) => firing(sequence) ?? []).filter((excerpt) => !overlapsAny(excerpt, shown)),
    most.heldOut,
  );
  const random = SeededRandom.derive(detail.id, "silent excerpts");
  const silent: Excerpt[] = [];
  // Windows that were shown are the last resort: only what was not shown of them.
  for (const sequence of [...odd, ...even]) {
    if (silent.length >= most.silent) break;
    const length = heldOut[silent.length % Math.max(1, heldOut.length)]?.tokens.length ?? BEFORE;
    const excerpt = silentStretch(sequence, length, random);
    if (excerpt && !overlapsAny(excerpt, [...shown, ...silent])) silent.push(excerpt);
  }
  return { shown, heldOut, silent };
}

/** Evenly over all, so that weak activations are among them: a label must hold for those as well. */
function spread<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]!);
}

/** The passage around the peak, inside its document. */
function firing(sequence: FeatureSequence): Excerpt | null {
  const { tokens, peak } = sequence;
  const document = tokens[peak]!.document;
  if (document === null) return null;
  let [from, to] = [peak, peak + 1];
  while (from > 0 && peak - from < BEFORE && tokens[from - 1]!.document === document) from--;
  while (to < tokens.length && to - peak <= BEHIND && tokens[to]!.document === document) to++;
  return excerpt(sequence, from, to);
}

function excerpt({ tokens }: FeatureSequence, from: number, to: number): Excerpt {
  const own = tokens.slice(from, to);
  return {
    tokens: own.map(({ text, activation }) => ({ text, activation })),
    document: own[0]!.document!,
    start: own[0]!.start,
    end: own.at(-1)!.end,
  };
}

/** A run of up to `length` tokens of one document on none of which the feature fires. */
function silentStretch(sequence: FeatureSequence, length: number, random: SeededRandom): Excerpt | null {
  const { tokens } = sequence;
  const runs: [number, number][] = [];
  for (let from = 0, to = 0; to <= tokens.length; to++) {
    const token = tokens[to];
    if (token && token.activation === 0 && token.document !== null && token.document === tokens[from]!.document)
      continue;
    if (to - from >= LEAST_SILENT) runs.push([from, to]);
    from = token?.activation === 0 && token.document !== null ? to : to + 1;
  }
  const run = runs.length > 0 ? runs[random.integer(runs.length)]! : null;
  if (!run) return null;
  const slack = Math.max(0, run[1] - run[0] - length);
  const from = run[0] + (slack > 0 ? random.integer(slack + 1) : 0);
  return excerpt(sequence, from, Math.min(run[1], from + length));
}

function overlapsAny(excerpt: Excerpt, others: readonly Excerpt[]): boolean {
  return others.some(
    (other) => other.document === excerpt.document && other.start < excerpt.end && excerpt.start < other.end,
  );
}

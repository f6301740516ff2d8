// Seeds as a person types them: whole numbers, apart by commas or spaces.

const MOST = 20;

/** Each seed once, in the order typed; `wrong`: why they can't be taken, "" where they can. */
export function typedSeeds(typed: string): { readonly seeds: number[]; readonly wrong: string } {
  const words = typed.split(/[\s,]+/).filter(Boolean);
  const odd = words.find((word) => !/^\d{1,9}$/.test(word));
  const seeds = [...new Set(words.map(Number))];
  if (odd !== undefined) return { seeds, wrong: `${odd} is no whole number from 0` };
  if (seeds.length === 0) return { seeds, wrong: "one at least is needed" };
  return { seeds, wrong: seeds.length > MOST ? `${MOST} at most` : "" };
}

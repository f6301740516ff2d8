// How the ensembles of an experiment with several seed sets are called: the folder "bagging-1" holds bagging from seed set 2.

/** The method and the seed set, counted from 1, of a trained ensemble by its name (the name itself of one that was moved aside). */
export function seedSetOf(name: string): { readonly method: string; readonly seedSet: number } {
  const [, method, number] = /^([^.]+)-(\d+)$/.exec(name) ?? [];
  return method === undefined ? { method: name, seedSet: 1 } : { method, seedSet: Number(number) + 1 };
}

// Stored tokens of features as readers see them: with text and occurrences from the index's vocabulary, and with shares.
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { TokenStatistic } from "./featureIndex.ts";
import type { StoredToken } from "./featureRecords.ts";

/** Strongest tokens of a row of the list, which a ranking sees too. */
export const summaryTokens = 8;

export class TokenStatistics {
  readonly #select: StatementSync;
  readonly #sums: Float64Array;
  readonly #known = new Map<number, { text: string; occurrences: number }>();

  /** `sums`: of each feature's activations, [features]. */
  constructor(database: DatabaseSync, sums: Float64Array) {
    this.#select = database.prepare("SELECT text, occurrences FROM vocabulary WHERE id = ?");
    this.#sums = sums;
  }

  of(feature: number, tokens: readonly StoredToken[]): TokenStatistic[] {
    return tokens.map(({ id, count, sum, max }) => {
      const { text, occurrences } = this.token(id);
      return { id, text, count, mean: sum / count, max, share: sum / this.#sums[feature]!, occurrences };
    });
  }

  token(id: number): { text: string; occurrences: number } {
    const known = this.#known.get(id);
    if (known) return known;
    const row = this.#select.get(id) as { text: string; occurrences: number } | undefined;
    // Models have more logits than tokens at times.
    const token = row ?? { text: `⟨${id}⟩`, occurrences: 0 };
    this.#known.set(id, token);
    return token;
  }
}

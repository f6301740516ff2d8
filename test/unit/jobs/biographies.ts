// Small biographies with a planted bias, as JSON lines, for tests of debiasing.
import { SeededRandom } from "../../../src/data/seededRandom.ts";

/** Texts of fewer than `most` words and six more, in which one word tells the job and others the gender: `each` of every cell. */
export function biographies(each: number, most: number): string {
  const random = SeededRandom.derive(3, "bios");
  const lines: string[] = [];
  for (const job of ["nurse", "king"])
    for (const gender of ["f", "m"])
      for (let n = 0; n < each; n++) {
        const words = Array.from({ length: 6 + random.integer(most) }, () =>
          random.uniform() < 0.5
            ? gender === "f"
              ? "she"
              : "he"
            : ["river", "house", "saw", "ran", "old", "red", job][random.integer(7)],
        );
        lines.push(JSON.stringify({ text: `${words.join(" ")} ${lines.length}`, job, gender }));
      }
  return `${lines.join("\n")}\n`;
}

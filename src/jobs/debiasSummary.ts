// A debiasing in a few lines, for terminals: accuracy and worst group of the first direction, read from the report's JSON.
import { readFileSync } from "node:fs";
import { z } from "zod";

const spread = z.object({ mean: z.number() });
const scores = z.object({ accuracy: spread, worst_group: spread });
const reportSchema = z.object({
  shift_n: z.number(),
  directions: z
    .array(
      z.object({
        cell_names: z.array(z.string()),
        baselines: z.object({ base: scores, oracle: scores, mean_difference_retrained: scores }),
        ensembles: z.array(
          z.object({ name: z.string(), shift_suggested: z.object({ ablated: scores, retrained: scores }) }),
        ),
      }),
    )
    .nonempty(),
});

export interface DebiasSummary {
  /** "nurse · female against professor · male" */
  readonly biased: string;
  readonly rows: readonly { readonly title: string; readonly accuracy: number; readonly worst_group: number }[];
}

/** Means over seeds. */
export function readDebiasSummary(file: string): DebiasSummary {
  const { shift_n, directions } = reportSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  const { cell_names, baselines, ensembles } = directions[0]!;
  const row = (title: string, { accuracy, worst_group }: z.infer<typeof scores>) => ({
    title,
    accuracy: accuracy.mean,
    worst_group: worst_group.mean,
  });
  return {
    biased: `${cell_names[0]} against ${cell_names[3]}`,
    rows: [
      row("as it is", baselines.base),
      ...ensembles.flatMap(({ name, shift_suggested: { ablated, retrained } }) => [
        row(`${name}: ${shift_n} suggested features ablated`, ablated),
        row("… and retrained", retrained),
      ]),
      row("mean difference of the genders out, retrained", baselines.mean_difference_retrained),
      row("oracle: learnt from balanced texts", baselines.oracle),
    ],
  };
}

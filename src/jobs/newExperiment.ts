// A new experiment file from a few choices: short, commented, ready to run. What each key means is experimentSchema.ts.
import type { Architecture } from "../sae/architectureWords.ts";

/** How much is trained: by name, for people who have no numbers in mind yet. */
export const sizes = {
  quick: { n_members: 4, expansion_factor: 4, training_tokens: 400_000, train_batch_size_tokens: 1024 },
  middle: { n_members: 4, expansion_factor: 8, training_tokens: 2_000_000, train_batch_size_tokens: 2048 },
  paper: { n_members: 8, expansion_factor: 16, training_tokens: 20_000_000, train_batch_size_tokens: 2048 },
} as const;
export type ExperimentSize = keyof typeof sizes;

export interface ExperimentChoice {
  /** model_name and dataset_path as they stand in the file. */
  readonly model: string;
  readonly dataset: string;
  readonly hook: string;
  /** "all": the four of the paper's comparison, from two seed sets. */
  readonly method: "bagging" | "boosting" | "all";
  readonly architecture: Architecture;
  readonly size: ExperimentSize;
}

/** What an architecture needs besides its width, a multiple of the activation's. */
const details: Readonly<Record<Architecture, (expansion: number) => string>> = {
  topk: () => '"k": 16',
  batchtopk: () => '"k": 16',
  // Small enough for any model: nested SAEs of at most 16 and 64 times as many features as the expansion, and all of them.
  matryoshka_batchtopk: (expansion) => `"k": 16, "matryoshka_widths": [${16 * expansion}, ${64 * expansion}]`,
  standard: () => '"l1_coefficient": 2, "l1_warm_up_steps": 200',
  jumprelu: () => '"l0_coefficient": 0.5, "l0_warm_up_steps": 200',
  gated: () => '"l1_coefficient": 2, "l1_warm_up_steps": 200',
};

export function experimentText({ model, dataset, hook, method, architecture, size }: ExperimentChoice): string {
  const methods = method === "all" ? '["single", "bagging", "boosting", "expanded"]' : `["${method}"]`;
  const { n_members, expansion_factor, training_tokens, train_batch_size_tokens } = sizes[size];
  // The demo's held-out text is of its own kind.
  const evaluation = dataset === "demo" ? '\n\n  "evaluation": { "dataset_path": "demo" }' : "";
  return `// An experiment: harvest, train, evaluate, index. Run it with the lens above, or: sae-ensembles run THIS_FILE
{
  "model_name": ${JSON.stringify(model)},
  "hook_name": ${JSON.stringify(hook)},
  "dataset_path": ${JSON.stringify(dataset)},
  "context_size": 128,
  "exclude_special_tokens": true,

  // Every member sees this many tokens; more than the data has means several passes.
  "training_tokens": ${training_tokens},
  "train_batch_size_tokens": ${train_batch_size_tokens},
  "lr": 0.001,
  "seed": 42,

  // One member's SAE. Names and defaults are SAELens'.
  "sae": { "architecture": "${architecture}", "expansion_factor": ${expansion_factor}, ${details[architecture](expansion_factor)} },

  "ensembles": { "methods": ${methods}, "n_members": ${n_members}, "seed_sets": ${method === "all" ? 2 : 1} }${evaluation ? `,${evaluation}` : ""}
}
`;
}

// The architectures that are trained, and what each is in a few words: for choices, completions and hovers.

export const architectureWords = {
  topk: { label: "TopK", words: "exactly k features a token" },
  batchtopk: { label: "BatchTopK", words: "k on average over a batch" },
  matryoshka_batchtopk: { label: "Matryoshka BatchTopK", words: "nested SAEs: general features come first" },
  standard: { label: "ReLU", words: "with an L1 penalty (SAELens: standard)" },
  jumprelu: { label: "JumpReLU", words: "a threshold for each feature" },
  gated: { label: "Gated", words: "a gate for each feature" },
} as const;

export type Architecture = keyof typeof architectureWords;
export const architectures = Object.keys(architectureWords) as Architecture[];

// saebench_compatible in a job: SAEBench's padded length, what an ensemble makes of its padding, and the words that say what is SAEBench's in a report and what is not.
import type { Engine } from "../engine/engine.ts";
import { InputError } from "../formats/inputError.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { inActivationUnits } from "../probing/activationUnits.ts";
import { codesOfZero } from "../probing/pool.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { textIds } from "./pooledTexts.ts";
import type { TextSource } from "./probeRun.ts";

/** SAEBench pads its texts to so many tokens, and cuts longer ones. */
const LENGTH = 128;

export interface SaeBenchPadding {
  readonly length: number;
  /** enc(0) [F] */
  readonly codesOfZero: Float64Array;
}

/** Throws InputError for a text that SAEBench would have cut, before anything is computed. `model`: opened only where the context allows such texts. */
export async function checkSaeBenchLengths(
  texts: readonly TextSource[],
  { context_size, prepend_bos }: Pick<ExperimentSettings, "context_size" | "prepend_bos">,
  model: () => Promise<LanguageModel>,
): Promise<void> {
  if (context_size <= LENGTH) return;
  const { tokenizer } = await model();
  const reading = { contextSize: context_size, prependBos: prepend_bos };
  for (const { file, text } of texts) {
    const ids = textIds(text.text, tokenizer, reading).filter((id) => !tokenizer.specialIds.has(id));
    if (ids.length > LENGTH) throw tooLong(file, ids.length, text.line);
  }
}

function tooLong(file: string, tokens: number, line?: number): InputError {
  return new InputError({
    file,
    ...(line !== undefined && { where: `line ${line}` }),
    found: `a text of ${tokens} tokens`,
    expected: `at most ${LENGTH} with saebench_compatible, as SAEBench cuts and pads to that: shorter texts, or the default`,
  });
}

/** `tokens`: of each text. Throws InputError for a text that SAEBench would have cut. */
export async function saebenchPadding(
  tokens: Uint32Array,
  file: string,
  ensemble: Ensemble,
  d: number,
  engine: () => Promise<Engine>,
): Promise<SaeBenchPadding> {
  const longest = tokens.reduce((most, n) => Math.max(most, n), 0);
  if (longest > LENGTH) throw tooLong(file, longest);
  const encoder = inActivationUnits(ensemble, await (await engine()).createEncoder(ensemble));
  try {
    return { length: LENGTH, codesOfZero: await codesOfZero(encoder, d, ensembleWidth(ensemble)) };
  } finally {
    await encoder.close();
  }
}

/** What a report says of itself under saebench_compatible. */
export interface SaeBenchWords {
  readonly as_saebench: readonly string[];
  readonly not_saebench: readonly string[];
}

const common = [
  "texts, their draws and seeds are this run's",
  "sums are float64, SAEBench's float32",
  `texts are cut to this run's context, SAEBench's to ${LENGTH} tokens`,
];

export const DEBIAS_AS_SAEBENCH: SaeBenchWords = {
  as_saebench: [
    "probes: torch's uniform start, all training rows, the first epoch that is best on the probe's own test rows",
    "choice of features by SCR's effects",
    `padding to ${LENGTH} zero vectors, whose codes are taken out with every ablation: SCR, its random control, SHIFT and what is retrained`,
  ],
  not_saebench: [
    ...common,
    "three probes are trained, each pair in one orientation, not six",
    "SHIFT, the random control and the mean difference are no part of SAEBench",
  ],
};

export const CONCEPTS_AS_SAEBENCH: SaeBenchWords = {
  as_saebench: [
    "probe over all features: AdamW, batch 250, 100 epochs, lr 1e-2, patience 10, the epoch that is best on the test rows",
    "TPP's probes: torch's uniform start, all training rows, the first epoch that is best on the test rows",
    "TPP's choice: as many features as have an effect other than zero, the largest signed ones",
    `TPP's padding to ${LENGTH} zero vectors, whose codes are taken out as well`,
  ],
  not_saebench: [
    ...common,
    "the texts that a class is told from are drawn once a seed; SAEBench draws TPP's anew for every evaluation",
    "the logistic regression of 1, 2 and 5 features is solved to convergence; SAEBench's stops earlier",
    "decoder norms are always folded; SAEBench leaves those of TopK without rescaling and of SAEs given as objects",
    "which features of no effect TPP takes out: torch leaves it open, here those of the lowest index",
  ],
};

/** As lines of Markdown. */
export function saebenchLines({ as_saebench, not_saebench }: SaeBenchWords): string[] {
  return [
    "",
    "With `saebench_compatible`, as SAEBench 0.6.0 has it:",
    "",
    ...as_saebench.map((words) => `- ${words}`),
    "",
    "Not SAEBench's:",
    "",
    ...not_saebench.map((words) => `- ${words}`),
  ];
}

// What the debias view asks of its host, and what the host tells it. Shapes only; the numbers come from src/probing by way of src/service.
import * as z from "zod";
import { annotation, featureBrowserHost, featureRow } from "./featureBrowser.ts";
import {
  columns,
  labelledData,
  labelledQuestion,
  probedEnsemble,
  probingProgress,
  savedFile,
  spread,
} from "./labelledData.ts";
import type { Contract } from "./rpc.ts";

const side = z.array(z.string()).min(1);
/** Values that stand for 1 and those that stand for 0. */
export const valuePair = z.object({ positive: side, negative: side });
export type ValuePair = z.infer<typeof valuePair>;

/** What a person chose to look at. The biased data holds the positive label with the positive attribute, and the negative with the negative. */
export const debiasChoice = z.object({
  trainFile: z.string().min(1),
  /** Null: a share of `trainFile` is held out with each seed. */
  testFile: z.string().nullable(),
  columns,
  label: valuePair,
  attribute: valuePair,
  seeds: z.array(z.number().int().min(0)).min(1).max(20),
  /** At most so many texts a cell to train on, and half as many to test on; null: as many as there are. */
  perCell: z.number().int().min(10).nullable(),
});
export type DebiasChoice = z.infer<typeof debiasChoice>;

/** Accuracies on the balanced test set; cells in the order of `cellNames`. */
export const groupScores = z.object({ accuracy: spread, worst_group: spread, cells: z.array(spread).length(4) });
export type GroupScores = z.infer<typeof groupScores>;

/** What the flags do. */
export const debiasVerdict = z.object({
  /** Flagged features, global numbers, ascending. */
  flags: z.array(z.number().int()),
  ablated: groupScores,
  /** As many features at random. */
  random: groupScores,
  /** The last probe that was trained anew, and the flags that it was trained without. */
  retrained: z.object({ flags: z.array(z.number().int()), scores: groupScores, random: groupScores }).nullable(),
});
export type DebiasVerdict = z.infer<typeof debiasVerdict>;

export const scrCurve = z.object({
  ensemble: z.string(),
  method: z.string(),
  /** Whether it is the ensemble that the view is about. */
  own: z.boolean(),
  points: z.array(z.object({ n: z.number().int(), scr: spread, worst_group: spread, random: spread })),
  /** Numbers of features that have no point, since the ensemble has fewer. */
  leftOut: z.array(z.number().int()),
});
export type ScrCurve = z.infer<typeof scrCurve>;

/** Everything that a prepared debiasing shows, but for the features. */
export const debiasState = z.object({
  choice: debiasChoice,
  /** Label 1 with attribute 1, 1 with 0, 0 with 1, 0 with 0. */
  cellNames: z.array(z.string()).length(4),
  /** Texts to draw from. */
  counts: z.array(z.number().int()).length(4),
  /** Texts that each cell gives to the balanced sets. */
  perCell: z.object({ train: z.number().int(), test: z.number().int() }),
  warnings: z.array(z.string()),
  /** Texts that fill the context, of how many: what is longer was cut to it. */
  cut: z.object({ texts: z.number().int(), of: z.number().int(), context: z.number().int() }),
  base: groupScores,
  oracle: groupScores,
  mean_difference: groupScores,
  mean_difference_retrained: groupScores,
  /** How plainly the activations carry the attribute. */
  attributeAccuracy: spread,
  /** A_clean − A_biased with each seed, and whether all of them leave room. */
  room: z.object({ difference: spread, enough: z.boolean() }),
  /** SCR of the mean difference projected out, and of that with retraining: levels to hold the curves against. */
  levels: z.object({ mean_difference: spread, mean_difference_retrained: spread }),
  curves: z.array(scrCurve),
  /** Whether every trained ensemble of the run has its curve. */
  compared: z.boolean(),
  verdict: debiasVerdict,
});
export type DebiasState = z.infer<typeof debiasState>;

export const suggestion = z.object({
  row: featureRow,
  /** |Δf̄ · (w·W_dec)| on the attribute's probe, mean over seeds; and the same on the label's. */
  effect: z.number(),
  labelEffect: z.number(),
  /** Whether it fires more where the attribute is 1. */
  towardPositive: z.boolean(),
});
export type Suggestion = z.infer<typeof suggestion>;

const browser = featureBrowserHost.requests;
const nothing = z.object({});

/** The webview asks, the host answers. */
export const debiasHost = {
  requests: {
    /** `suggested`: data to begin with, if there is some; `state`: what is prepared already. */
    ready: {
      params: nothing,
      result: probedEnsemble.extend({
        suggested: debiasChoice.nullable(),
        state: debiasState.nullable(),
      }),
    },
    /** Asks a person for a file; null: none. */
    pickFile: { params: nothing, result: z.object({ file: z.string().nullable() }) },
    describe: { params: labelledQuestion, result: labelledData },
    /** Long: pools the texts. Progress is told, and it can be cancelled. */
    prepare: { params: debiasChoice, result: debiasState },
    suggestions: {
      params: z.object({ offset: z.number().int().min(0), limit: z.number().int().min(1).max(200) }),
      /** `largest`: the largest effect of all. */
      result: z.object({ total: z.number().int(), largest: z.number(), rows: z.array(suggestion) }),
    },
    detail: browser.detail,
    annotate: { params: annotation, result: nothing },
    retrain: { params: nothing, result: debiasVerdict },
    /** Long: pools the texts for the run's other ensembles. */
    compare: { params: nothing, result: debiasState },
    /** Saves the report in the run folder (long) and offers to open it. */
    saveReport: { params: nothing, result: savedFile },
    /** The same with the debiased probe of the flags: the first seed's. */
    saveProbe: { params: nothing, result: savedFile },
    browse: { params: z.object({ feature: z.number().int() }), result: nothing },
  },
  notifications: {},
} as const satisfies Contract;

/** The host tells the webview. */
export const debiasView = {
  requests: {},
  notifications: {
    /** What the flags do, whenever they may have changed: here, in the feature browser, or on disk. */
    verdict: debiasVerdict,
    /** The same for whatever else is said about features. */
    annotationsChanged: nothing,
    progress: probingProgress,
  },
} as const satisfies Contract;

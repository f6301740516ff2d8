// What the concept view asks of its host, and what the host tells it. Shapes only; the numbers come from src/probing by way of src/service.
import * as z from "zod";
import { featureRow } from "./featureBrowser.ts";
import { labelledData, labelledQuestion, probedEnsemble, probingProgress, savedFile, spread } from "./labelledData.ts";
import type { Contract } from "./rpc.ts";

export const conceptsChoice = z.object({
  trainFile: z.string().min(1),
  /** Null: a share of each class is held out with the first seed. */
  testFile: z.string().min(1).nullable(),
  columns: z.object({ text: z.string(), label: z.string() }),
  seeds: z.array(z.number().int().min(0)).min(1).max(20),
  /** At most so many texts a class, and half as many to test on. */
  perClass: z.number().int().min(20),
});
export type ConceptsChoice = z.infer<typeof conceptsChoice>;

/** Accuracies in the order of the result's `k`. */
const accuracies = z.array(spread);

export const conceptsResult = z.object({
  choice: conceptsChoice,
  /** Numbers of features; null: all of them. */
  k: z.array(z.number().int().nullable()),
  /** Raw activations first, then the ensemble. */
  means: z.array(z.object({ name: z.string(), accuracy: accuracies })),
  classes: z.array(
    z.object({
      name: z.string(),
      /** `tested`: of the test texts, so many of the class and as many others are what an accuracy is of. */
      texts: z.object({ train: z.number().int(), test: z.number().int(), tested: z.number().int() }),
      /** In the order of `means`. */
      accuracy: z.array(accuracies),
      /** The ensemble's features that differ most between it and the rest, the most first (of the first seed), and whether each fires more in it. */
      features: z.array(z.object({ row: featureRow, firesMore: z.boolean() })),
    }),
  ),
  /** Classes with too few texts. */
  leftOut: z.array(z.string()),
});
export type ConceptsResult = z.infer<typeof conceptsResult>;

const nothing = z.object({});

/** The webview asks, the host answers. */
export const conceptsHost = {
  requests: {
    ready: {
      params: nothing,
      result: probedEnsemble.extend({
        suggested: conceptsChoice.nullable(),
        result: conceptsResult.nullable(),
      }),
    },
    pickFile: { params: nothing, result: z.object({ file: z.string().nullable() }) },
    describe: { params: labelledQuestion, result: labelledData },
    /** Long: pools the texts. Progress is told, and it can be cancelled. */
    detect: { params: conceptsChoice, result: conceptsResult },
    /** Saves the report in the run folder and offers to open it. */
    saveReport: { params: nothing, result: savedFile },
    browse: { params: z.object({ feature: z.number().int() }), result: nothing },
  },
  notifications: {},
} as const satisfies Contract;

/** The host tells the webview. */
export const conceptsView = {
  requests: {},
  notifications: { annotationsChanged: nothing, progress: probingProgress },
} as const satisfies Contract;

// What the extension host asks of the service: the long-lived child under Node 24 that reads run folders and indices, starts and stops runs, and answers about text. Shapes only.
import * as z from "zod";
import { conceptsChoice, conceptsHost } from "./concepts.ts";
import { debiasChoice, debiasHost, debiasVerdict } from "./debias.ts";
import { comparison } from "./ensembleComparison.ts";
import { annotation, featureBrowserHost, featureRow, sourceQuestion } from "./featureBrowser.ts";
import { generated, inspectionRequests } from "./inspection.ts";
import { probingProgress, savedFile } from "./labelledData.ts";
import { reportTable } from "./reportTable.ts";
import type { Contract } from "./rpc.ts";
import { jobKinds, progress, runEvent, runStates } from "./runEvents.ts";
import { tensorFile, tensorStatistics } from "./tensorFile.ts";

/** What a person said of SAEs whose files don't: how a bare state dict selects, which of two classes of dictionary_learning it is. */
const saidOfSaes = z.object({
  architecture: z.enum(["standard", "topk", "jumprelu"]).optional(),
  k: z.int().positive().optional(),
  dict_class: z.enum(["AutoEncoderTopK", "BatchTopKSAE"]).optional(),
});
export type SaidOfSaes = z.infer<typeof saidOfSaes>;

/** One run folder as a watcher sees it. */
export const runEntry = z.object({
  folder: z.string(),
  name: z.string(),
  /** "damaged": the folder can't be read; `reason` says why. */
  state: z.enum([...runStates, "damaged"]),
  reason: z.string().nullable(),
  experiment: z.string().nullable(),
  /** Milliseconds of work until it ended, also what came before a stop; null while it is at work. */
  worked: z.number().nullable(),
  /** While it is queued: how many runs are before it on its device. */
  ahead: z.number().int().nullable(),
  progress: progress.nullable(),
  report: z.boolean(),
  /** Ensembles that are there, with what the report says of them. */
  ensembles: z.array(
    z.object({
      folder: z.string(),
      name: z.string(),
      method: z.string(),
      members: z.number().int(),
      features: z.number().int(),
      hook: z.string(),
      explainedVariance: z.number().nullable(),
      l0: z.number().nullable(),
      indexed: z.boolean(),
      /** When its feature index was written, in milliseconds since 1970; null where there is none. */
      indexTime: z.number().nullable(),
      /** Whether its experiment asks for an index of it. */
      indexable: z.boolean(),
      /** When training put another ensemble in its place; null where it is the one of its name. */
      replaced: z.string().nullable(),
      /** Empty, or why it can't be read. */
      damage: z.string(),
      /** Empty, or why its feature index can't be read. */
      indexDamage: z.string(),
      /** Features that a person flagged, labelled or noted; null where the file can't be read. */
      annotated: z.number().int().nullable(),
    }),
  ),
});
export type RunEntry = z.infer<typeof runEntry>;
export type EnsembleEntry = RunEntry["ensembles"][number];

/** Where runs are looked for. */
const watchedPlaces = z.object({
  /** In the usual places of these: the folder itself, its children, and what lies in their folders runs/. */
  folders: z.array(z.string()),
  /** Where the experiments in these files have their runs. */
  experiments: z.array(z.string()),
  /** Run folders. */
  runs: z.array(z.string()),
});
export type WatchedPlaces = z.infer<typeof watchedPlaces>;

const seenRuns = z.object({
  runs: z.array(runEntry),
  /** Experiments of imported SAEs that have no run yet. */
  imports: z.array(z.string()),
});
export type SeenRuns = z.infer<typeof seenRuns>;

const jobs = z.array(z.enum(jobKinds));
/** Where a run is, and from which byte of its events on it is this start's. */
const started = z.object({ folder: z.string(), from: z.number().int() });
const position = z.object({ line: z.number().int(), character: z.number().int() });
const sourcePlace = z.object({
  file: z.string(),
  line: z.number().int(),
  plain: z.boolean(),
  text: z.string(),
  from: position,
  to: position,
  changed: z.boolean(),
});
const index = z.object({ ensemble: z.string() });
const browser = featureBrowserHost.requests;
const debias = debiasHost.requests;
const concepts = conceptsHost.requests;

/** The host asks, the service answers. `ensemble` is an ensemble's folder. */
export const service = {
  requests: {
    /** Watches runs from now on; `runsChanged` follows at once and after every change. */
    watchRuns: { params: watchedPlaces, result: z.object({}) },
    /** Starts, or goes on with, an experiment's run in a process that outlives us. Errors are those of the experiment file. */
    start: {
      params: z.object({ experiment: z.string(), runFolder: z.string().optional(), jobs: jobs.optional() }),
      result: started,
    },
    /** `jobs`: these instead of those that the run was started with. */
    resume: { params: z.object({ folder: z.string(), jobs: jobs.optional() }), result: started },
    stop: { params: z.object({ folder: z.string() }), result: z.object({ wasRunning: z.boolean() }) },
    delete: { params: z.object({ folder: z.string() }), result: z.object({}) },
    /** Checks an experiment file's text: all that is wrong and where; in a right one, what is hardly meant. */
    check: {
      params: z.object({ file: z.string(), text: z.string() }),
      result: z.object({
        problems: z.array(
          z.object({
            message: z.string(),
            severity: z.enum(["error", "warning"]),
            line: z.number().int(),
            column: z.number().int(),
          }),
        ),
      }),
    },
    /** Layers of the model that an experiment would name so; null where it isn't here or can't be read yet. */
    modelLayers: { params: z.object({ model: z.string() }), result: z.object({ layers: z.number().int().nullable() }) },
    /** Opens SAEs in any layout: the hook that they share, or null, and what no file says and a person must; errors say what can't be read, and whose hook is another. */
    describeSaes: {
      params: z.object({ paths: z.array(z.string()).min(1), said: saidOfSaes }),
      result: z.object({ hook: z.string().nullable(), ask: saidOfSaes.keyof().nullable() }),
    },
    /** Writes SAEs as one ensemble's folder, and the experiment that evaluates and indexes it. `hook_name`: a person's word, where no file says one. */
    importSaes: {
      params: z.object({
        paths: z.array(z.string()).min(1),
        folder: z.string(),
        hook_name: z.string().optional(),
        said: saidOfSaes,
        model: z.string(),
        text: z.string(),
      }),
      result: z.object({ experiment: z.string(), lines: z.array(z.string()), warnings: z.array(z.string()) }),
    },
    describeTensorFile: { params: z.object({ file: z.string() }), result: tensorFile },
    tensorStatistics: {
      params: z.object({ file: z.string(), tensor: z.number().int().nonnegative() }),
      result: tensorStatistics,
    },
    /** Copies the demo's experiment into a folder; its path. */
    createDemo: { params: z.object({ folder: z.string() }), result: z.object({ experiment: z.string() }) },
    /** The run folder's events from a byte on; lines that are none (torn by a crash) are left out. */
    events: {
      params: z.object({ folder: z.string(), from: z.number().int() }),
      result: z.object({
        events: z.array(runEvent),
        /** The byte after them. */
        next: z.number().int(),
        /** The run's state and its reason after these events, whatever they say: a killed process says nothing. */
        state: runEntry.shape.state,
        reason: z.string().nullable(),
      }),
    },
    report: { params: z.object({ folder: z.string() }), result: reportTable.nullable() },
    compareEnsembles: { params: z.object({ ensembles: z.array(z.string()).min(2) }), result: comparison },
    /** Deletes one ensemble of a run with its index, flags and labels. */
    deleteEnsemble: { params: z.object({ ensemble: z.string() }), result: z.object({}) },
    /** The user's access token of the Hugging Face hub, for this service and the runs that it starts; null: the environment's own. */
    setHubToken: { params: z.object({ token: z.string().nullable() }), result: z.object({}) },
    /** `folder`: where runs would go. */
    doctor: { params: z.object({ folder: z.string() }), result: z.object({ text: z.string() }) },
    openIndex: { params: index, result: browser.ready.result },
    page: { params: browser.page.params.extend(index.shape), result: browser.page.result },
    place: { params: browser.place.params.extend(index.shape), result: browser.place.result },
    detail: { params: browser.detail.params.extend(index.shape), result: browser.detail.result },
    annotate: { params: annotation.extend(index.shape), result: z.object({}) },
    undo: { params: index, result: browser.undo.result },
    tryText: { params: browser.tryText.params.extend(index.shape), result: browser.tryText.result },
    ...inspectionRequests,
    source: { params: sourceQuestion.extend(index.shape), result: sourcePlace },
    /** What a language model would be asked to label features: the question for a label, and the one that tests it, with a place-holder where the label goes. */
    labelQuestions: {
      params: index.extend({ features: z.array(z.number().int()).min(1) }),
      result: z.array(
        z.object({
          feature: z.number().int(),
          name: z.string(),
          /** Null where there is nothing to show of the feature. */
          label: z.string().nullable(),
          /** Null where there are too few held-out passages for a score. */
          detection: z.string().nullable(),
        }),
      ),
    },
    /** The label in a model's answer, and the question that tests it. */
    labelAnswer: {
      params: index.extend({ feature: z.number().int(), answer: z.string() }),
      result: z.object({ label: z.string(), detection: z.string().nullable() }),
    },
    /** Scores a label by the model's answer to the test (null: there was none), and stores both. */
    labelScore: {
      params: index.extend({
        feature: z.number().int(),
        label: z.string(),
        answer: z.string().nullable(),
        model: z.string(),
      }),
      result: z.object({ detection: z.number().nullable() }),
    },
    /** Features for the sidebar: flagged first, then the clearest, each under its strongest token. */
    outline: {
      params: index.extend({ filter: z.string(), limit: z.number().int() }),
      result: z.object({ rows: z.array(featureRow), total: z.number().int() }),
    },
    describeLabelled: { params: debias.describe.params.extend(index.shape), result: debias.describe.result },
    debiasOpen: { params: index, result: debias.ready.result },
    debiasPrepare: { params: index.extend({ choice: debiasChoice }), result: debias.prepare.result },
    /** The view is closed: what it had prepared is let go. */
    debiasClose: { params: index, result: z.object({}) },
    debiasSuggestions: { params: debias.suggestions.params.extend(index.shape), result: debias.suggestions.result },
    debiasRetrain: { params: index, result: debias.retrain.result },
    debiasCompare: { params: index, result: debias.compare.result },
    /** Runs the job on what is prepared, saves its report in the run folder's reports; the path of the Markdown. */
    debiasReport: { params: index, result: savedFile },
    /** The same, with the debiased probe of the ensemble's flags; the path of its description. */
    debiasProbe: { params: index, result: savedFile },
    conceptsOpen: { params: index, result: concepts.ready.result },
    conceptsDetect: { params: index.extend({ choice: conceptsChoice }), result: concepts.detect.result },
    conceptsReport: { params: index, result: savedFile },
  },
  notifications: {},
} as const satisfies Contract;

/** The service tells the host. */
export const serviceClient = {
  requests: {},
  notifications: {
    runsChanged: seenRuns,
    /** Before annotationsChanged, where a debiasing of the ensemble is open. */
    debiasVerdict: index.extend({ verdict: debiasVerdict }),
    annotationsChanged: index,
    /** Long work on labelled texts, until it is answered. */
    probingProgress: index.extend({ progress: probingProgress }),
    generated: generated.extend({ stream: z.string() }),
    log: z.object({ level: z.enum(["info", "warning", "error"]), message: z.string() }),
  },
} as const satisfies Contract;
export type ServiceEvents = (typeof serviceClient)["notifications"];

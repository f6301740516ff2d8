// The service: a long-lived child of the extension host under Node 24. It reads run folders and indices, starts and stops runs, and answers about text, so that the host stays light.
import { copyFileSync, existsSync, statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createMessageConnection, ResponseError, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import { parseLabel } from "../features/labelling.ts";
import { deleteFolderAtomic } from "../formats/atomicDelete.ts";
import { isWanted } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import { textBefore } from "../inspection/pieces.ts";
import { compareEnsembles } from "../jobs/compareEnsembles.ts";
import { demoPath } from "../jobs/demoData.ts";
import { parseEvent } from "../jobs/eventLog.ts";
import { readExperiment } from "../jobs/experiment.ts";
import { experimentProblems } from "../jobs/experimentProblems.ts";
import { importSaes, localSaes } from "../jobs/importSaes.ts";
import { launchDetached, requestStop, resumeArguments, runArguments } from "../jobs/launch.ts";
import { examineMachine, findingLines } from "../jobs/machine.ts";
import { runPaths } from "../jobs/runFolder.ts";
import { jobsOf } from "../jobs/runJobs.ts";
import { isRunLocked } from "../jobs/runLock.ts";
import { readRunRecord } from "../jobs/runRecord.ts";
import { sourcePlace } from "../jobs/sourceText.ts";
import { modelSize } from "../model/modelSize.ts";
import { ANNOTATIONS_DAMAGED, ENSEMBLE_DELETED } from "../protocol/featureBrowser.ts";
import { answer, notify } from "../protocol/rpc.ts";
import type { RunEvent } from "../protocol/runEvents.ts";
import { service, serviceClient } from "../protocol/service.ts";
import { openSources, sharedHook } from "../sae/importEnsemble.ts";
import { Unsaid } from "../sae/layouts/opened.ts";
import { importMessages } from "./importMessages.ts";
import { Inspections } from "./inspections.ts";
import { annotationFile, OpenEnsemble, within } from "./openEnsembles.ts";
import { Probing } from "./probing.ts";
import { comparisonTables, readReportTable } from "./reportRows.ts";
import { RunWatcher, readRun, stateOf } from "./runWatcher.ts";
import { describeTensorFile, statisticsOf } from "./tensorFiles.ts";

/** The command line beside this file, which is what runs in the detached child. */
const entry = join(import.meta.dirname, "sae-ensembles.js");
/** Features shown for a token of a tried text. */
const triedFeatures = 8;
/** Milliseconds between looks at open indices: at their annotation files, and whether somebody needs them closed. */
const openLook = 1000;
/** Most bytes of events in one answer. */
const eventChunk = 1 << 20;

/** The token of the environment that the service was started in. */
const ownHubToken = process.env["HF_TOKEN"];

const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
const watcher = new RunWatcher(
  (seen) => notify(connection, serviceClient, "runsChanged", seen),
  ({ message }) => notify(connection, serviceClient, "log", { level: "error", message }),
);
const inspections = new Inspections(opened);
const ensembles = new Map<string, Promise<OpenEnsemble>>();
const probing = new Probing({
  opened,
  saved,
  tell: (ensemble, progress) => notify(connection, serviceClient, "probingProgress", { ensemble, progress }),
});

/** The ensemble opened, kept open until its index is replaced; what failed to open is tried anew next time. */
async function opened(folder: string): Promise<OpenEnsemble> {
  let ensemble = ensembles.get(folder);
  if (ensemble && (await ensemble).isOutdated()) {
    await forget(folder);
    // Somebody else may have opened it since.
    ensemble = ensembles.get(folder);
  }
  if (!ensemble) {
    ensemble = OpenEnsemble.open(folder);
    ensembles.set(folder, ensemble);
    ensemble.catch(() => ensembles.delete(folder));
  }
  return ensemble;
}

/** Waits until the flags of what is open in a folder are on disk. */
async function saved(above: string): Promise<void> {
  for (const [folder, ensemble] of ensembles) if (within(folder, above)) await (await ensemble).saved();
}

/** Closes what is open in a folder: indices, debiasings, the ensemble that texts are read with. */
async function forget(above: string): Promise<void> {
  probing.forget(above);
  for (const [folder, ensemble] of ensembles) {
    if (!within(folder, above)) continue;
    ensembles.delete(folder);
    (await ensemble.catch(() => undefined))?.close();
  }
  await inspections.forget(above);
}

/** Starts the command line on a run, or joins the process that has it already. */
async function launch(folder: string, commandArguments: readonly string[]): Promise<{ folder: string; from: number }> {
  if (isRunLocked(folder)) return { folder, from: 0 };
  const from = statSync(runPaths(folder).events, { throwIfNoEntry: false })?.size ?? 0;
  await forget(folder);
  await launchDetached(folder, commandArguments, entry);
  watcher.look();
  return { folder, from };
}

/** Tells everyone: first what the flags do to a classifier, where one is open, then that there is something to ask anew. */
function annotationsChanged(ensemble: string, open: OpenEnsemble): void {
  const verdict = probing.verdict(ensemble, open.flagged());
  if (verdict) notify(connection, serviceClient, "debiasVerdict", { ensemble, verdict });
  notify(connection, serviceClient, "annotationsChanged", { ensemble });
}

/** Shown before it is on disk: a click waits for no disk. */
async function changeAnnotations(ensemble: string, open: OpenEnsemble, change: () => Promise<boolean>): Promise<void> {
  const saved = change();
  annotationsChanged(ensemble, open);
  if (await saved) annotationsChanged(ensemble, open);
}

answer(connection, service, {
  ...probing.answers,
  watchRuns: (places) => {
    watcher.watch(places);
    return {};
  },
  start: async ({ experiment: file, runFolder: wanted, jobs }) => {
    const experiment = readExperiment(file, wanted === undefined ? {} : { runFolder: wanted });
    return launch(experiment.paths.runFolder, runArguments(experiment, jobs ?? jobsOf(experiment)));
  },
  resume: ({ folder, jobs }) => launch(folder, resumeArguments(folder, jobs)),
  stop: ({ folder }) => ({ wasRunning: requestStop(folder) }),
  delete: async ({ folder }) => {
    readRunRecord(folder); // only what is a run folder is deleted
    if (isRunLocked(folder)) throw new Error(`${folder} is running; stop it first.`);
    await forget(folder);
    await deleteFolderAtomic(folder);
    watcher.look();
    return {};
  },
  compareEnsembles: async ({ ensembles }, signal) => comparisonTables(await compareEnsembles(ensembles, signal)),
  deleteEnsemble: async ({ ensemble }) => {
    const run = dirname(dirname(ensemble));
    if (!readRun(run).ensembles.some(({ folder }) => folder === ensemble))
      throw new Error(`${ensemble} is no ensemble of a run.`);
    if (isRunLocked(run)) throw new Error(`${run} is at work; stop it first.`);
    await forget(ensemble);
    await deleteFolderAtomic(ensemble);
    watcher.look();
    return {};
  },
  check: async ({ file, text }) => {
    const placed = (message: string, at: string, severity: "error" | "warning") => {
      const [, line = 1, column = 1] = /:(\d+):(\d+)$/.exec(at) ?? [];
      return { message, severity, line: Number(line), column: Number(column) };
    };
    const { problems, warnings } = await experimentProblems(text, file);
    const errors = problems.map(({ file: at, where, found, expected }) =>
      placed(`${where ? `${where}: ` : ""}found ${found}, expected ${expected}`, at, "error"),
    );
    return { problems: [...errors, ...warnings.map(({ file: at, message }) => placed(message, at, "warning"))] };
  },
  // Read from the configuration alone: quick enough to ask while somebody chooses a hook.
  modelLayers: async ({ model }) => ({
    layers: await modelSize(model === "demo" ? demoPath("model") : model).then(
      ({ nLayers }) => nLayers,
      () => null,
    ),
  }),
  describeSaes: async ({ paths, said }, signal) => {
    try {
      const sources = await openSources(await localSaes({ paths, signal }), { ...said });
      const asks = sources.flatMap(({ members }) => members).find((member) => member.asks)?.asks;
      return { hook: sharedHook(sources) ?? null, ask: asks ?? null };
    } catch (error) {
      if (error instanceof Unsaid) return { hook: null, ask: error.ask };
      throw error;
    }
  },
  importSaes: async ({ paths, folder, hook_name, said, model, text }, signal) => {
    const options = { ...said, ...(hook_name !== undefined && { hook_name }) };
    const { members, experiment } = await importSaes({ paths, folder, model, text, signal, options });
    return { experiment: experiment!, ...importMessages(members) };
  },
  describeTensorFile: ({ file }) => describeTensorFile(file),
  tensorStatistics: async ({ file, tensor }, signal) => {
    const { histogram, ...numbers } = await statisticsOf(file, tensor, signal);
    return { ...numbers, histogram: [...histogram] };
  },
  createDemo: ({ folder }) => {
    const experiment = join(folder, "demo.sae.jsonc");
    if (!existsSync(experiment)) copyFileSync(demoPath("experiment"), experiment);
    return { experiment };
  },
  events: async ({ folder, from }) => {
    // The state first: what the process wrote before it ended is then among the lines.
    const { state, reason } = stateOf(folder);
    return { ...(await readEventsFrom(runPaths(folder).events, from)), state, reason };
  },
  report: ({ folder }) => readReportTable(folder),
  setHubToken: ({ token }) => {
    // Runs inherit it; it stands in no file and no list of processes.
    if (token ?? ownHubToken) process.env["HF_TOKEN"] = token ?? ownHubToken;
    else delete process.env["HF_TOKEN"];
    return {};
  },
  doctor: async ({ folder }) => {
    const lines = findingLines(await examineMachine(folder));
    return { text: `What this machine has and can run\n\n${lines.join("\n")}\n` };
  },
  openIndex: async ({ ensemble }) => {
    if (!existsSync(ensemble)) {
      const what = existsSync(dirname(dirname(ensemble))) ? "ensemble" : "run";
      throw new ResponseError(ENSEMBLE_DELETED, `This ${what} was deleted.`);
    }
    try {
      return (await opened(ensemble)).snapshot(true);
    } catch (error) {
      if (!(error instanceof InputError) || error.file !== join(ensemble, annotationFile)) throw error;
      throw new ResponseError(ANNOTATIONS_DAMAGED, error.message);
    }
  },
  page: async ({ ensemble, query, offset, limit }) => (await opened(ensemble)).page(query, offset, limit),
  place: async ({ ensemble, query, feature }) => ({ place: (await opened(ensemble)).place(query, feature) }),
  detail: async ({ ensemble, feature }) => (await opened(ensemble)).detail(feature),
  annotate: async ({ ensemble, ...edit }) => {
    const open = await opened(ensemble);
    await changeAnnotations(ensemble, open, () => open.annotate(edit));
    return {};
  },
  undo: async ({ ensemble }) => {
    const open = await opened(ensemble);
    if (!open.undoable) return { undone: false };
    await changeAnnotations(ensemble, open, () => open.undo());
    return { undone: true };
  },
  tryText: async ({ ensemble, text }, signal) => {
    const tokens = await inspections.tokens(ensemble, text, triedFeatures, signal);
    const features = [...new Set(tokens.flatMap((token) => token.features.map(({ feature }) => feature)))];
    return { tokens, rows: (await opened(ensemble)).rows(features) };
  },
  inspect: (question, signal) => inspections.inspect(question, signal),
  featuresHere: (question) => inspections.featuresHere(question),
  textBefore: ({ kind, text, offset }) => ({ text: textBefore(text, kind, offset) }),
  nextToken: (question, signal) => inspections.nextToken(question, signal),
  pushing: (question, signal) => inspections.pushing(question, signal),
  generate: (question, signal) => {
    const { stream } = question;
    return inspections.generate(
      question,
      (generated) => notify(connection, serviceClient, "generated", { ...generated, stream }),
      signal,
    );
  },
  compare: (question, signal) => inspections.compare(question, signal),
  describeText: async ({ ensemble, text }, signal) => ({
    text: await inspections.describe(ensemble, text, signal),
  }),
  outline: async ({ ensemble, filter, limit }) => (await opened(ensemble)).outline(filter, limit),
  source: ({ ensemble, ...question }) => sourcePlace(dirname(dirname(ensemble)), question),
  labelQuestions: async ({ ensemble, features }) =>
    (await opened(ensemble)).labelQuestions(features, "(the label that the model has given)"),
  labelAnswer: async ({ ensemble, feature, answer }) => {
    const label = parseLabel(answer);
    const [questions] = (await opened(ensemble)).labelQuestions([feature], label);
    return { label, detection: questions!.detection };
  },
  labelScore: async ({ ensemble, feature, label, answer, model }) => {
    const open = await opened(ensemble);
    const detection = await open.label(feature, label, answer, model);
    annotationsChanged(ensemble, open);
    return { detection };
  },
});

/** Events of whole lines of an events file from a byte on, and where the next ones begin. */
async function readEventsFrom(file: string, from: number): Promise<{ events: RunEvent[]; next: number }> {
  const size = (await stat(file).catch(() => undefined))?.size ?? 0;
  if (size <= from) return { events: [], next: from };
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(Math.min(eventChunk, size - from)),
      0,
      undefined,
      from,
    );
    const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    const events = buffer
      .toString("utf8", 0, end)
      .split("\n")
      .flatMap((line) => parseEvent(line) ?? []);
    return { events, next: from + end };
  } finally {
    await handle.close();
  }
}

setInterval(async () => {
  for (const [folder, ensemble] of ensembles) {
    try {
      const open = await ensemble;
      // A run that puts another in its place, or another window that deletes it. Who asks next opens it anew.
      if ([folder, dirname(dirname(folder))].some(isWanted)) await forget(folder);
      else if (await open.refresh()) annotationsChanged(folder, open);
    } catch (error) {
      notify(connection, serviceClient, "log", { level: "warning", message: (error as Error).message });
    }
  }
}, openLook).unref();

// Runs are not ours to end: they are detached, and go on when the window closes.
connection.onClose(() => process.exit(0));
process.stdin.on("close", () => process.exit(0));
connection.listen();

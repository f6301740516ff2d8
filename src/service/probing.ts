// Answers to the debias and the concept view: sessions that stay open as long as their view, one an ensemble, and the reports that they end in.
import { basename, dirname, join } from "node:path";
import { type ConceptsReport, conceptsReport, writeConcepts } from "../jobs/concepts.ts";
import { debias } from "../jobs/debias.ts";
import { demoBias } from "../jobs/demoData.ts";
import { obtainLabelled } from "../jobs/obtain.ts";
import { ProgressMeter } from "../jobs/progressMeter.ts";
import { experimentOfRun } from "../jobs/runRecord.ts";
import { freeReport } from "../jobs/savedReports.ts";
import type { ConceptsChoice, ConceptsResult } from "../protocol/concepts.ts";
import type { DebiasChoice, DebiasVerdict } from "../protocol/debias.ts";
import type { ProbingProgress } from "../protocol/labelledData.ts";
import type { Handlers } from "../protocol/rpc.ts";
import type { service } from "../protocol/service.ts";
import { conceptsCommand, debiasCommand } from "./commandLines.ts";
import { DebiasSession, type DebiasWork, jobOptions } from "./debiasSession.ts";
import { describeLabelled } from "./labelledChoice.ts";
import { type OpenEnsemble, within } from "./openEnsembles.ts";

/** Suggested features that stand in for flags in a report where nobody has flagged any. */
const SHIFT_N = 20;

interface Detected {
  readonly choice: ConceptsChoice;
  readonly report: ConceptsReport;
}

type Answers = Pick<
  Handlers<typeof service>,
  | "debiasOpen"
  | "describeLabelled"
  | "debiasClose"
  | "debiasPrepare"
  | "debiasSuggestions"
  | "debiasRetrain"
  | "debiasCompare"
  | "debiasReport"
  | "debiasProbe"
  | "conceptsOpen"
  | "conceptsDetect"
  | "conceptsReport"
>;

export interface ProbingHost {
  /** An ensemble's index and flags. */
  readonly opened: (ensemble: string) => Promise<OpenEnsemble>;
  /** Waits until the flags of all ensembles in a folder are on disk, where a job reads them. */
  readonly saved: (above: string) => Promise<void>;
  /** Where long work is. */
  readonly tell: (ensemble: string, progress: ProbingProgress) => void;
}

export class Probing {
  readonly #host: ProbingHost;
  readonly #sessions = new Map<string, DebiasSession>();
  readonly #detected = new Map<string, Detected>();

  constructor(host: ProbingHost) {
    this.#host = host;
  }

  /** Drops what is held of the ensembles in a folder: they are replaced or gone. */
  forget(above: string): void {
    for (const held of [this.#sessions, this.#detected])
      for (const folder of held.keys()) if (within(folder, above)) held.delete(folder);
  }

  /** What the flags do, where a debiasing of the ensemble is open. */
  verdict(ensemble: string, flags: readonly number[]): DebiasVerdict | null {
    return this.#sessions.get(ensemble)?.verdict(flags) ?? null;
  }

  readonly answers: Answers = {
    describeLabelled: async ({ ensemble, ...question }, signal) => {
      const { trainFile, testFile } = question;
      const data = await describeLabelled({ ...question, ...(await this.#obtained(ensemble, question, signal)) });
      return { ...data, trainFile, testFile };
    },
    debiasOpen: async ({ ensemble }) => {
      const open = await this.#host.opened(ensemble);
      return {
        ...heading(open, "Debias"),
        suggested: demoOf(ensemble, demoChoice),
        state: this.#sessions.get(ensemble)?.state(open.flagged()) ?? null,
      };
    },
    debiasPrepare: async ({ ensemble, choice }, signal) => {
      const open = await this.#host.opened(ensemble);
      await this.#obtained(ensemble, choice, signal);
      const session = await DebiasSession.prepare(ensemble, basename(ensemble), choice, this.#work(ensemble, signal));
      // Its view may have been closed meanwhile.
      signal.throwIfAborted();
      this.#sessions.set(ensemble, session);
      return session.state(open.flagged());
    },
    debiasClose: ({ ensemble }) => {
      this.#sessions.delete(ensemble);
      return {};
    },
    debiasSuggestions: async ({ ensemble, offset, limit }) => {
      const open = await this.#host.opened(ensemble);
      const session = this.#session(ensemble);
      const features = [...session.suggested.subarray(offset, offset + limit)];
      const first = session.suggested[0];
      return {
        total: session.suggested.length,
        largest: first === undefined ? 0 : session.suggestion(first).effect,
        rows: open.rows(features).map((row) => ({ row, ...session.suggestion(row.feature) })),
      };
    },
    debiasRetrain: async ({ ensemble }, signal) => {
      const [session, open] = [this.#session(ensemble), await this.#host.opened(ensemble)];
      await session.retrain(open.flagged(), signal);
      // Flags may have changed meanwhile.
      return session.verdict(open.flagged());
    },
    debiasCompare: async ({ ensemble }, signal) => {
      const session = this.#session(ensemble);
      await session.compare(this.#work(ensemble, signal));
      return session.state((await this.#host.opened(ensemble)).flagged());
    },
    debiasReport: async ({ ensemble }, signal) => {
      const path = freeReport(ensemble, "debias");
      await this.#report(ensemble, path, signal);
      return { file: `${path}.md` };
    },
    debiasProbe: async ({ ensemble }, signal) => {
      const folder = freeReport(ensemble, "debiased-probe");
      await this.#report(ensemble, join(folder, "debias"), signal, folder);
      return { file: join(folder, basename(ensemble), "probe.json") };
    },
    conceptsOpen: async ({ ensemble }) => {
      const open = await this.#host.opened(ensemble);
      const detected = this.#detected.get(ensemble);
      return {
        ...heading(open, "Concepts"),
        suggested: demoOf(ensemble, demoClasses),
        result: detected ? conceptsResult(detected, open) : null,
      };
    },
    conceptsDetect: async ({ ensemble, choice }, signal) => {
      const open = await this.#host.opened(ensemble);
      const runFolder = dirname(dirname(ensemble));
      const { perClass, seeds, columns } = choice;
      const { trainFile, testFile } = await this.#obtained(ensemble, choice, signal);
      const report = await conceptsReport(runFolder, {
        trainFile,
        ...(testFile !== null && { testFile }),
        columns,
        seeds,
        perClass: { train: perClass, test: Math.ceil(perClass / 2) },
        ensembles: [basename(ensemble)],
        command: conceptsCommand(runFolder, basename(ensemble), choice, null),
        ...this.#work(ensemble, signal),
      });
      const detected = { choice, report };
      this.#detected.set(ensemble, detected);
      return conceptsResult(detected, open);
    },
    conceptsReport: async ({ ensemble }) => {
      const detected = this.#detected.get(ensemble);
      if (!detected) throw new Error("Nothing is detected yet: choose the data first.");
      const path = freeReport(ensemble, "concepts");
      const command = conceptsCommand(dirname(dirname(ensemble)), basename(ensemble), detected.choice, path);
      await writeConcepts(path, { ...detected.report, command });
      return { file: `${path}.md` };
    },
  };

  /** The job that the command line runs too, on the ensembles that have a curve and with the flags of their files. */
  async #report(ensemble: string, path: string, signal: AbortSignal, probeFolder?: string): Promise<void> {
    const session = this.#session(ensemble);
    const runFolder = dirname(dirname(ensemble));
    const ensembles = probeFolder === undefined ? session.ensembles : [basename(ensemble)];
    await this.#host.saved(runFolder);
    const open = await this.#host.opened(ensemble);
    const flags =
      ensembles.length === 1 ? open.rows(open.flagged()).map(({ member, index }) => `${member}/${index}`) : null;
    await debias(runFolder, path, {
      ...jobOptions(session.choice, runFolder),
      ensembles,
      shift_n: SHIFT_N,
      ...(probeFolder !== undefined && { probeFolder }),
      command: debiasCommand(runFolder, ensembles, session.choice, {
        report: path,
        shift: SHIFT_N,
        flags,
        probe: probeFolder ?? null,
      }),
      ...this.#work(ensemble, signal),
    });
  }

  /** The files of a choice: paths as they are, data sets of the hub as what stands for them here, fetched where they weren't yet. */
  async #obtained<T extends { readonly trainFile: string; readonly testFile: string | null }>(
    ensemble: string,
    { trainFile, testFile }: T,
    signal: AbortSignal,
  ): Promise<Pick<T, "trainFile" | "testFile">> {
    const { onProgress } = this.#work(ensemble, signal);
    const MIB = 2 ** 20;
    const obtained = (name: string) =>
      obtainLabelled(name, dirname(dirname(ensemble)), {
        signal,
        onProgress: (stage, done, total) => onProgress(stage, Math.floor(done / MIB), Math.ceil(total / MIB), "MiB"),
      });
    return { trainFile: await obtained(trainFile), testFile: testFile === null ? null : await obtained(testFile) };
  }

  #session(ensemble: string): DebiasSession {
    const session = this.#sessions.get(ensemble);
    if (!session) throw new Error("Nothing is prepared yet: choose the data first.");
    return session;
  }

  #work(ensemble: string, signal: AbortSignal): DebiasWork {
    const meter = new ProgressMeter(({ stage, done, total, unit, eta }) =>
      this.#host.tell(ensemble, { stage, done, total, unit, eta }),
    );
    return { signal, onProgress: (stage, done, total, unit) => meter.update(stage, done, total, unit) };
  }
}

function heading(open: OpenEnsemble, what: string) {
  const { title, ensembleFolder, method, members, hook } = open.snapshot(false);
  return { title: `${what}: ${title}`, ensemble: ensembleFolder, method, members, hook };
}

/** Data of our own is offered to runs on our own model alone. */
function demoOf<T>(ensemble: string, choice: () => T): T | null {
  return experimentOfRun(dirname(dirname(ensemble))).settings.model_name === "demo" ? choice() : null;
}

function demoChoice(): DebiasChoice {
  const { perCell, ...demo } = demoBias();
  return {
    ...demo,
    // The way round in which the probe does not fail altogether, so that the first flags show.
    attribute: { positive: ["male"], negative: ["female"] },
    seeds: [0, 1, 2],
    perCell: perCell.train,
  };
}

function demoClasses(): ConceptsChoice {
  const { trainFile, testFile, columns } = demoBias();
  return {
    trainFile,
    testFile,
    columns: { text: columns.text, label: columns.label },
    seeds: [0, 1, 2],
    perClass: 200,
  };
}

function conceptsResult({ choice, report }: Detected, open: OpenEnsemble): ConceptsResult {
  const told = ({ mean, sd }: { mean: number; sd: number }) => ({
    mean: Number.isNaN(mean) ? null : mean,
    sd: Number.isNaN(sd) ? null : sd,
  });
  const { detections, classes, texts } = report;
  const own = detections.at(-1)!;
  const most = own.features.at(-1)!;
  return {
    choice,
    k: detections[0]!.accuracy.map(({ k }) => k),
    means: detections.map(({ name, accuracy }) => ({ name, accuracy: accuracy.map(({ mean }) => told(mean)) })),
    classes: classes.map((name, at) => ({
      name,
      texts: texts[at]!,
      accuracy: detections.map(({ accuracy }) => accuracy.map((one) => told(one.classes[at]!))),
      features: open
        .rows(most.classes[at]!.map((feature) => open.featureOf(feature)))
        .map((row, one) => ({ row, firesMore: most.fires_more[at]![one]! })),
    })),
    leftOut: [...report.left_out],
  };
}

// report.json of a run, read back: the numbers that the evaluation wrote, by method and by ensemble. Writing it is evaluate.ts.
import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import { runPaths } from "./runFolder.ts";

const metric = z.object({ value: z.number().nullable(), reason: z.string().optional() });
const metrics = z.record(z.string(), metric);

const reportSchema = z.object({
  methods: z.array(
    z.object({
      method: z.string(),
      label: z.string(),
      metrics,
      /** One an ensemble; numbers through the language model apart, where there are any. */
      runs: z.array(
        z.object({ seeds: z.array(z.number()), metrics, model: z.record(z.string(), z.unknown()).optional() }),
      ),
    }),
  ),
});

export type ReportFile = z.infer<typeof reportSchema>;
export type ReportMetric = z.infer<typeof metric>;

/** Reports by file, as they were at a time of modification: a watcher looks often, and they seldom change. */
const read = new Map<string, { readonly time: number; readonly report: ReportFile }>();

/** Null where there is no report; throws InputError where it can't be read. */
export function readReportFile(runFolder: string): ReportFile | null {
  const file = runPaths(runFolder).report("json");
  const time = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (time === undefined) return null;
  const known = read.get(file);
  if (known?.time === time) return known.report;
  const report = parse(file);
  read.set(file, { time, report });
  return report;
}

function parse(file: string): ReportFile {
  const expected = "a report as evaluate writes it; evaluate again";
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    const parsed = reportSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw schemaError(file, value, parsed.error, expected);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError({ file, found: (error as Error).message, expected });
  }
}

/** A metric of one ensemble: of the run with its seeds, or of its method where only the method has it (stability). */
export function ensembleMetric(
  report: ReportFile,
  method: string,
  seeds: readonly number[],
  key: string,
): ReportMetric {
  const entry = report.methods.find((candidate) => candidate.method === method);
  const run = entry?.runs.find((candidate) => JSON.stringify(candidate.seeds) === JSON.stringify(seeds));
  if (!entry || !run) return { value: null, reason: "not in the run's report: evaluate it" };
  const own = run.metrics[key] ?? metric.safeParse(run.model?.[key]).data;
  return own ?? entry.metrics[key] ?? { value: null, reason: "not in the run's report" };
}

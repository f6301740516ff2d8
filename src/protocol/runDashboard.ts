// What the run dashboard asks of its host, and what the host tells it. Shapes only.
import * as z from "zod";
import { reportTable } from "./reportTable.ts";
import type { Contract } from "./rpc.ts";
import { runEvent } from "./runEvents.ts";
import { runEntry } from "./service.ts";

/** A run with its report, or why that can't be read (empty where it can, or there is none). */
const runSnapshot = z.object({ run: runEntry, report: reportTable.nullable(), reportDamage: z.string() });
export type RunSnapshot = z.infer<typeof runSnapshot>;

export const dashboardHost = {
  requests: {
    ready: { params: z.object({}), result: runSnapshot },
    stop: { params: z.object({}), result: z.object({}) },
    resume: { params: z.object({}), result: z.object({}) },
    browse: { params: z.object({ ensemble: z.string() }), result: z.object({}) },
    /** Asks where and writes a file there; which it was, null where nobody wanted it any more. `base64`: whether the content is bytes. */
    save: {
      params: z.object({ name: z.string(), content: z.string(), base64: z.boolean() }),
      result: z.object({ file: z.string().nullable() }),
    },
  },
  notifications: {},
} as const satisfies Contract;

export const dashboardView = {
  requests: {},
  notifications: {
    /** What the run's events file has, from its beginning on, then as it is written. */
    events: z.object({ events: z.array(runEvent) }),
    runChanged: runSnapshot,
    /** The run is not there any more; it may come back. */
    runGone: z.object({ message: z.string() }),
  },
} as const satisfies Contract;

// inspect-hover, inspect-pause: what a hover over an inspected text takes, and how long the extension host is blocked while somebody types into one, in a real VS Code.
import { join } from "node:path";
import { runInHost } from "../../test/host/runInHost.ts";
import type { Typing } from "../children/typing.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { MANY, manyInEditor } from "../manyFeatures.ts";
import { median } from "../median.ts";

/** Milliseconds, of both. */
const GOAL = 50;
const through = `an ensemble of ${(MANY.members * MANY.d_sae).toLocaleString("en-US")} features`;

export const inspectHoverClaim: Claim = {
  name: "inspect-hover",
  measures: `milliseconds until a hover over a text of 6,000 characters, inspected through ${through}, is answered, through a real VS Code's workbench and back (95th percentile of 50)`,
  against: `the limit of ${GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: (bench) => typing(bench, ({ hovers }) => hovers.toSorted((a, b) => a - b)[Math.floor(0.95 * hovers.length)]!),
};

export const inspectPauseClaim: Claim = {
  name: "inspect-pause",
  measures: `milliseconds of the extension host's longest pause while 40 edits are typed into a text of 6,000 characters, inspected through ${through}`,
  against: `the limit of ${GOAL} ms; no peer`,
  unit: "ms",
  goal: 1,
  run: (bench) => typing(bench, ({ longestPause }) => longestPause),
};

async function typing(bench: Bench, choose: (typed: Typing) => number): Promise<Measured> {
  const { state, workspace } = await manyInEditor(bench);
  bench.log("typing");
  const [result] = await runInHost({ suite: join("..", "..", "bench", "children", "typing.ts"), state, workspace });
  if (!result || result.error !== null) throw new NotMeasurable(result?.error ?? "VS Code ended without a result");
  const typed = JSON.parse(result.notes[0]!) as Typing;
  const ours = choose(typed);
  return {
    ours,
    peer: GOAL,
    ratio: GOAL / ours,
    details: {
      hover_median_ms: median(typed.hovers),
      hover_most_ms: Math.max(...typed.hovers),
      longest_pause_ms: typed.longestPause,
      pause_99_percent_ms: typed.pause99,
      edits: typed.edits,
      characters: typed.characters,
    },
    notes: [
      "The peer's number is the limit. Headless Chromium draws on the same cores. Pauses are delays of the host's event loop, to a millisecond: those of other extensions and of the system are in them.",
    ],
  };
}

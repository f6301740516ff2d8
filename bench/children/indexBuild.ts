// Builds a feature index as `sae-ensembles index` does, from rows of tokens; time and peak memory.
import { statSync } from "node:fs";
import { createCpuEngine } from "../../src/engine/cpu/cpuEngine.ts";
import { buildFeatureIndex } from "../../src/features/buildFeatureIndex.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { loadSae } from "../../src/sae/saeLensFolder.ts";
import { childAnswer, childInput, peakBytes } from "./child.ts";

const input = childInput<{
  model: string;
  sae: string;
  hook: string;
  path: string;
  threads: number;
  rows: readonly (readonly number[])[];
}>();
const model = await openLanguageModel(input.model, { threads: input.threads });
const engine = await createCpuEngine({ threads: input.threads });
const sae = await loadSae(input.sae);
const ensemble = {
  method: "single",
  members: [sae],
  weights: [1],
  seeds: [0],
  hook: input.hook,
  provenance: {},
} as const;
const encoder = await engine.createEncoder(ensemble);

async function* rows() {
  for (const [document, ids] of input.rows.entries()) {
    // Where tokens stand in a text doesn't matter to the time; they are laid out one after another.
    const at = Int32Array.from(ids, (_, t) => t);
    yield {
      ids: Int32Array.from(ids),
      documents: new Int32Array(ids.length).fill(document),
      starts: at,
      ends: at.map((start) => start + 1),
    };
  }
}

const before = peakBytes();
const start = performance.now();
await buildFeatureIndex({ path: input.path, ensemble, encoder, model, rows: rows() });
const seconds = (performance.now() - start) / 1000;
await encoder.close();
await engine.close();
await model.close();
childAnswer({ seconds, peakBytes: peakBytes(), peakBytesBefore: before, bytes: statSync(input.path).size });

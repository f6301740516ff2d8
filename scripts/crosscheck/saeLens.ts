// Shows that SAELens itself loads what we write: trains ensembles of every architecture for a moment, saves them (as members, flat, and with the Python module), and has the real packages encode with them. Not part of `npm test`: it needs Python.
//
//   pip install sae-lens==6.54.12 && node scripts/crosscheck/saeLens.ts [python]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ActivationSource } from "../../src/data/activationSource.ts";
import { SeededRandom } from "../../src/data/seededRandom.ts";
import { createReferenceEngine } from "../../src/engine/reference/referenceEngine.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { decode, encode } from "../../src/sae/encode.ts";
import { encodeEnsemble } from "../../src/sae/encodeEnsemble.ts";
import { loadEnsemble, saveEnsemble } from "../../src/sae/ensembleFolder.ts";
import { flatSae, whyNotFlat } from "../../src/sae/flatSae.ts";
import { savePythonEnsemble } from "../../src/sae/pythonExport.ts";
import { saveSae } from "../../src/sae/saeLensFolder.ts";
import { completeTrainingSaeConfig, trainingSaeSchema } from "../../src/sae/trainingConfig.ts";
import { trainEnsemble } from "../../src/training/trainEnsemble.ts";
import { trainingSettingsSchema } from "../../src/training/trainingSettings.ts";

const python = process.argv[2] ?? "python3";
const d_in = 16;
const rows = 64;

const cases: Record<string, Record<string, unknown>> = {
  standard: { architecture: "standard", l1_coefficient: 0.05 },
  standard_no_b_dec_to_input: { architecture: "standard", l1_coefficient: 0.05, apply_b_dec_to_input: false },
  topk: { architecture: "topk", k: 5 },
  topk_no_rescale: { architecture: "topk", k: 5, rescale_acts_by_decoder_norm: false },
  topk_scaled: { architecture: "topk", k: 5, normalize_activations: "expected_average_only_in" },
  batchtopk: { architecture: "batchtopk", k: 5 },
  batchtopk_scaled: { architecture: "batchtopk", k: 5, normalize_activations: "expected_average_only_in" },
  matryoshka_batchtopk: { architecture: "matryoshka_batchtopk", k: 5, matryoshka_widths: [8, 24] },
  matryoshka_batchtopk_scaled: {
    architecture: "matryoshka_batchtopk",
    k: 5,
    matryoshka_widths: [8, 24],
    normalize_activations: "expected_average_only_in",
  },
  jumprelu: { architecture: "jumprelu", l0_coefficient: 0.05 },
  jumprelu_scaled: {
    architecture: "jumprelu",
    l0_coefficient: 0.05,
    normalize_activations: "expected_average_only_in",
  },
  gated: { architecture: "gated", l1_coefficient: 0.05 },
  heads_standard: { architecture: "standard", l1_coefficient: 0.05 },
  heads_topk: { architecture: "topk", k: 5 },
};

/** Cases of that name are of attention's heads, which TransformerLens gives apart. */
const hookOf = (name: string) => (name.startsWith("heads_") ? "blocks.0.attn.hook_z" : "blocks.0.hook_resid_post");

/** Endless noise around a mean; every opening starts over. */
function noise(): ActivationSource {
  const random = SeededRandom.derive(1, "noise");
  const draw = (n: number): Float32Array => Float32Array.from({ length: n * d_in }, () => 1.3 * random.normal() + 0.4);
  return { d_in, next: async (n) => ({ x: draw(n), rows: n }), cursor: async () => ({}), close: async () => {} };
}

/** The ensemble as Python uses it, bagged as it is and boosted (its members in a chain), and flat where that is exact. */
async function writeExports(name: string): Promise<void> {
  const bagging = await loadEnsemble(join(folder, name));
  const { x } = (await noise().next(rows))!;
  for (const ensemble of [bagging, { ...bagging, method: "boosting" as const, weights: [1, 1] }]) {
    const forms = [
      ["python", savePythonEnsemble] as const,
      ...(whyNotFlat(ensemble) ? [] : [["flat", (to: string) => saveSae(to, flatSae(ensemble))] as const]),
    ];
    for (const [form, save] of forms) {
      const to = join(folder, "exports", form, `${name}-${ensemble.method}`);
      await save(to, ensemble);
      const { codes, reconstruction } = encodeEnsemble(ensemble, x, rows);
      const width = codes.length / rows;
      await writeSafetensors(join(to, "io.safetensors"), {
        x: { shape: [rows, d_in], data: x },
        // A flat SAE's decoder rows carry the members' weights, and its codes don't.
        codes: { shape: [rows, width], data: form === "flat" ? codes.map((code) => code * 2) : codes },
        reconstruction: { shape: [rows, d_in], data: reconstruction },
      });
    }
  }
}

const folder = mkdtempSync(join(tmpdir(), "crosscheck-saelens-"));
try {
  const { x } = (await noise().next(rows))!;
  for (const [name, options] of Object.entries(cases)) {
    const outcome = await trainEnsemble(
      createReferenceEngine(),
      {
        method: "bagging",
        n_members: 2,
        sae: completeTrainingSaeConfig(trainingSaeSchema.parse({ d_sae: 48, ...options }), d_in),
        settings: trainingSettingsSchema.parse({
          training_tokens: 60 * 64,
          train_batch_size_tokens: 64,
          lr: 3e-3,
          n_batches_for_norm_estimate: 5,
        }),
        seeds: [1, 2],
        hook: hookOf(name),
        metadata: { model_name: "noise", hook_name: hookOf(name), context_size: 128, prepend_bos: true },
        provenance: {},
      },
      async () => noise(),
    );
    if (!outcome.finished) throw new Error("training did not finish");
    await saveEnsemble(join(folder, name), outcome.ensemble, {
      densities: [new Float32Array(48).fill(0.1), new Float32Array(48)],
    });
    await writeExports(name);
    const { members } = await loadEnsemble(join(folder, name));
    for (const [j, member] of members.entries()) {
      const codes = encode(member, x, rows);
      await writeSafetensors(join(folder, name, `member_${j}`, "io.safetensors"), {
        x: { shape: [rows, d_in], data: x },
        codes: { shape: [rows, 48], data: codes },
        reconstruction: { shape: [rows, d_in], data: decode(member, codes, rows, x) },
      });
    }
  }
  const { status } = spawnSync(python, [join(import.meta.dirname, "saeLens.py"), folder], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

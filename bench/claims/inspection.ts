// inspect-first, inspect-edit, generate: a text of 500 tokens read through SmolLM2-135M and an ensemble of 16,384 features, an edit at its end, and generation beside transformers'.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTexts } from "../../src/data/texts.ts";
import { drawToken } from "../../src/inspection/distributions.ts";
import { readExperiment } from "../../src/jobs/experiment.ts";
import { RunFolder } from "../../src/jobs/runFolder.ts";
import type { LanguageModel } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { request } from "../../src/protocol/rpc.ts";
import { service } from "../../src/protocol/service.ts";
import type { Ensemble } from "../../src/sae/ensemble.ts";
import { saveEnsemble } from "../../src/sae/ensembleFolder.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { median, takeTurns } from "../median.ts";
import { startService } from "../serviceLine.ts";
import { reviews, smolLm2 } from "../sharedData.ts";
import { buildSyntheticIndex } from "../syntheticIndex.ts";

const HOOK = "blocks.15.hook_resid_post";
const TOKENS = 500;
const MEMBERS = 4;
const FEATURES = 4096;
const K = 32;
const ROUNDS = 5;
/** Milliseconds that each may take. */
const FIRST = 2000;
const EDIT = 300;

const what = `a text of ${TOKENS} tokens through SmolLM2-135M (to ${HOOK} and on to the logits) and ${MEMBERS} × ${FEATURES.toLocaleString("en-US")} TopK features`;

export const inspectFirstClaim: Claim = {
  name: "inspect-first",
  measures: `milliseconds until a service that has just been started has answered which features fire on each token, model and ensemble opened on the way: ${what}`,
  against: `the limit of ${FIRST} ms on two cores (as the peer); until the probabilities are there as well, and later texts, with everything open, are in the details`,
  unit: "ms",
  goal: 1,
  run: (bench) => inspected(bench, "just started"),
};

export const inspectEditClaim: Claim = {
  name: "inspect-edit",
  measures: `milliseconds until features and probabilities are there again after a word was added at the text's end: ${what}`,
  against: `the limit of ${EDIT} ms on two cores (as the peer)`,
  unit: "ms",
  goal: 1,
  run: (bench) => inspected(bench, "edit"),
};

const moments = ["just started", "everything open", "edit"] as const;
type Moment = (typeof moments)[number];
/** Milliseconds until features are there, and until probabilities are as well. */
type Times = Record<Moment, { features: number[]; all: number[] }> & { here: number[] };

async function inspected(bench: Bench, which: "just started" | "edit"): Promise<Measured> {
  const model = await openLanguageModel(smolLm2(), { threads: bench.threads });
  const texts = await textsOf(model, TOKENS, ROUNDS + 1);
  const { dModel } = model.info;
  await model.close();
  const run = mkdtempSync(join(bench.dataFolder, "inspection-"));
  try {
    bench.log("writing a run: an ensemble of random weights, a synthetic index of its features");
    const ensemble = await writeRun(run, dModel);
    const none = () => ({ features: [], all: [] });
    const times: Times = { "just started": none(), "everything open": none(), edit: none(), here: [] };
    const services = which === "just started" ? ROUNDS : 1;
    for (let round = 0; round < services; round++) {
      bench.log(`service ${round + 1} of ${services}`);
      // The last one also reads the other texts, each new to it, and an edit of each.
      await inspectAll(ensemble, round + 1 < services ? texts.slice(0, 1) : texts, times);
    }
    const [limit, ours] =
      which === "just started" ? [FIRST, median(times[which].features)] : [EDIT, median(times[which].all)];
    const named = moments.flatMap((moment) => {
      const key = moment.replace(" ", "_");
      const { features, all } = times[moment];
      return [
        [`${key}_features_ms`, median(features)],
        [`${key}_all_ms`, median(all)],
        [`${key}_all_most_ms`, Math.max(...all)],
      ] as const;
    });
    return {
      ours,
      peer: limit,
      ratio: limit / ours,
      details: {
        ...Object.fromEntries(named),
        features_here_ms: median(times.here),
        tokens: TOKENS,
        features: MEMBERS * FEATURES,
        services,
        texts: times["everything open"].all.length,
      },
      notes: [
        "The built service over its line, as the extension asks it: features, then log-probabilities and ranks, and what the index says of the strongest features of each token. The model's GGUF was converted before, and its files lie in the system's cache.",
        "The ensemble's weights are random: only its size matters.",
      ],
    };
  } finally {
    rmSync(run, { recursive: true, force: true });
  }
}

/** The first text right after the start, then the others; each with an edit at its end, and the features of a part of it. */
async function inspectAll(ensemble: string, texts: readonly string[], times: Times): Promise<void> {
  let start = performance.now();
  const { line, end } = startService();
  try {
    const inspect = async (moment: Moment, text: string, tokens: number) => {
      const visible = { start: 0, end: text.length };
      const question = { ensemble, document: "text", kind: "text" as const, text, visible, pinned: [] };
      for (const likelihoods of [false, true]) {
        const asked = { ...question, likelihoods };
        const result = await request(line, service, "inspect", asked, { timeout: 10 * 60_000 });
        if (result.tokens.length < tokens) throw new NotMeasurable(`${result.tokens.length} tokens for ${tokens}`);
        times[moment][likelihoods ? "all" : "features"].push(performance.now() - start);
      }
    };
    for (const [at, text] of texts.entries()) {
      if (at > 0) start = performance.now();
      await inspect(at > 0 ? "everything open" : "just started", text, TOKENS);
      start = performance.now();
      await inspect("edit", `${text} again`, TOKENS + 1);
      start = performance.now();
      const spans = [{ start: 0, end: 400 }];
      const part = { ensemble, document: "text", spans, ranking: "specificity", limit: 100 } as const;
      if (!(await request(line, service, "featuresHere", part))) throw new NotMeasurable("the text was forgotten");
      times.here.push(performance.now() - start);
    }
  } finally {
    await end();
  }
}

/** A run folder as training and indexing leave it; the folder of its ensemble. */
async function writeRun(folder: string, d: number): Promise<string> {
  const experiment = {
    model_name: smolLm2(),
    hook_name: HOOK,
    dataset_path: reviews(),
    prepend_bos: true,
    training_tokens: 1_000_000,
    sae: { architecture: "topk", d_sae: FEATURES, k: K },
    ensembles: { methods: ["bagging"], n_members: MEMBERS },
  };
  const file = join(folder, "inspected.sae.jsonc");
  writeFileSync(file, JSON.stringify(experiment));
  const run = await RunFolder.open(readExperiment(file), []);
  await run.close();
  await saveEnsemble(run.paths.ensemble("bagging"), randomEnsemble(d));
  const size = { members: MEMBERS, d_sae: FEATURES, k: MEMBERS * K, tokens: 20_000, seed: 1 };
  await buildSyntheticIndex(run.paths.index("bagging"), size);
  return run.paths.ensemble("bagging");
}

const PROMPT = 64;
const GENERATED = 50;

export const generateClaim: Claim = {
  name: "generate",
  measures: `tokens a second of SmolLM2-135M, greedy, ${GENERATED} after a prompt of ${PROMPT} tokens, one by one with keys and values kept`,
  against: "transformers' generate on the same CPU, with its cache",
  unit: "tokens/s",
  goal: 1,
  run: generation,
};

async function generation(bench: Bench): Promise<Measured> {
  const path = smolLm2();
  const model = await openLanguageModel(path, { threads: bench.threads });
  try {
    const [text] = await textsOf(model, PROMPT, 1);
    const prompt = Int32Array.from(model.tokenizer.encode(text!), ({ id }) => id);
    const peer = await bench.peer("generate.py");
    bench.log("loading transformers' model");
    await peer.ask("prepare", { model: path, prompt: Array.from(prompt) });
    const ours = async () => {
      const reader = model.readTo(HOOK);
      const continuation = model.goOnFrom(HOOK);
      const ids: number[] = [];
      let next = prompt;
      const start = performance.now();
      while (ids.length < GENERATED) {
        const values = await reader.append(next);
        const { logits } = await continuation.append(next, values, { logits: true });
        ids.push(drawToken(logits, 0, 0));
        next = Int32Array.of(ids.at(-1)!);
      }
      return { seconds: (performance.now() - start) / 1000, ids };
    };
    const theirs = () => peer.ask<{ seconds: number; ids: number[] }>("run", { tokens: GENERATED });
    bench.log("warming up");
    const [own, other] = [await ours(), await theirs()];
    if (own.ids.join() !== other.ids.join())
      throw new NotMeasurable(
        `not the same text: ${model.tokenizer.decode(own.ids)} | ${model.tokenizer.decode(other.ids)}`,
      );
    const rate = ({ seconds }: { seconds: number }) => [GENERATED / seconds];
    const times = await takeTurns(ROUNDS, {
      ours: async () => rate(await ours()),
      transformers: async () => rate(await theirs()),
    });
    const [our, hf] = [median(times.ours), median(times.transformers)];
    return {
      ours: our,
      peer: hf,
      ratio: our / hf,
      details: { prompt_tokens: PROMPT, generated_tokens: GENERATED, rounds: ROUNDS },
      notes: [
        "Both read the prompt within the time and say the same tokens. Ours goes through the hook at every token, so that features could be changed there.",
      ],
    };
  } finally {
    await model.close();
  }
}

/** Texts of exactly so many tokens, each from film reviews of its own. */
async function textsOf({ tokenizer }: LanguageModel, tokens: number, texts: number): Promise<string[]> {
  const found: string[] = [];
  let text = "";
  for await (const { text: next } of readTexts(reviews())) {
    text += `${next}\n`;
    const all = tokenizer.encode(text);
    if (all.length < tokens + 20) continue;
    // Cut at a token's end; the shortest cut that gives the number counts.
    for (let t = tokens - 1; t < tokens + 20; t++) {
      const cut = Buffer.from(text).subarray(0, all[t]!.end).toString("utf8");
      if (tokenizer.encode(cut).length !== tokens) continue;
      found.push(cut);
      break;
    }
    if (found.length === texts) return found;
    text = "";
  }
  throw new NotMeasurable(`${found.length} texts of ${tokens} tokens for ${texts}`);
}

function randomEnsemble(d: number): Ensemble {
  let seed = 1;
  const fill = (n: number) =>
    Float32Array.from({ length: n }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed / 2 ** 32 - 0.5) / Math.sqrt(d);
    });
  const members = Array.from({ length: MEMBERS }, () => ({
    config: {
      architecture: "topk" as const,
      d_in: d,
      d_sae: FEATURES,
      k: K,
      apply_b_dec_to_input: true,
      normalize_activations: "none" as const,
      rescale_acts_by_decoder_norm: false,
      dtype: "float32" as const,
      metadata: { hook_name: HOOK },
    },
    weights: {
      W_enc: fill(FEATURES * d),
      b_enc: new Float32Array(FEATURES),
      W_dec: fill(FEATURES * d),
      b_dec: new Float32Array(d),
    },
  }));
  const share = 1 / MEMBERS;
  return {
    method: "bagging",
    members,
    weights: members.map(() => share),
    seeds: members.map((_, i) => i),
    hook: HOOK,
    provenance: {},
  };
}

// inspect-first, inspect-edit, generate: a text of 500 tokens read through SmolLM2-135M and an ensemble of 16,384 features, an edit at its end, and generation beside transformers'.
import { readTexts } from "../../src/data/texts.ts";
import { createCpuEngine } from "../../src/engine/cpu/cpuEngine.ts";
import { drawToken } from "../../src/inspection/distributions.ts";
import { Inspection } from "../../src/inspection/inspection.ts";
import type { LanguageModel } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import type { Ensemble } from "../../src/sae/ensemble.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { median, takeTurns } from "../median.ts";
import { reviews, smolLm2 } from "../sharedData.ts";

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
  measures: `milliseconds to read ${what}: features, log-probability and rank of every token`,
  against: `the limit of ${FIRST} ms on two cores (as the peer); the model's opening is in the details`,
  unit: "ms",
  goal: 1,
  run: (bench) => inspected(bench, "first"),
};

export const inspectEditClaim: Claim = {
  name: "inspect-edit",
  measures: `milliseconds to read it again after a word was added at its end: ${what}`,
  against: `the limit of ${EDIT} ms on two cores (as the peer)`,
  unit: "ms",
  goal: 1,
  run: (bench) => inspected(bench, "edit"),
};

async function inspected(bench: Bench, which: "first" | "edit"): Promise<Measured> {
  const opening = performance.now();
  const model = await openLanguageModel(smolLm2(), { threads: bench.threads });
  const engine = await createCpuEngine({ threads: bench.threads });
  try {
    const ensemble = randomEnsemble(model.info.dModel);
    const encoder = await engine.createEncoder(ensemble);
    const fresh = () => new Inspection({ model, ensemble, encoder, prependBos: true });
    const text = await textOf(model, TOKENS);
    bench.log("warming up: weights are read and laid out");
    await fresh().read(text);
    const opened = performance.now() - opening;
    const times: Record<"first" | "edit", number[]> = { first: [], edit: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const inspection = fresh();
      let start = performance.now();
      const { tokens } = await inspection.read(text);
      times.first.push(performance.now() - start);
      if (tokens.length !== TOKENS) throw new NotMeasurable(`${tokens.length} tokens for ${TOKENS}`);
      start = performance.now();
      await inspection.read(`${text} again`);
      times.edit.push(performance.now() - start);
    }
    await encoder.close();
    const limit = which === "first" ? FIRST : EDIT;
    const ours = median(times[which]);
    return {
      ours,
      peer: limit,
      ratio: limit / ours,
      details: {
        first_ms: median(times.first),
        edit_ms: median(times.edit),
        open_and_first_text_ms: opened,
        tokens: TOKENS,
        features: MEMBERS * FEATURES,
        rounds: ROUNDS,
      },
      notes: ["The ensemble's weights are random: only its size matters. The opening counts reading the weights."],
    };
  } finally {
    await engine.close();
    await model.close();
  }
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
    const text = await textOf(model, PROMPT);
    const prompt = Int32Array.from(model.tokenizer.encode(text), ({ id }) => id);
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

/** A text of exactly so many tokens: the beginning of a film review or two. */
async function textOf({ tokenizer }: LanguageModel, count: number): Promise<string> {
  let text = "";
  for await (const { text: next } of readTexts(reviews())) {
    text += `${next}\n`;
    const tokens = tokenizer.encode(text);
    if (tokens.length < count + 20) continue;
    // Cut at a token's end; the shortest cut that gives the number counts.
    for (let t = count - 1; t < count + 20; t++) {
      const cut = Buffer.from(text).subarray(0, tokens[t]!.end).toString("utf8");
      if (tokenizer.encode(cut).length === count) return cut;
    }
  }
  throw new NotMeasurable(`no text of ${count} tokens`);
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

// Estimates against sums done by hand, and the presets: each is valid, and doctor weighs it without a network and without running it.
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { defaultCacheFolder } from "../../../src/data/cacheFolder.ts";
import { readOnnx } from "../../../src/formats/onnxFile.ts";
import {
  readSafetensors,
  type TensorSource,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { estimate } from "../../../src/jobs/estimate.ts";
import { diskNeededHere, examineExperiment } from "../../../src/jobs/examineExperiment.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { experimentProblems } from "../../../src/jobs/experimentProblems.ts";
import { examineHook } from "../../../src/jobs/modelFinding.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { modelSize } from "../../../src/model/modelSize.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { splitOnnx } from "../model/splitOnnx.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const temporary = temporaryFolder();
// Nothing of this machine's caches, and nobody to ask.
process.env["HF_HUB_CACHE"] = join(temporary, "hub");
process.env["XDG_CACHE_HOME"] = join(temporary, "cache");
process.env["HF_ENDPOINT"] = "http://127.0.0.1:1";

test("disk, memory and time of a small experiment, summed by hand", async () => {
  const folder = join(temporary, "small");
  mkdirSync(folder);
  const experiment = readExperiment(
    writeTinyExperiment(folder, {
      ensembles: { methods: ["single", "bagging"], n_members: 2 },
      evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 },
    }),
  );
  const size = await modelSize(experiment.paths.model);
  // Llama: queries and outputs 32², keys and values 32·16, an MLP of 72.
  const perLayer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 72;
  assert.deepEqual(size, { nLayers: 3, dModel: 32, dHeads: 32, dMlp: 72, dVocab: 431, perLayer, converted: 0 });
  const { disk, cache, memory, harvestSeconds, trainSeconds } = estimate(experiment, size, 1);
  const sae = 2 * 32 * 48;
  // Largest while the second ensemble writes its third checkpoint, of two members with two moments each, beside the first.
  assert.equal(disk, (4000 + 500) * 32 * 4 + 4 * (sae + 3 * 3 * 2 * sae));
  assert.equal(cache, 0);
  // The model up to layer 1, laid out and in its file's pages; both members four times with their moments; gradients; a batch of 128; all that is stored.
  const capture = 2 * perLayer + 431 * 32;
  const training = 2 * capture + 4 * 3 * 2 * sae + sae + 128 * (6 * 32 + 5 * 16);
  assert.equal(memory, 300 * 2 ** 20 + 4 * (training + 4000 * 32));
  assert.ok(Math.abs(harvestSeconds - (1.3 * 2 * (4000 + 500 + 1500) * 2 * size.perLayer) / 1e9) < 1e-9);
  assert.ok(Math.abs(trainSeconds - (1.6 * 3 * sae * 6400) / 1e9) < 1e-9);
});

test("what is kept of activations, and an SAE's size, are by the hook's own width", async () => {
  const folder = join(temporary, "neurons");
  mkdirSync(folder);
  const experiment = readExperiment(
    writeTinyExperiment(folder, {
      hook_name: "blocks.1.mlp.hook_post",
      ensembles: { methods: ["single"], n_members: 1 },
      evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 },
    }),
  );
  const size = await modelSize(experiment.paths.model);
  const { activations, trainSeconds } = estimate(experiment, size, 1);
  assert.equal(activations, (4000 + 500) * 72 * 4);
  assert.ok(Math.abs(trainSeconds - (1.6 * 2 * 72 * 48 * 6400) / 1e9) < 1e-9);
  const model = (await examineExperiment(experiment, null)).find(({ name }) => name === "Model");
  assert.match(model!.value, /3 layers of width 32, vocabulary 431; blocks\.1\.mlp\.hook_post is 72 wide$/);
});

test("a training of a few steps is said to be hardly a beginning, by doctor before and by the run in its log", async () => {
  for (const [tokens, words] of [
    [25_472, "199 steps a member"],
    [25_600, null],
  ] as const) {
    const folder = join(temporary, `steps-${tokens}`);
    mkdirSync(folder);
    const change = { training_tokens: tokens, ensembles: { methods: ["single"], n_members: 1 } };
    const experiment = readExperiment(writeTinyExperiment(folder, change));
    const found = (await examineExperiment(experiment, null)).filter(({ name }) => name === "Training");
    const said: string[] = [];
    await runJobs(experiment, ["harvest", "train"], {
      signal: new AbortController().signal,
      onEvent: (event) => event.type === "log" && event.level === "warning" && said.push(event.message),
    });
    assert.deepEqual(
      said,
      found.map(({ value }) => value),
    );
    assert.equal(found.length, words === null ? 0 : 1);
    if (words !== null) assert.ok(found[0]!.value.startsWith(words) && found[0]!.state === "warning");
  }
});

test("doctor, the run's log and the editor say the same of settings that do nothing", async () => {
  const folder = join(temporary, "idle");
  mkdirSync(folder);
  const change = {
    training_tokens: 25_600,
    activations: { store: "on_the_fly", tokens: 4000, dtype: "float16" },
    ensembles: { methods: ["single"], n_members: 3 },
    sae: { architecture: "standard", d_sae: 48, decoder_norm: "unit", decoder_init_norm: 0.5, l1_warm_up_steps: 200 },
  };
  const file = writeTinyExperiment(folder, change);
  const experiment = readExperiment(file);
  const found = (await examineExperiment(experiment, null)).filter(({ name }) => name === "Training");
  const words = found.map(({ value }) => value);
  const keys = ["activations.tokens", "activations.dtype", "ensembles.n_members", "sae.decoder_init_norm"];
  assert.deepEqual(
    words.map((each) => each.split(" ")[0]),
    [...keys, "sae.l1_coefficient"],
  );
  const said: string[] = [];
  await runJobs(experiment, ["harvest", "train"], {
    signal: new AbortController().signal,
    onEvent: (event) => event.type === "log" && event.level === "warning" && said.push(event.message),
  });
  assert.deepEqual(said, words);
  const text = readFileSync(file, "utf8");
  const { warnings: inEditor } = await experimentProblems(text, file);
  assert.deepEqual(
    inEditor.map(({ message }) => message),
    words,
  );
  // Each at its key.
  for (const [at, { file: place }] of inEditor.entries()) {
    const line = text.split("\n")[Number(place.split(":").at(-2)) - 1]!;
    const key = [...keys.slice(0, 4), "sae.l1_warm_up_steps"][at]!.split(".")[1]!;
    assert.ok(line.includes(`"${key}"`), `${place}: ${line}`);
  }
});

test("boosting, a long index and metrics through the model, summed by hand", async () => {
  const folder = join(temporary, "through-model");
  mkdirSync(folder);
  const change = { activations: { dtype: "float16", tokens: 4000 }, index: { tokens: 100_000 } };
  const experiment = readExperiment(
    writeTinyExperiment(folder, { ...change, ensembles: { methods: ["boosting"], n_members: 3 } }),
  );
  const size = await modelSize(experiment.paths.model);
  const { disk, memory } = estimate(experiment, size, 1);
  const sae = 2 * 32 * 48;
  assert.equal(disk, (4000 * 2 + 500 * 4) * 32 + 4 * 3 * sae + 16 * 100_000 * 3 * 4);
  // Sessions to the hook and to the logits, the file's pages, three batches of logits, the ensemble here and in the engine.
  const [capture, model] = [2 * size.perLayer + 431 * 32, 3 * size.perLayer + 2 * 431 * 32];
  assert.equal(memory, 300 * 2 ** 20 + 4 * (capture + 2 * model + 3 * 4 * 32 * 431 + 2 * 3 * sae));
});

test("activations in memory: of a large store a GiB, on the fly the mixing buffer", async () => {
  const folder = join(temporary, "buffers");
  mkdirSync(folder);
  const memoryOf = async (change: object) => {
    const evaluation = { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 };
    const experiment = readExperiment(writeTinyExperiment(folder, { evaluation, ...change }));
    return estimate(experiment, await modelSize(experiment.paths.model), 1).memory;
  };
  const small = await memoryOf({ activations: { tokens: 4000 } });
  const large = await memoryOf({ activations: { tokens: 4_000_000_000 } });
  assert.equal(large - small, 2 ** 30 - 4000 * 32 * 4);
  const onTheFly = await memoryOf({ activations: { store: "on_the_fly" }, n_batches_in_buffer: 50 });
  // 50 batches of 4 windows of 32 tokens, and one that overfills them.
  assert.equal(onTheFly - small, (51 * 4 * 32 - 4000) * 32 * 4);
});

test("a copy in float32, of a GGUF model or of TransformerLens' own form, is counted as the conversion writes it", async () => {
  for (const path of [golden("models", "gguf", "llama", "model.gguf"), golden("models", "gelu-1l")]) {
    const cacheFolder = join(temporary, `converted-${basename(path)}`);
    await (await openLanguageModel(path, { threads: 1, cacheFolder })).close();
    const [file] = globSync("*/*.safetensors", { cwd: cacheFolder });
    const { tensors } = await readSafetensors(join(cacheFolder, file!));
    const written = [...tensors.values()].reduce((sum, { length }) => sum + length, 0);
    assert.equal((await modelSize(path)).converted, written, path);
  }
});

test("what goes to one file system is compared with its free space in one sum", async () => {
  const { bavail, bsize } = await statfs(temporary);
  const place = (share: number, what: string) => ({
    bytes: Math.round(share * bavail * bsize),
    folder: join(temporary, "not", "there", "yet"),
    what,
  });
  const run = place(0.6, "in the run folder");
  assert.equal((await diskNeededHere([run, place(0, "in the cache")])).state, "ok");
  const { state, value } = await diskNeededHere([run, place(0.3, "in the cache"), place(0.3, "in the hub's cache")]);
  assert.equal(state, "problem");
  assert.match(
    value,
    /^about [\d.]+ \w+ in the run folder and [\d.]+ \w+ in the cache and .* in the hub's cache, .* free$/,
  );
});

test("sizes are those of the opened model, for every family", async () => {
  const cacheFolder = join(temporary, "conversions");
  for (const name of ["gpt2", "gpt_neox", "qwen2", "qwen3", "gemma2", "llama", "gelu-1l"]) {
    const model = await openLanguageModel(golden("models", name), { threads: 1, cacheFolder });
    const { perLayer: _, converted: __, ...size } = await modelSize(golden("models", name));
    const { modelName: ___, family: ____, contextSize: _____, ...expected } = model.info;
    assert.deepEqual(size, expected, name);
    await model.close();
  }
});

test("a head's width that a configuration leaves out is its family's own", async () => {
  for (const [name, heads] of [
    ["qwen3", 4 * 128],
    ["gemma2", 4 * 256],
    ["qwen2", 32],
  ] as const) {
    const folder = join(temporary, `headless-${name}`);
    mkdirSync(folder);
    const { head_dim: _, ...config } = JSON.parse(readFileSync(golden("models", name, "config.json"), "utf8"));
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    assert.equal((await modelSize(folder)).dHeads, heads, name);
  }
});

test("where attention and MLP stand side by side there is nothing between them, whether or not the model is here", async () => {
  const folder = join(temporary, "parallel");
  mkdirSync(folder);
  for (const model_name of [golden("models", "gpt_neox"), "EleutherAI/pythia-160m"]) {
    const file = writeTinyExperiment(folder, { model_name, prepend_bos: false, hook_name: "blocks.1.hook_resid_mid" });
    const findings = await examineExperiment(readExperiment(file), 100);
    const { state, value } = findings.find(({ name }) => name === "Model")!;
    assert.equal(state, "problem", model_name);
    assert.match(value, /hook_name: found "blocks\.1\.hook_resid_mid", expected .*hook_attn_out, mlp\.hook_post/);
  }
  const inEditor = await experimentProblems(
    readFileSync(
      writeTinyExperiment(folder, { model_name: golden("models", "gpt_neox"), hook_name: "blocks.1.hook_resid_mid" }),
      "utf8",
    ),
    join(folder, "tiny.sae.jsonc"),
  );
  assert.deepEqual(
    inEditor.problems.map(({ where }) => where),
    ["hook_name"],
  );
});

describe("a model that run would refuse is a problem", () => {
  const llama = golden("models", "llama");
  const cases: [string, object, (model: string) => void, RegExp][] = [
    [
      "a layer that it hasn't",
      { hook_name: "blocks.3.hook_resid_post" },
      () => {},
      /hook_name: found "blocks\.3\.hook_resid_post", expected blocks\.0 to blocks\.2 with one of hook_resid_pre/,
    ],
    [
      "configuration in broken JSON",
      {},
      (model) => writeFileSync(join(model, "config.json"), "{"),
      /tiny\.sae\.jsonc:\d+:\d+, model_name: found .*config\.json/,
    ],
    ["a hook that no model has", { hook_name: "blocks.1.hook_q" }, () => {}, /hook_name: found "blocks\.1\.hook_q"/],
    [
      "weights cut short",
      {},
      (model) => truncateSync(join(model, "model.safetensors"), 90_000),
      /model\.safetensors.*: found/,
    ],
    [
      "a family that isn't known",
      {},
      (model) => {
        const config = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
        writeFileSync(join(model, "config.json"), JSON.stringify({ ...config, model_type: "mamba" }));
      },
      /model_type: found "mamba"/,
    ],
    [
      "a shard that is missing",
      {},
      (model) => {
        cpSync(golden("models", "llama_tied_bf16_sharded"), model, { recursive: true });
        rmSync(join(model, "model.safetensors"));
        rmSync(join(model, "model-00002-of-00002.safetensors"));
      },
      /model-00002-of-00002\.safetensors: found no such file/,
    ],
  ];
  for (const [what, change, damage, message] of cases)
    test(what, async () => {
      const folder = join(temporary, what.replaceAll(/\W/g, "_"));
      cpSync(llama, join(folder, "model"), { recursive: true });
      damage(join(folder, "model"));
      const experiment = readExperiment(writeTinyExperiment(folder, { model_name: "./model", ...change }));
      const problems = (await examineExperiment(experiment, 100)).filter(({ state }) => state === "problem");
      assert.deepEqual(
        problems.map(({ name }) => name),
        ["Model"],
      );
      assert.match(problems[0]!.value, message);
    });

  test("an ONNX file without a configuration is opened too, and refused in the words of run", async () => {
    const folder = join(temporary, "bare-onnx");
    mkdirSync(folder);
    const { graph, weights } = splitOnnx(await readOnnx(golden("models", "onnx", "llama.torch-dynamo.onnx")), "data");
    writeFileSync(join(folder, "bare.onnx"), graph);
    const experiment = readExperiment(writeTinyExperiment(folder, { model_name: "bare.onnx" }));
    const refused = async () => {
      const { state, value } = (await examineExperiment(experiment, 100)).find(({ name }) => name === "Model")!;
      if (state === "problem") await assert.rejects(runJobs(experiment, ["harvest"]), { message: value });
      return [state, value] as const;
    };
    const expected: [() => void, string, RegExp][] = [
      [() => {}, "problem", /data, tensor .*: found no such file/],
      [() => writeFileSync(join(folder, "data"), weights.subarray(0, 1000)), "problem", /found a file of 1000 bytes/],
      [() => writeFileSync(join(folder, "data"), weights), "problem", /tokenizer\.json: found no such file/],
      [
        () => cpSync(join(llama, "tokenizer.json"), join(folder, "tokenizer.json")),
        "problem",
        /prepend_bos: found true, expected false \(the default is true\)/,
      ],
      [
        () => cpSync(join(llama, "tokenizer_config.json"), join(folder, "tokenizer_config.json")),
        "ok",
        /^bare\.onnx: 3 layers of width 32, vocabulary 431$/,
      ],
    ];
    for (const [repair, state, words] of expected) {
      repair();
      const [found, value] = await refused();
      assert.equal(found, state, value);
      assert.match(value, words);
    }
    const exported = await modelSize(join(folder, "bare.onnx"));
    const heads = { ...experiment, settings: { ...experiment.settings, hook_name: "blocks.1.attn.hook_z" } };
    assert.match(
      examineHook(heads, exported)!.value,
      /blocks\.0 to blocks\.2 with one of hook_resid_pre, hook_attn_out/,
    );
    renameSync(join(folder, "bare.onnx"), join(folder, "model.onnx"));
    assert.deepEqual(await modelSize(folder), exported, "in a folder, by its usual name");
    const { perLayer } = await modelSize(llama);
    assert.ok(Math.abs(exported.perLayer / perLayer - 1) < 0.1, `${exported.perLayer} of ${perLayer}`);
  });

  test("one that would be converted too, and nothing is converted for it", async () => {
    const [whole, lens] = [golden("models", "gguf", "llama", "model.gguf"), golden("models", "gelu-1l")];
    const other = join(temporary, "other-tokenizer.gguf");
    const bytes = readFileSync(whole);
    const key = "tokenizer.ggml.model";
    // The value's kind and length stand between.
    bytes.write("other", bytes.indexOf(key) + key.length + 12);
    writeFileSync(other, bytes);
    const kept = () => (existsSync(defaultCacheFolder()) ? readdirSync(defaultCacheFolder(), { recursive: true }) : []);
    const before = kept();
    const mamba = join(temporary, "mamba.gguf");
    const named = readFileSync(whole);
    named.write("mamba", named.indexOf("general.architecture") + "general.architecture".length + 12);
    writeFileSync(mamba, named);
    const cases: [string, object, RegExp][] = [
      [mamba, {}, /general\.architecture: found mamba, expected llama, qwen2/],
      [whole, { hook_name: "blocks.1.hook_q" }, /hook_name: found "blocks\.1\.hook_q"/],
      [whole, { context_size: 4096 }, /context_size: found 4096, expected at most the model's \d+$/],
      [other, {}, /tokenizer\.ggml\.model: found other/],
      [lens, { hook_name: "blocks.0.hook_q" }, /hook_name: found "blocks\.0\.hook_q"/],
      [
        lens,
        { hook_name: "blocks.0.hook_mlp_out", context_size: 65 },
        /context_size: found 65, expected at most the model's 64$/,
      ],
    ];
    for (const [i, [model_name, change, message]] of cases.entries()) {
      const folder = join(temporary, `converted-case-${i}`);
      mkdirSync(folder);
      const experiment = readExperiment(writeTinyExperiment(folder, { model_name, ...change }));
      const problems = (await examineExperiment(experiment, 100)).filter(({ state }) => state === "problem");
      assert.deepEqual(
        problems.map(({ name }) => name),
        ["Model"],
        `case ${i}`,
      );
      assert.match(problems[0]!.value, message);
    }
    assert.deepEqual(kept(), before);
  });

  test("an embedding far larger than the tokenizer is a warning, with both numbers; one padded a little is none", async () => {
    for (const [rows, expected] of [
      [431 + 512, "ok"],
      [431 + 513, "warning"],
    ] as const) {
      const folder = join(temporary, `embedding-${rows}`);
      const model = join(folder, "model");
      cpSync(llama, model, { recursive: true });
      const config = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
      writeFileSync(join(model, "config.json"), JSON.stringify({ ...config, vocab_size: rows }));
      const weights = await readSafetensors(join(llama, "model.safetensors"));
      const tensors = new Map<string, TensorSource>();
      for (const [name, { shape }] of weights.tensors) {
        const data = await tensorFloat32(weights, name);
        const padded = new Float32Array(rows * 32);
        padded.set(data.subarray(0, padded.length));
        tensors.set(name, shape[0] === 431 ? { shape: [rows, 32], data: padded } : { shape, data });
      }
      await writeSafetensors(join(model, "model.safetensors"), tensors);
      const experiment = readExperiment(writeTinyExperiment(folder, { model_name: "./model" }));
      const finding = (await examineExperiment(experiment, 100)).find(({ name }) => name === "Model")!;
      assert.equal(finding.state, expected, finding.value);
      const words = /the tokenizer has 431 tokens and the model embeds 944, more than padding/;
      if (expected === "warning") assert.match(finding.value, words);
      const said: string[] = [];
      const onEvent = (event: RunEvent) =>
        event.type === "log" && event.level === "warning" && said.push(event.message);
      await runJobs(experiment, ["harvest"], { onEvent });
      assert.equal(said.filter((message) => words.test(message)).length, expected === "warning" ? 1 : 0);
    }
  });

  test("a sound one is none", async () => {
    const folder = join(temporary, "sound");
    mkdirSync(folder);
    const findings = await examineExperiment(readExperiment(writeTinyExperiment(folder)), 100);
    assert.deepEqual(findings.find(({ name }) => name === "Model")?.state, "ok");
  });
});

describe("labelled texts of an experiment's sections", () => {
  const bios = (count: number, column: string) =>
    Array.from({ length: count }, (_, i) =>
      JSON.stringify({
        text: `text ${i} of the ${i % 2 ? "nurse" : "clerk"}`,
        job: i % 2 ? "nurse" : "clerk",
        [column]: i % 4 < 2 ? "f" : "m",
      }),
    ).join("\n");
  const section = { dataset_path: "bios.jsonl", label_column: "job", attribute_column: "sex" };
  const cases: [string, { debias?: object; concepts?: object }, string, RegExp | null][] = [
    ["enough of them", { debias: section }, bios(400, "sex"), null],
    ["another column", { debias: section }, bios(400, "gender"), /bios\.jsonl.*found \S+.*gender/s],
    ["too few a cell", { debias: section }, bios(12, "sex"), /bios\.jsonl.*expected more texts/s],
    ["a class that isn't there", { concepts: { ...section, classes: ["poet"] } }, bios(400, "sex"), /poet/],
  ];
  for (const [what, { debias, concepts }, texts, refused] of cases)
    test(what, async () => {
      const folder = join(temporary, `labelled-${what.replaceAll(" ", "-").replace("'", "")}`);
      mkdirSync(folder);
      writeFileSync(join(folder, "bios.jsonl"), texts);
      const { attribute_column: _, ...classes } = (concepts ?? {}) as Record<string, unknown>;
      const sections = { ...(debias && { debias }), ...(concepts && { concepts: classes }) };
      const experiment = readExperiment(writeTinyExperiment(folder, sections));
      const findings = await examineExperiment(experiment, 100);
      const kind = debias ? "debias" : "concepts";
      const said = findings.filter(({ name, value }) => name === "Text" && !value.includes("its beginning"));
      assert.deepEqual(
        said.map(({ state }) => state),
        [refused ? "problem" : "ok"],
      );
      if (!refused) return assert.match(said[0]!.value, new RegExp(`^${kind}: `));
      assert.match(said[0]!.value, refused);
      // In the words of a run, which refuses it before anything is written.
      await assert.rejects(runJobs(experiment, ["harvest", kind]), { message: said[0]!.value });
      assert.ok(!existsSync(experiment.paths.runFolder));
    });
});

test("labelled texts are looked at as well where the model is yet to come, or can't be opened", async () => {
  const folder = join(temporary, "labelled-first");
  mkdirSync(folder);
  writeFileSync(join(folder, "bios.jsonl"), '{"text": "one", "job": "nurse"}');
  writeFileSync(join(folder, "config.json"), "{}");
  for (const model_name of ["EleutherAI/pythia-160m", "nobody/nothing", "./"]) {
    const concepts = { dataset_path: "bios.jsonl", label_column: "profession", saebench_compatible: true };
    const file = writeTinyExperiment(folder, { model_name, hook_name: "blocks.1.hook_resid_post", concepts });
    const findings = await examineExperiment(readExperiment(file), 100);
    assert.ok(
      findings.some(({ state, value }) => state === "problem" && /bios\.jsonl.*a column profession/.test(value)),
      model_name,
    );
  }
});

describe("presets", () => {
  const presets = globSync("*.sae.jsonc", { cwd: join(import.meta.dirname, "..", "..", "..", "media", "presets") });
  assert.equal(presets.length, 5);
  for (const preset of presets)
    test(preset, async () => {
      const experiment = readExperiment(join(import.meta.dirname, "..", "..", "..", "media", "presets", preset));
      const findings = await examineExperiment(experiment, 100);
      assert.deepEqual(
        findings.map(({ name }) => name),
        ["Experiment", "Download", "Text", "Model", "Disk needed", "Memory needed", "Time needed"],
      );
      assert.equal(findings[0]!.value, `${basename(preset, ".sae.jsonc")} is valid`);
      assert.match(findings[1]!.value, /no way to http/, "the download can't be asked about here, and that is said");
      assert.match(findings[4]!.value, /about [\d.]+ (M|G)iB in the run folder \(activations [\d.]+ (M|G)iB, SAEs /);
      const { activations } = experiment.settings;
      // Where nothing is harvested, what is held out takes the space.
      if (activations.store === "on_the_fly" && findings[4]!.advice)
        assert.equal(findings[4]!.advice, "fewer evaluation.test_tokens keep less");
      const copied = / and 20[0-9]\.\d MiB in the cache for the model's weights as float32/.test(findings[4]!.value);
      assert.equal(copied, /gelu-1l/i.test(preset), "a .pth is run from a copy");
      const time = findings[6]!;
      assert.match(time.value, /about [\d.]+ (h|days|min|years) on the processor/);
      assert.equal(time.state, / (days|years) on the/.test(time.value) ? "warning" : "ok");
      assert.equal(/meant for a GPU/.test(time.advice ?? ""), time.state === "warning");
    });
});

// What an experiment file may say, and what a person is told when it says something else.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import { ensembleTasks, indexedMethods, parseExperiment, readExperiment } from "../../../src/jobs/experiment.ts";
import { experimentProblems } from "../../../src/jobs/experimentProblems.ts";
import { experimentEditorSchema, experimentJsonSchema } from "../../../src/jobs/experimentSchema.ts";
import { architectures } from "../../../src/sae/architectureWords.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
mkdirSync(join(folder, "model"));
writeFileSync(join(folder, "text.txt"), "Once upon a time.\n");
symlinkSync("text.txt", join(folder, "link.txt"));
const file = join(folder, "tiny.sae.jsonc");

const base = {
  model_name: "model",
  hook_name: "blocks.1.hook_resid_post",
  dataset_path: "text.txt",
  sae: { architecture: "topk", d_sae: 64, k: 4 },
};

const parse = (value: object) => parseExperiment(JSON.stringify(value, null, 2), file);

function problem(text: string): InputError {
  try {
    parseExperiment(text, file);
  } catch (error) {
    assert.ok(error instanceof InputError, `${error}`);
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${text}` });
}

test("defaults are SAELens'", () => {
  const { settings } = parse(base);
  const expected = {
    context_size: 128,
    prepend_bos: true,
    exclude_special_tokens: false,
    n_batches_in_buffer: 20,
    training_tokens: 2_000_000,
    store_batch_size_prompts: 32,
    seed: 42,
    train_batch_size_tokens: 4096,
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    lr: 3e-4,
    lr_scheduler_name: "constant",
    lr_warm_up_steps: 0,
    lr_decay_steps: 0,
    n_restart_cycles: 1,
    dead_feature_window: 1000,
    n_batches_for_norm_estimate: 1000,
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(settings[key as "lr"], value, key);
  const { sae } = settings;
  assert.ok(sae.architecture !== "imported");
  assert.equal(sae.apply_b_dec_to_input, true);
  assert.equal(sae.normalize_activations, "none");
  assert.equal(sae.decoder_init_norm, 0.1);
});

test("paths are relative to the file, and the run folder has the file's name", () => {
  const { paths, name } = parse(base);
  assert.deepEqual([paths.model, paths.dataset], [join(folder, "model"), join(folder, "text.txt")]);
  assert.equal(paths.indexDataset, paths.dataset);
  assert.equal(paths.runFolder, join(folder, "runs", "tiny"));
  assert.equal(name, "tiny");
  assert.equal(parse({ ...base, output_path: "elsewhere" }).paths.runFolder, join(folder, "elsewhere"));
});

test("the demo's texts for training and for the metrics are two files", () => {
  const { paths } = parse({ ...base, dataset_path: "demo", evaluation: { dataset_path: "demo" } });
  assert.notEqual(paths.testDataset, paths.dataset);
});

test("comments and trailing commas are fine", () => {
  const text = `// mine\n${JSON.stringify(base).slice(0, -1)}, /* why */ "seed": 7, }`;
  assert.equal(parseExperiment(text, file).settings.seed, 7);
});

test("all that is wrong comes with the first of it", () => {
  assert.throws(
    () => parse({ ...base, hook_layer: 8, sed: 1, seed: "x" }),
    (error: unknown) => {
      assert.ok(error instanceof InputError);
      const all = [error, ...error.others].map(({ where }) => where);
      assert.deepEqual(all.toSorted(), ["hook_layer", "sed", "seed"]);
      return true;
    },
  );
});

test("a run folder in place of its experiment file is told by name", () => {
  const run = join(folder, "a-run");
  mkdirSync(run);
  writeFileSync(join(run, "run.json"), "{}");
  assert.throws(() => readExperiment(run), /a-run: found a run folder, .*sae-ensembles resume goes on with a run/);
});

test("methods and seed sets become tasks with names of their own", () => {
  const { settings } = parse({ ...base, ensembles: { methods: ["single", "bagging"], seed_sets: 2 } });
  assert.deepEqual(
    ensembleTasks(settings).map(({ name }) => name),
    ["single", "bagging", "single-1", "bagging-1"],
  );
  assert.deepEqual(indexedMethods(settings), ["bagging"]);
});

describe("one line says what is wrong, where, and what would be right", () => {
  const withSae = (sae: object) => ({ ...base, sae: { ...base.sae, ...sae } });
  const cases: [name: string, value: object, where: string, message: RegExp][] = [
    [
      "unknown key, near a known one",
      { ...base, sed: 1 },
      "sed",
      /10:3, sed: found an unknown key \(did you mean "seed"\?\)/,
    ],
    ["another spelling", { ...base, contextSize: 64 }, "contextSize", /did you mean "context_size"\?/],
    ["key that SAELens has", { ...base, logger: {} }, "logger", /events.jsonl in the run folder/],
    ["an old key of SAELens'", { ...base, hook_layer: 8 }, "hook_layer", /hook_name has the layer in it/],
    ["another, near ours", { ...base, hook_point: "x" }, "hook_point", /it is called "hook_name"/],
    ["an old key of its SAEs", withSae({ activation_fn: "relu" }), "sae.activation_fn", /architecture says it/],
    ["key that belongs in sae", { ...base, l1_coefficient: 3 }, "l1_coefficient", /it belongs in sae/],
    ["SAELens' key without a place", { ...base, seqpos_slice: [0, 8] }, "seqpos_slice", /every position/],
    [
      "its SAEs' key without a place",
      withSae({ jumprelu_ste_to_input: true }),
      "sae.jumprelu_ste_to_input",
      /threshold alone/,
    ],
    [
      "key that belongs in another part",
      { ...base, evaluation: { seed_sets: 2 } },
      "evaluation.seed_sets",
      /it belongs in ensembles/,
    ],
    [
      "key that belongs at the top",
      { ...base, ensembles: { seed: 2 } },
      "ensembles.seed",
      /it belongs at the top level/,
    ],
    [
      "key of another architecture",
      withSae({ l1_coefficient: 3 }),
      "sae.l1_coefficient",
      /unknown key of architecture "topk"/,
    ],
    [
      "unknown architecture",
      withSae({ architecture: "tpk" }),
      "sae.architecture",
      /found "tpk", expected one of "standard", "topk"/,
    ],
    ["no architecture", { ...base, sae: { d_sae: 3 } }, "sae.architecture", /found nothing, expected one of/],
    [
      "no width",
      { ...base, sae: { architecture: "gated" } },
      "sae.d_sae",
      /found nothing, expected .*expansion_factor/,
    ],
    [
      "both widths",
      withSae({ expansion_factor: 4 }),
      "sae.d_sae",
      /found expansion_factor as well, expected either d_sae/,
    ],
    ["k beyond d_sae", withSae({ k: 65 }), "sae.k", /found 65, expected at most d_sae, 64/],
    ["string for a number", { ...base, seed: "x" }, "seed", /found "x", expected a number/],
    ["negative", { ...base, seed: -1 }, "seed", /found -1, expected at least 0/],
    ["not whole", { ...base, seed: 1.5 }, "seed", /found 1\.5, expected a whole number/],
    [
      "the same seed again",
      { ...base, debias: { dataset_path: "demo", seeds: [0, 1, 0] } },
      "debias.seeds.2",
      /found 0, expected each one once/,
    ],
    [
      "the same number again",
      { ...base, concepts: { dataset_path: "demo", tpp: [2, 2] } },
      "concepts.tpp.1",
      /found 2, expected each one once/,
    ],
    ["out of range", { ...base, adam_beta1: 1 }, "adam_beta1", /found 1, expected less than 1/],
    [
      "not among the choices",
      { ...base, lr_scheduler_name: "linear" },
      "lr_scheduler_name",
      /expected one of "constant", "cosineannealing"/,
    ],
    [
      "empty list",
      { ...base, ensembles: { methods: [] } },
      "ensembles.methods",
      /found an empty list, expected at least one entry/,
    ],
    [
      "wrong method",
      { ...base, ensembles: { methods: ["bag"] } },
      "ensembles.methods.0",
      /found "bag", expected one of "single"/,
    ],
    [
      "no such model",
      { ...base, model_name: "nope" },
      "model_name",
      /found "nope", which is not there \(.*nope\), expected a model folder/,
    ],
    ["no such text", { ...base, dataset_path: "nope.txt" }, "dataset_path", /nope\.txt.*expected a text file/],
    ["no such test text", { ...base, evaluation: { dataset_path: "nope" } }, "evaluation.dataset_path", /nope/],
    ["nothing held out", { ...base, evaluation: { test_share: 0 } }, "evaluation.test_share", /held-out text/],
    [
      "warm-up beyond the end",
      { ...base, lr_warm_up_steps: 5000 },
      "lr_warm_up_steps",
      /found 5000.*there are 488.*at most 488 together/,
    ],
    [
      "less than one batch",
      { ...base, training_tokens: 100 },
      "training_tokens",
      /found 100.*expected at least train_batch_size_tokens, 4096/,
    ],
    [
      "restarts beyond",
      { ...base, lr_scheduler_name: "cosineannealingwarmrestarts", n_restart_cycles: 500 },
      "n_restart_cycles",
      /expected at most 488/,
    ],
    [
      "names of tokens",
      { ...base, exclude_special_tokens: ["<s>"] },
      "exclude_special_tokens",
      /found a list, expected true, false or a list of token ids/,
    ],
    ["no folder", { ...base, output_path: "" }, "output_path", /found "", expected at least one character/],
    [
      "a k that keeps nothing",
      { ...base, train_batch_size_tokens: 100, sae: { architecture: "batchtopk", d_sae: 64, k: 0.009 } },
      "sae.k",
      /found 0\.009, which keeps nothing in a batch of 100 tokens, expected at least 1\/100/,
    ],
    ["seeds that would meet", { ...base, ensembles: { n_members: 1001 } }, "ensembles.n_members", /at most 1000/],
    [
      "column of no file",
      { ...base, evaluation: { column: "b" } },
      "evaluation.column",
      /found "b", expected evaluation\.dataset_path/,
    ],
    [
      "metrics on what is trained on",
      { ...base, evaluation: { dataset_path: "link.txt" } },
      "evaluation.dataset_path",
      /trained on, expected another text, or no such key/,
    ],
    ["SAELens' resumption", { ...base, resume_from_checkpoint: "x" }, "resume_from_checkpoint", /the command resume/],
    ["BOS and nothing else", { ...base, context_size: 1 }, "context_size", /found 1, expected at least 2/],
    [
      "index of what is not trained",
      { ...base, index: { methods: ["single"] } },
      "index.methods.0",
      /a method that is trained: bagging/,
    ],
  ];
  for (const [name, value, where, message] of cases) {
    test(name, () => {
      const error = problem(JSON.stringify(value, null, 2));
      assert.equal(error.where, where);
      assert.match(error.message, message);
      assert.match(error.message, /tiny\.sae\.jsonc:\d+:\d+/);
      assert.ok(!error.message.includes("\n"));
    });
  }
});

describe("broken JSON", () => {
  for (const [text, message] of [
    ["", /:1:1: found/],
    ["{", /:1:2: found no close brace/],
    ['{"seed" 1}', /:1:9: found no colon/],
    ['{\n  "seed": 1,\n  "seed": 2 }', /:3:3, seed: found the key a second time/],
    ["[]", /expected an object/],
    ["3", /found 3, expected an object/],
    ["null", /found null, expected an object/],
  ] as const) {
    test(JSON.stringify(text), () => assert.match(problem(text).message, message));
  }
});

test("a missing experiment file is an InputError and leaves nothing behind", () => {
  const before = readdirSync(folder);
  assert.throws(() => readExperiment(join(folder, "none.sae.jsonc")), /none\.sae\.jsonc: found no such file/);
  assert.deepEqual(readdirSync(folder), before);
});

describe("all that is wrong is found at once", () => {
  const all = async (value: object) =>
    (await experimentProblems(JSON.stringify(value, null, 2), file)).problems.map(
      ({ where, message }) => `${where}: ${message}`,
    );
  const demo = { ...base, model_name: "demo", dataset_path: "demo" };

  test("a right file has no problem", async () => assert.deepEqual(await all(demo), []));

  test("what is broken as JSON is an editor's to say; an empty file and a key twice are ours", async () => {
    const found = async (text: string) =>
      (await experimentProblems(text, file)).problems.map((problem) => problem.found);
    assert.deepEqual(await found('{ "seed" 1 }'), []);
    assert.deepEqual(await found("{"), []);
    assert.equal((await found("// nothing yet\n")).length, 1);
    assert.deepEqual(await found('{ "seed": 1, "seed": 2 }'), ["the key a second time"]);
  });

  test("only what does nothing is warned of, and only where it is said", async () => {
    const of = async (value: object) =>
      (await experimentProblems(JSON.stringify(value), file)).warnings.map(({ message }) => message);
    const warned = (change: object) => {
      return of({ ...demo, sae: { architecture: "standard", d_sae: 64, ...change } });
    };
    assert.deepEqual(await warned({}), []);
    assert.deepEqual(await warned({ decoder_norm: "unit" }), [], "its start is a default");
    assert.deepEqual(await warned({ decoder_norm: "unit", decoder_init_norm: 1 }), [], "it is as said");
    assert.match((await warned({ decoder_norm: "unit", decoder_init_norm: null })).join(), /^sae\.decoder_init_norm/);
    // 2,000,000 tokens in batches of 4096 are 488 steps, of which the first is step 0.
    assert.deepEqual(await warned({ l1_warm_up_steps: 487 }), []);
    assert.match((await warned({ l1_warm_up_steps: 488 })).join(), /^sae\.l1_coefficient is never reached/);
    // Of 298 steps at 0.01, 0.99^298 = 0.0500 is left, and of 299 less than 0.05.
    const batchtopk = async (steps: number, topk_threshold_lr = 0.01) => {
      const sae = { architecture: "batchtopk", d_sae: 64, k: 8, topk_threshold_lr };
      return (await of({ ...demo, training_tokens: steps * 4096, sae })).join();
    };
    assert.match(
      await batchtopk(298),
      /^sae\.topk_threshold_lr 0\.01 .*only 94 % of its way.* 298 steps.*more latents than 8.*topk_threshold_lr of 0\.02$/,
    );
    assert.deepEqual([await batchtopk(299), await batchtopk(298, 0.02)], ["", ""]);
    const buffered = { ...demo, n_batches_in_buffer: 4 };
    assert.match((await of(buffered)).join(), /^n_batches_in_buffer does nothing/);
    assert.deepEqual(await of({ ...buffered, activations: { store: "on_the_fly" } }), []);
    assert.deepEqual(await of({ ...buffered, lr: -1 }), [], "first what is wrong");
  });

  test("a wrong value and an unknown key of one section are two problems", async () => {
    const sae = { architecture: "topk", expansion_factor: 4, k: 0, foo: 1 };
    const [k, foo, ...others] = await all({ ...demo, sae });
    assert.match(k!, /^sae\.k: .*found 0, expected more than 0/);
    assert.match(foo!, /^sae\.foo: .*found an unknown key/);
    assert.deepEqual(others, []);
  });

  test("what is wrong beside the model already by itself is said once", async () => {
    const found = await all({ ...demo, sae: { architecture: "topk", d_sae: 64, k: 100 } });
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, /^sae\.k: .*found 100, expected at most d_sae, 64/);
  });

  test("where no model is named, none stands in to judge the hook", async () => {
    const { model_name: _, ...nameless } = demo;
    const found = await all({ ...nameless, hook_name: "blocks.11.hook_resid_post" });
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, /^model_name: /);
  });

  test("keys, values, files and the model's layers, each once", async () => {
    const found = await all({
      ...demo,
      hook_name: "blocks.9.hook_resid_post",
      dataset_path: "nowhere.txt",
      training_tokens: "many",
      lr: -1,
      trainig_steps: 3,
      another: 4,
      sae: { architecture: "topq", expansion_factor: 4 },
      ensembles: { methods: ["bagging", "baggin"], n_members: 0 },
      evaluation: { dataset_path: "nobody.txt", test_tokens: 0 },
    });
    const expected = [
      /^training_tokens: .*found "many", expected a number/,
      /^lr: .*found -1, expected more than 0/,
      /^sae.architecture: .*expected one of "standard", "topk", "batchtopk"/,
      /^ensembles.methods.1: .*found "baggin"/,
      /^ensembles.n_members: .*found 0/,
      /^evaluation.test_tokens: .*found 0/,
      /^trainig_steps: .*found an unknown key/,
      /^another: .*found an unknown key/,
      /^dataset_path: .*found "nowhere.txt", which is not there/,
      /^evaluation.dataset_path: .*found "nobody.txt", which is not there/,
      /^hook_name: .*found "blocks.9.hook_resid_post", expected blocks.0 to blocks.4 with one of hook_resid_pre, attn\.hook_z, /,
    ];
    for (const one of expected)
      assert.equal(found.filter((line) => one.test(line)).length, 1, `${one}\n${found.join("\n")}`);
    assert.equal(found.length, expected.length, found.join("\n"));
  });

  test("an SAE that doesn't fit the model's width, at the key that it is about", async () => {
    const [line, ...others] = await all({ ...demo, sae: { architecture: "topk", expansion_factor: 4, k: 100_000 } });
    assert.match(line!, /^sae.k: .*k 100000 is more than the 640 features of the SAE/);
    assert.deepEqual(others, []);
  });

  test("a hook that no block has, and an SAE that doesn't fit the width of the hook that it has", async () => {
    const [unknown] = await all({ ...demo, hook_name: "blocks.1.mlp.hook_pre" });
    assert.match(unknown!, /^hook_name: .*found "blocks.1.mlp.hook_pre", expected blocks.0 to .* mlp\.hook_post, /);
    const sae = { architecture: "topk", expansion_factor: 4, k: 700 };
    assert.match((await all({ ...demo, sae }))[0]!, /^sae.k: .*k 700 is more than the 640 features/);
    assert.deepEqual(await all({ ...demo, hook_name: "blocks.1.mlp.hook_post", sae }), []);
  });
});

interface Property {
  description?: string;
  default?: unknown;
  properties?: Record<string, Property>;
  enum?: string[];
  enumDescriptions?: string[];
  allOf?: { then: { properties: Record<string, Property> } }[];
}

test("the JSON schema describes every key and says its default", () => {
  const schema = experimentJsonSchema() as {
    required: string[];
    additionalProperties: boolean;
    properties: Record<string, Property>;
  };
  assert.deepEqual(schema.required.sort(), ["dataset_path", "hook_name", "model_name", "sae"]);
  assert.equal(schema.additionalProperties, false);
  assert.equal(schema.properties["lr"]!.default, 3e-4);
  assert.match(schema.properties["lr"]!.description!, /learning rate.* Default: 0\.0003\.$/);
  for (const [key, property] of Object.entries(schema.properties)) assert.ok(property.description, key);
  const sae = schema.properties["sae"]!;
  const { enum: names, enumDescriptions } = sae.properties!["architecture"]!;
  assert.deepEqual(new Set(names), new Set([...architectures, "imported"]));
  assert.ok(enumDescriptions!.length === 7 && enumDescriptions!.every((words) => words !== ""));
  assert.equal(sae.allOf!.length, 7);
  for (const { then } of sae.allOf!)
    for (const [key, property] of Object.entries(then.properties)) assert.ok(property.description, `sae.${key}`);
});

test("VS Code's schema has the same in a condition, which completes and describes but never fails", () => {
  assert.deepEqual(experimentEditorSchema(), { allowTrailingCommas: true, if: experimentJsonSchema() });
});

// Exported ONNX files: the residual stream found by structure, hooks, logits and interventions against transformers' and TransformerLens' numbers.
import assert from "node:assert/strict";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { after, describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import {
  encodeOnnxFile,
  type OnnxFileGraph,
  type OnnxFileValue,
  onnxFileNode,
  onnxFileValue,
  readOnnx,
} from "../../../src/formats/onnxFile.ts";
import { tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { OnnxFileGraphs } from "../../../src/model/onnxFileGraphs.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";
import { placeDerivedWeights } from "./derivedWeights.ts";
import { expectClose, isInStream, largestDifference, oneRow, reference, referenceBatch } from "./references.ts";
import { externalTensor, splitOnnx } from "./splitOnnx.ts";

const temporary = temporaryFolder();
/** onnxruntime's sums and the exporters' own ways of writing norms. */
const TOLERANCE = 1e-4;
/** Of a file whose weights and values are float16, with logits of up to 15. */
const HALF_TOLERANCE = 0.05;

/** The file (and its weights) beside the tokenizer and the configuration of the model that it was made from. */
async function placed(file: string, place: string, to = file): Promise<{ path: string; model: string }> {
  const model = /^(?:.*\/)?(gpt_neox|gpt2|llama|qwen3|gemma2)\./.exec(file)![1]!;
  const folder = join(temporary, to.replaceAll("/", "-"));
  mkdirSync(folder);
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
    cpSync(golden("models", model, name), join(folder, name));
  const source = join(place, file);
  const beside = file.includes("/") ? globSync("*", { cwd: dirname(source) }) : [basename(source)];
  for (const name of beside) cpSync(join(dirname(source), name), join(folder, name));
  await placeDerivedWeights(golden("models", model), folder);
  return { path: join(folder, basename(source)), model };
}

/** More exports, where the data folder is. */
const more = sharedData("../golden/models/onnx");
const places = [golden("models", "onnx"), ...(more.skip === false ? [more.path] : [])];
const files = new Map(places.flatMap((place) => globSync("**/*.onnx", { cwd: place }).map((file) => [file, place])));
test("exports beside those of the repository", { skip: more.skip }, () => assert.ok(files.size >= 11));

for (const [file, place] of files) {
  describe(file, async () => {
    const { path, model: name } = await placed(file, place);
    const tolerance = file.includes("-f16") ? HALF_TOLERANCE : TOLERANCE;
    const model = await openLanguageModel(path, { threads: 1 });
    after(() => model.close());
    const values = await reference(name);
    const batch = await referenceBatch(values);
    const native = await openLanguageModel(golden("models", name), { threads: 1 });
    after(() => native.close());

    test("is the model that it was made from", () => {
      const { modelName: _, ...info } = model.info;
      // An exporter's graph has the hooks of the residual stream alone.
      const { modelName: __, dHeads: ___, dMlp: ____, ...expected } = native.info;
      assert.deepEqual(info, expected);
      assert.deepEqual(model.hookNames, native.hookNames.filter(isInStream));
    });

    test("every hook", async () => {
      for (const hook of model.hookNames)
        await expectClose(await model.capture(batch, hook), values, hook, batch, tolerance);
    });

    test("logits, with a delta at the residual stream, with an MLP's output taken out", async () => {
      await expectClose(await model.logits(batch), values, "logits", batch, tolerance);
      const delta = await tensorFloat32(values, "delta");
      const hookName = "blocks.1.hook_resid_post";
      await expectClose(await model.logits(batch, { hookName, delta }), values, "logits.add_delta", batch, tolerance);
      const first = oneRow(batch.ids.subarray(0, 12));
      const mlp = await model.capture(first, "blocks.1.hook_mlp_out");
      const without = await model.logits(first, { hookName: "blocks.1.hook_mlp_out", delta: mlp.map((x) => -x) });
      await expectClose(without, values, "logits.zero_mlp_out", first, tolerance);
    });

    test("unembedding is the model's own", async () => {
      const directions = Float32Array.from({ length: 3 * model.info.dModel }, (_, i) => Math.sin(i * 1.7));
      const hook = "blocks.1.hook_resid_post";
      const expected = await native.unembed(directions, 3, hook);
      const rows = { rows: 3, length: 1, ids: new Int32Array(3), lengths: Int32Array.of(1, 1, 1) };
      assert.ok(largestDifference(await model.unembed(directions, 3, hook), expected, rows) <= tolerance);
    });

    test("a row read and continued piece by piece", async () => {
      const ids = batch.ids.slice(0, 12);
      const reader = model.readTo("blocks.1.hook_resid_post");
      await reader.append(ids.slice(0, 5));
      const later = await reader.append(ids.slice(5));
      const whole = await model.capture(oneRow(ids), "blocks.1.hook_resid_post");
      assert.ok(later.every((x, i) => Math.abs(x - whole[5 * model.info.dModel + i]!) <= 1e-5));
    });
  });
}

for (const at of ["model.onnx_data", "parts/weights.bin"])
  test(`weights in ${at}, reached through links to blobs of other names, as in a Hugging Face cache`, async () => {
    const { graph, weights } = splitOnnx(await readOnnx(golden("models", "onnx", "llama.torch-dynamo.onnx")), at);
    assert.ok(weights.length > 200_000, "nearly all of the file");
    const repository = join(temporary, `hub-${basename(at)}`, "models--someone--exported");
    const files: Record<string, Buffer> = { "onnx/model.onnx": graph, [`onnx/${at}`]: weights };
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
      files[name] = readFileSync(golden("models", "llama", name));
    for (const [i, [name, data]] of Object.entries(files).entries()) {
      const link = join(repository, "snapshots", "c0ffee", name);
      const blob = join(repository, "blobs", `blob-${i}`);
      for (const path of [link, blob]) mkdirSync(dirname(path), { recursive: true });
      writeFileSync(blob, data);
      symlinkSync(relative(dirname(link), blob), link);
    }
    const snapshot = join(repository, "snapshots", "c0ffee");
    const values = await reference("llama");
    const batch = await referenceBatch(values);
    for (const path of [snapshot, join(snapshot, "onnx", "model.onnx")]) {
      const model = await openLanguageModel(path, { threads: 1 });
      await expectClose(await model.logits(batch), values, "logits", batch, TOLERANCE);
      const hook = "blocks.1.hook_resid_post";
      await expectClose(await model.capture(batch, hook), values, hook, batch, TOLERANCE);
      await model.close();
    }
  });

/** An export of the repository with another graph, beside its tokenizer, and its configuration where one is wanted. */
async function changed(
  file: string,
  to: string,
  change: (graph: OnnxFileGraph) => OnnxFileGraph,
  config?: object,
): Promise<string> {
  const { path } = await placed(file, golden("models", "onnx"), to);
  const json = join(dirname(path), "config.json");
  if (config) writeFileSync(json, JSON.stringify({ ...JSON.parse(readFileSync(json, "utf8")), ...config }));
  else rmSync(json);
  const source = await readOnnx(path);
  writeFileSync(path, encodeOnnxFile(source, change(source.graph)));
  return path;
}

const made = (opType: string, inputs: string[], outputs: string[]) => onnxFileNode({ opType, inputs, outputs });

/** Values by other names, in all operators, inputs and outputs. */
function renamed(graph: OnnxFileGraph, names: Readonly<Record<string, string>>): OnnxFileGraph {
  const other = (name: string) => names[name] ?? name;
  const value = ({ name, dataType, shape }: OnnxFileValue) =>
    onnxFileValue({ name: other(name), dtype: dataType === 7 ? "I64" : "F32", shape });
  return {
    ...graph,
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(other),
      outputs: node.outputs.map(other),
    })),
  };
}

describe("graphs that say less, or say it otherwise", () => {
  test("token ids and logits by other names are found by structure", async () => {
    const path = await changed(
      "llama.torch-dynamo.onnx",
      "renamed",
      (graph) => renamed(graph, { input_ids: "tokens", logits: "output" }),
      {},
    );
    const values = await reference("llama");
    const batch = await referenceBatch(values);
    const model = await openLanguageModel(path, { threads: 1 });
    await expectClose(await model.logits(batch), values, "logits", batch, TOLERANCE);
    const hook = "blocks.1.hook_resid_post";
    await expectClose(await model.capture(batch, hook), values, hook, batch, TOLERANCE);
    await model.close();
  });

  test("an inner value that has the name already leaves it to a person", async () => {
    for (const [names, found] of [
      [{ input_ids: "tokens", view: "input_ids" }, /found inputs tokens/],
      [{ logits: "output", embedding: "logits" }, /found outputs output/],
    ] as const) {
      const path = await changed(
        "llama.torch-dynamo.onnx",
        `taken-${Object.keys(names)[0]}`,
        (g) => renamed(g, names),
        {},
      );
      await assert.rejects(openLanguageModel(path, { threads: 1 }), { name: "InputError", message: found });
    }
  });

  test("without a configuration, learned positions are as many as their table has rows", async () => {
    const path = await changed("gpt2.ort-fused.onnx", "table", (graph) => graph);
    const model = await openLanguageModel(path, { threads: 1 });
    assert.equal(model.info.contextSize, 64);
    const ids = (length: number) => oneRow(Int32Array.from({ length }, (_, i) => i));
    assert.equal((await model.logits(ids(64))).length, 64 * 320);
    await assert.rejects(model.logits(ids(65)), { name: "RangeError", message: /a row of 65 tokens/ });
    await model.close();
  });

  test("a special id that the model has no embedding of", async () => {
    const path = await changed("gpt2.ort-fused.onnx", "special", (graph) => graph, { bos_token_id: 999_999 });
    rmSync(join(dirname(path), "tokenizer_config.json"));
    await assert.rejects(openLanguageModel(path, { threads: 1 }), {
      name: "InputError",
      message: /config\.json, bos_token_id: found 999999, expected less than 320, the model's vocabulary/,
    });
  });

  test("a configuration that says more positions than the table has", async () => {
    const path = await changed("gpt2.ort-fused.onnx", "larger", (graph) => graph, { n_positions: 128 });
    await assert.rejects(openLanguageModel(path, { threads: 1 }), {
      name: "InputError",
      message: /found a table of 64 positions, expected at least 128, the context that config\.json says/,
    });
  });

  test("what fails while it runs is said by the file's name, what was run and with what", async () => {
    const twice = made("Add", ["position_ids", "position_ids"], ["twice"]);
    const path = await changed("gpt2.ort-fused.onnx", "failing", ({ nodes, ...graph }) => ({
      ...graph,
      nodes: [
        twice,
        // "rest" holds what isn't an input: Gather has nothing there that the default doesn't say.
        ...nodes.map((each) =>
          each.opType === "Gather" && each.inputs[1] === "position_ids"
            ? { ...made("Gather", [each.inputs[0]!, "twice"], [...each.outputs]) }
            : each,
        ),
      ],
    }));
    const model = await openLanguageModel(path, { threads: 1 });
    const ids = oneRow(Int32Array.from({ length: 40 }, (_, i) => i));
    await assert.rejects(model.logits(ids), {
      name: "InputError",
      message:
        /^\S+gpt2\.ort-fused\.onnx, logits: found what onnxruntime can't run: .*, expected a graph that takes .*input_ids \[1,40\]/,
    });
    await model.close();
  });

  test("twenty thousand operators in a row are no matter", async () => {
    const length = 20_000;
    const path = await changed(
      "llama.torch-dynamo.onnx",
      "chain",
      (graph) => {
        const chain = (from: string, name: string) =>
          Array.from({ length }, (_, i) => made("Identity", [i === 0 ? from : `${name}_${i - 1}`], [`${name}_${i}`]));
        const gather = graph.nodes.find(({ opType, inputs }) => opType === "Gather" && inputs[1] === "input_ids")!;
        const [table] = gather.inputs;
        const instead = made("Gather", [`table_${length - 1}`, `ids_${length - 1}`], [...gather.outputs]);
        return {
          ...graph,
          nodes: [
            ...chain("input_ids", "ids"),
            ...chain(table!, "table"),
            ...graph.nodes.map((each) => (each === gather ? instead : each)),
          ],
        };
      },
      {},
    );
    const model = await openLanguageModel(path, { threads: 1 });
    assert.equal(model.info.dVocab, 431);
    await model.close();
  });

  test("sums of sums, each twice in the next but one, are looked at once", async () => {
    const { graph, ...file } = await readOnnx(golden("models", "onnx", "llama.torch-dynamo.onnx"));
    const gather = graph.nodes.findIndex(({ opType, inputs }) => opType === "Gather" && inputs[1] === "input_ids");
    const [embedded] = graph.nodes[gather]!.outputs as [string];
    const sums = Array.from({ length: 80 }, (_, i) => made("Add", [`s${i}`, `s${i + 1}`], [`s${i + 2}`]));
    const inserted = [
      made("Neg", [embedded], ["s0"]),
      made("Abs", [embedded], ["s1"]),
      ...sums,
      made("Add", [embedded, "s81"], ["summed"]),
    ];
    const later = graph.nodes.slice(gather + 1).map((node) => ({
      ...node,
      inputs: node.inputs.map((input) => (input === embedded ? "summed" : input)),
    }));
    const nodes = [...graph.nodes.slice(0, gather + 1), ...inserted, ...later];
    assert.equal(new OnnxFileGraphs({ ...file, graph: { ...graph, nodes } }).stream.nLayers, 3);
  });
});

describe("what can't be used is an InputError", () => {
  const refused = (path: string, message: RegExp) =>
    assert.rejects(openLanguageModel(path), (error: Error) => {
      assert.equal(error.name, "InputError", String(error.stack));
      assert.match(error.message, message);
      return true;
    });

  test("bytes of something else, and a file cut short anywhere", async () => {
    const other = join(temporary, "other.onnx");
    for (const bytes of [
      Buffer.from("not an onnx file at all"),
      Buffer.alloc(0),
      Buffer.alloc(100),
      Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ]) {
      writeFileSync(other, bytes);
      await refused(other, /an ONNX model/);
    }
  });

  test("a graph damaged anywhere opens or is refused, never anything else", async () => {
    const path = join(temporary, "damaged.onnx");
    const whole = readFileSync(golden("models", "onnx", "gpt2.ort-fused.onnx"));
    const random = SeededRandom.derive(8, "damage");
    for (let i = 0; i < 150; i++) {
      const bytes = Buffer.from(i % 3 === 0 ? whole.subarray(0, random.integer(whole.length)) : whole);
      for (let n = random.integer(8); n >= 0 && bytes.length > 0; n--)
        bytes[random.integer(bytes.length)] = random.integer(256);
      writeFileSync(path, bytes);
      try {
        new OnnxFileGraphs(await readOnnx(path)).logits("blocks.1.hook_resid_post");
      } catch (error) {
        assert.equal((error as Error).name, "InputError", String((error as Error).stack));
      }
    }
  });

  const node = (opType: string, inputs: string[], outputs: string[]) => onnxFileNode({ opType, inputs, outputs });
  const cases: [string, (graph: OnnxFileGraph) => OnnxFileGraph, RegExp][] = [
    [
      "an input that isn't known",
      (g) => ({ ...g, inputs: [...g.inputs, onnxFileValue({ name: "pixels", dtype: "F32", shape: [1] })] }),
      /input pixels: found an input that isn't known/,
    ],
    [
      "no logits",
      (g) => ({ ...g, outputs: [onnxFileValue({ name: "scores", dtype: "F32", shape: [1] })] }),
      /found outputs scores, expected logits of a decoder-only language model, by the name logits/,
    ],
    [
      "no ids",
      (g) => ({ ...g, inputs: g.inputs.filter(({ name }) => name !== "input_ids") }),
      /found inputs attention_mask, expected token ids, by the name input_ids/,
    ],
    [
      "a loop",
      (g) => ({ ...g, nodes: [node("Identity", ["b"], ["a"]), node("Identity", ["a"], ["b"]), ...g.nodes] }),
      /value b used before it is made/,
    ],
    [
      "no residual stream",
      (g) => ({
        ...g,
        nodes: g.nodes.map((n) => (n.opType === "Add" ? { ...node("Max", [...n.inputs], [...n.outputs]) } : n)),
      }),
      /no residual stream/,
    ],
  ];
  for (const [what, change, message] of cases)
    test(what, async () => {
      const folder = join(temporary, what.replaceAll(/\W/g, "_"));
      mkdirSync(folder);
      for (const name of ["tokenizer.json", "tokenizer_config.json", "config.json"])
        cpSync(golden("models", "llama", name), join(folder, name));
      const file = await readOnnx(golden("models", "onnx", "llama.torch-dynamo.onnx"));
      const path = join(folder, "model.onnx");
      writeFileSync(path, encodeOnnxFile(file, change(file.graph)));
      await refused(path, message);
    });

  /** The dynamo export with one of its tensors' bytes said to lie in model.onnx_data. */
  async function external(folder: string, place: Record<string, string>): Promise<string> {
    const { path } = await placed("llama.torch-dynamo.onnx", golden("models", "onnx"), folder);
    const file = await readOnnx(path);
    const moved = file.graph.tensors.find((tensor) => tensor.shape.length === 2 && tensor.dataType === 1)!;
    const raw = externalTensor(moved, place);
    const tensors = file.graph.tensors.map((tensor) => (tensor === moved ? { ...tensor, raw } : tensor));
    writeFileSync(path, encodeOnnxFile(file, { ...file.graph, tensors }));
    const length = moved.shape.reduce((product, n) => product * n, 4);
    writeFileSync(join(dirname(path), "model.onnx_data"), Buffer.alloc(64 + length));
    return path;
  }

  test("weights in a file beside it that is missing, too short, or elsewhere", async () => {
    const path = await external("beside", { location: "model.onnx_data", offset: "64" });
    const data = join(dirname(path), "model.onnx_data");
    const ids = oneRow(Int32Array.of(1, 2, 3));
    const sound = await openLanguageModel(path, { threads: 1 });
    assert.equal((await sound.logits(ids)).length, 3 * sound.info.dVocab);
    await sound.close();
    const whole = readFileSync(data);
    writeFileSync(data, whole.subarray(0, -1));
    await refused(path, /model\.onnx_data, tensor \S+: found a file of \d+ bytes, expected \d+ bytes from byte 64 on/);
    rmSync(data);
    await refused(path, /model\.onnx_data, tensor \S+: found no such file/);
    for (const [i, location] of ["../model.onnx_data", "/etc/passwd", "a/../../x", ""].entries())
      await refused(
        await external(`elsewhere-${i}`, { location }),
        /found weights in ".*", expected a file in the folder/,
      );
    await refused(await external("no-number", { location: "model.onnx_data", offset: "x" }), /from byte NaN on/);
  });

  test("what only onnxruntime can tell is said by the file's name", async () => {
    const path = await external("session", { location: "model.onnx_data", length: "16" });
    const model = await openLanguageModel(path, { threads: 1 });
    await assert.rejects(model.logits(oneRow(Int32Array.of(1, 2, 3))), {
      name: "InputError",
      message: /llama\.torch-dynamo\.onnx: found what onnxruntime refuses: /,
    });
    await model.close();
  });

  test("a configuration and a tokenizer of another model", async () => {
    const { path } = await placed("llama.torch-dynamo.onnx", golden("models", "onnx"), "contradicted");
    const folder = dirname(path);
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 4 }));
    await refused(path, /number of layers 3, expected 4/);
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    cpSync(golden("models", "gemma2", "tokenizer.json"), join(folder, "tokenizer.json"));
    await refused(path, /tokenizer\.json: found a vocabulary of 435 tokens, expected at most 431/);
    rmSync(join(folder, "tokenizer.json"));
    await refused(path, /tokenizer\.json: found no such file/);
  });
});

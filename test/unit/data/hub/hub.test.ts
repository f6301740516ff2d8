// Models and data sets by name, from a hub on this machine that breaks off, lies about sizes and refuses.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, test } from "node:test";
import { datasetFiles, obtainDataset } from "../../../../src/data/hub/dataset.ts";
import { hubName, hubReference } from "../../../../src/data/hub/reference.ts";
import { hubSettings } from "../../../../src/data/hub/requests.ts";
import { InputError } from "../../../../src/formats/inputError.ts";
import { readOnnx } from "../../../../src/formats/onnxFile.ts";
import { cachedModel, modelDownloadSize, obtainModel } from "../../../../src/model/hubModel.ts";
import { openLanguageModel } from "../../../../src/model/open.ts";
import { golden, temporaryFolder } from "../../fixtures.ts";
import { COMMIT, type LocalHub, localHub, put } from "../../localHub.ts";
import { splitOnnx } from "../../model/splitOnnx.ts";

// Waits are asked for in milliseconds and not waited.
const hub: LocalHub = await localHub();
const temporary = temporaryFolder();
let cacheFolder = "";
let waits: number[] = [];
let cases = 0;

beforeEach(() => {
  cacheFolder = join(temporary, `cache-${cases++}`);
  waits = [];
  hub.requests.length = 0;
  hub.misbehave = () => false;
  hub.breakAfter = null;
  hub.arrived = (upTo) =>
    globSync("*/blobs/*.incomplete", { cwd: cacheFolder }).some(
      (name) => statSync(join(cacheFolder, name)).size >= upTo,
    );
  hub.sizes.clear();
});

const options = (more: object = {}) => ({
  endpoint: hub.url,
  cacheFolder,
  listFolder: join(cacheFolder, "lists"),
  token: null,
  wait: async (milliseconds: number) => void waits.push(milliseconds),
  ...more,
});

const model = (name: string) => hubReference(name, "model")!;
const dataset = (name: string) => hubReference(name, "dataset")!;

const folderFiles = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
const sharded = folderFiles(golden("models", "llama_tied_bf16_sharded"));
put(hub, "someone/sharded", {
  ...sharded,
  "pytorch_model.bin": "x".repeat(5000),
  "README.md": "hello",
  "onnx/model.onnx": "x",
});
put(hub, "someone/single", folderFiles(golden("models", "qwen2")));
put(hub, "someone/single", { ...folderFiles(golden("models", "qwen3")), "gguf/tiny.gguf": "GGUF".repeat(600) }, "v2");
put(hub, "someone/old", { "config.json": "{}", "tokenizer.json": "{}", "pytorch_model.bin": "x" });

/** Where nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Paths of the files that were downloaded. */
const downloads = () =>
  hub.requests.filter(({ path }) => path.includes("/resolve/")).map(({ path }) => path.split("/").at(-1)!);
const blobs = () => globSync("*/blobs/*", { cwd: cacheFolder });

async function refused(work: Promise<unknown>, ...patterns: RegExp[]): Promise<void> {
  await assert.rejects(work, (error: Error) => {
    assert.ok(error instanceof InputError, String(error.stack));
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
}

describe("names", () => {
  const cases: [string, "model" | "dataset", string | null][] = [
    ["EleutherAI/pythia-160m", "model", "EleutherAI/pythia-160m"],
    ["EleutherAI/pythia-160m@step3000", "model", "EleutherAI/pythia-160m@step3000"],
    ["https://huggingface.co/google/gemma-2-2b/tree/main", "model", "google/gemma-2-2b"],
    ["https://huggingface.co/datasets/a/b", "dataset", "a/b"],
    ["https://huggingface.co/google/gemma-2-2b/", "model", "google/gemma-2-2b"],
    ["https://huggingface.co/google/gemma-2-2b/tree/main/", "model", "google/gemma-2-2b"],
    ["https://huggingface.co/a/b/tree/refs%2Fpr%2F1/c/", "model", "a/b@refs/pr/1/c"],
    ["https://huggingface.co/a/b/resolve/v2/c.gguf?download=true", "model", "a/b@v2/c.gguf"],
    ["hf://datasets/a/b@refs%2Fx/c", "dataset", "a/b@refs%2Fx/c"],
    ["a/b@refs/pr/1", "model", "a/b@refs/pr/1"],
    ["a/b@refs/convert/parquet/default/train", "dataset", "a/b@refs/convert/parquet/default/train"],
    ["a/b@%2E%2E%2F%2E%2E%2Fx", "model", null],
    ["a/b@%2Fx", "model", null],
    ["a/b@100%", "model", null],
    ["a/b/c/d.gguf", "model", "a/b/c/d.gguf"],
    ["gpt2-small", "model", "openai-community/gpt2"],
    ["pythia-70m-deduped", "model", "EleutherAI/pythia-70m-deduped"],
    ["pythia-70m-deduped", "dataset", null],
    ["distilgpt2", "model", "distilbert/distilgpt2"],
    ["gpt-neox", "model", "EleutherAI/gpt-neox-20b"],
    ["gelu-1l", "model", "NeelNanda/GELU_1L512W_C4_Code"],
    ["gelu-4l-c4-code", "model", "NeelNanda/GELU_4L512W_C4_Code"],
    ["gelu-5l", "model", null],
    ["mistral-7b", "model", "mistralai/Mistral-7B-v0.1"],
    ["Llama-2-7b", "model", "meta-llama/Llama-2-7b-hf"],
    ["Llama-2-13b-chat", "model", "meta-llama/Llama-2-13b-chat-hf"],
    ["qwen1.5-0.5b-chat", "model", "Qwen/Qwen1.5-0.5B-Chat"],
    ["qwen2.5-1.5b-instruct", "model", "Qwen/Qwen2.5-1.5B-Instruct"],
    ["Qwen3-0.6B-Base", "model", "Qwen/Qwen3-0.6B-Base"],
    ["./a/b", "model", null],
    ["../a", "model", null],
    ...[
      "%00",
      "x%2F.%2Fy",
      ".x",
      "x.",
      "%22",
      "%3C",
      "%3E",
      "%7C",
      "%2A",
      "%3F",
      "x%2F%2Fy",
      "%2Fx",
      "x%5Cy",
      "C%3A",
    ].map((revision): [string, "model", null] => [`a/b@${revision}`, "model", null]),
    ["/a/b", "model", null],
    ["a/../b", "model", null],
    ["C:\\a\\b", "model", null],
    ["model.gguf", "model", null],
  ];
  for (const [text, type, expected] of cases)
    test(text, () => {
      const reference = hubReference(text, type);
      assert.equal(reference && hubName(reference), expected);
    });
});

describe("a model by its name", () => {
  test("only the files that it needs, with progress; from then on without the hub", async () => {
    const progress: [number, number][] = [];
    const folder = await obtainModel(
      model("someone/sharded"),
      options({ onProgress: (done: number, total: number) => progress.push([done, total]) }),
    );
    assert.deepEqual(downloads().sort(), [
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const weights = Object.entries(sharded).filter(([name]) => name.startsWith("model-"));
    const bytes = weights.reduce((sum, [, data]) => sum + data.length, 0);
    assert.deepEqual(progress.at(-1), [bytes, bytes]);
    for (const [name, data] of weights) assert.deepEqual(readFileSync(join(folder, name)), data);
    const opened = await openLanguageModel(folder, { threads: 1 });
    assert.equal(opened.info.nLayers, 2);
    await opened.close();
    const before = hub.requests.length;
    assert.equal(await obtainModel(model("someone/sharded"), options()), folder);
    assert.equal(hub.requests.length, before, "the second time asks nobody");
  });

  test("another revision, and one file of a repository", async () => {
    const folder = await obtainModel(model("someone/single@v2"), options());
    assert.match(readFileSync(join(folder, "config.json"), "utf8"), /qwen3/);
    const file = await obtainModel(model("someone/single@v2/gguf/tiny.gguf"), options());
    assert.equal(statSync(file).size, 2400);
  });

  test("what it would bring is the shards that its index names, and nothing that lies beside them", async () => {
    put(hub, "someone/mistral", { ...sharded, "consolidated.safetensors": "x".repeat(5000) });
    const shards = Object.entries(sharded).filter(([name]) => /^model-.*safetensors$/.test(name));
    const bytes = shards.reduce((sum, [, data]) => sum + data.length, 0);
    assert.equal(await modelDownloadSize(model("someone/mistral"), options()), bytes);
  });

  test("one file of weights is the model's, as it is for transformers, whatever an index beside it says", async () => {
    const stale = JSON.stringify({ weight_map: { a: "model-00001-of-00002.safetensors" } });
    put(hub, "someone/both", { ...folderFiles(golden("models", "qwen2")), "model.safetensors.index.json": stale });
    const folder = await obtainModel(model("someone/both"), options());
    writeFileSync(join(folder, "model.safetensors.index.json"), stale);
    assert.equal(cachedModel(model("someone/both"), options()), folder);
    const opened = await openLanguageModel(folder, { threads: 1 });
    assert.equal(opened.info.family, "qwen2");
    await opened.close();
  });

  const asking = { "config.json": "{}", "tokenizer.json": "{}" };
  const broken: Record<string, [Record<string, Buffer | string>, RegExp]> = {
    "an index that is no JSON": [
      { ...asking, "model.safetensors.index.json": "{oops" },
      /^someone\/broken\/model\.safetensors\.index\.json: found .*, expected an index of shards in JSON$/,
    ],
    "an index of something else": [
      { ...asking, "model.safetensors.index.json": "[]" },
      /^someone\/broken\/model\.safetensors\.index\.json: found an empty list, expected an index of shards in JSON$/,
    ],
    "an index that leads elsewhere": [
      { ...asking, "model.safetensors.index.json": JSON.stringify({ weight_map: { a: "../x.safetensors" } }) },
      /weight_map: found \.\.\/x\.safetensors, expected a file's name in the same folder$/,
    ],
    "a configuration that is no JSON": [
      { "config.json": "{oops", "model_final.pth": "x" },
      /^someone\/broken\/config\.json: found something else, expected a model's configuration in JSON$/,
    ],
    "a configuration that is null": [
      { "config.json": "null", "model_final.pth": "x" },
      /^someone\/broken\/config\.json: found something else/,
    ],
  };
  for (const [what, [files, message]] of Object.entries(broken))
    test(`refused by file: ${what}`, async () => {
      put(hub, "someone/broken", files);
      await refused(obtainModel(model("someone/broken"), options()), message);
      assert.equal(cachedModel(model("someone/broken"), options()), null);
    });

  test("revisions with slashes: a proposed change, and a branch", async () => {
    const names = { "refs/pr/1": "someone/single@refs/pr/1", "try/this": "someone/single@try%2Fthis" };
    for (const [revision, name] of Object.entries(names)) {
      put(hub, "someone/single", { "a/tiny.gguf": revision }, revision);
      const file = await obtainModel(model(`${name}/a/tiny.gguf`), options());
      assert.equal(readFileSync(file, "utf8"), revision);
      assert.equal(cachedModel(model(`${name}/a/tiny.gguf`), options()), file);
    }
    await refused(
      obtainModel(model("someone/single@refs/pr/2"), options()),
      /someone\/single@refs\/pr\/2: .*no such revision/,
    );
  });

  test("GPT-2, whose tokenizer_config.json names no special token", async () => {
    const { "config.json": json, ...files } = folderFiles(golden("models", "gpt2"));
    const config = JSON.parse(String(json));
    const bare = { ...files, "config.json": String(json), "tokenizer_config.json": '{"model_max_length": 1024}' };
    put(hub, "someone/gpt2", bare);
    const map = JSON.stringify({ bos_token: "<|endoftext|>" });
    const silent = JSON.stringify({ ...config, bos_token_id: undefined });
    put(hub, "someone/gpt2-map", { ...bare, "config.json": silent, "special_tokens_map.json": map });
    for (const name of ["someone/gpt2", "someone/gpt2-map"]) {
      const opened = await openLanguageModel(await obtainModel(model(name), options()), { threads: 1 });
      assert.ok(opened.tokenizer.bosId !== null, name);
      assert.equal(opened.tokenizer.tokenText(opened.tokenizer.bosId), "<|endoftext|>", name);
      await opened.close();
    }
  });

  test("two at the same time bring every file once, and whole", async () => {
    const wait = () => new Promise<void>((resolve) => setImmediate(resolve));
    const both = [1, 2].map(() => obtainModel(model("someone/single"), options({ wait })));
    const [one, other] = await Promise.all(both);
    assert.equal(one, other);
    assert.deepEqual(downloads().sort(), [...new Set(downloads())].sort());
    assert.deepEqual(
      readFileSync(join(one!, "model.safetensors")),
      readFileSync(golden("models", "qwen2", "model.safetensors")),
    );
  });

  describe("exported to ONNX", () => {
    const { "config.json": config, "tokenizer.json": tokenizer } = folderFiles(golden("models", "llama"));
    const small = { "config.json": config!, "tokenizer.json": tokenizer! };
    /** Weights in two files whose names say nothing. */
    const exported = async (folder: string) => {
      const { graph, weights } = splitOnnx(
        await readOnnx(golden("models", "onnx", "llama.torch-dynamo.onnx")),
        "weights",
      );
      return { [`${folder}model.onnx`]: graph, [`${folder}weights`]: weights };
    };

    test("an .onnx file with its weights, whatever their names, and configuration and tokenizer, which lie above it", async () => {
      const files = await exported("onnx/");
      const others = { "model.safetensors": "w", "onnx/model_fp16.onnx": "z", "onnx/weights_fp16": "z" };
      put(hub, "someone/exported", { ...small, ...others, ...files });
      const reference = model("someone/exported/onnx/model.onnx");
      const file = await obtainModel(reference, options());
      assert.deepEqual(downloads().sort(), ["config.json", "model.onnx", "tokenizer.json", "weights"]);
      const opened = await openLanguageModel(file, { threads: 1 });
      const { length } = await opened.logits({
        rows: 1,
        length: 2,
        ids: Int32Array.of(1, 2),
        lengths: Int32Array.of(2),
      });
      assert.equal(length, 2 * opened.info.dVocab);
      await opened.close();
      assert.equal(cachedModel(reference, options()), file);
      for (const missing of ["weights", "../tokenizer.json"]) {
        rmSync(join(file, "..", missing));
        assert.equal(cachedModel(reference, options()), null, `without ${missing} it isn't there whole`);
        hub.requests.length = 0;
        assert.equal(await obtainModel(reference, options()), file);
        assert.deepEqual(downloads(), [], "its blob is there, and only the link was missing");
      }
    });

    test("a repository that has nothing else, by its name alone; what it would bring is known before", async () => {
      const files = await exported("onnx/");
      put(hub, "onnx-someone/exported", { ...small, ...files, "onnx/model_q4.onnx": "z".repeat(5000) });
      const reference = model("onnx-someone/exported");
      const bytes = Object.values({ ...small, ...files }).reduce((sum, content) => sum + content!.length, 0);
      assert.equal(await modelDownloadSize(reference, options()), bytes);
      assert.deepEqual(downloads(), ["model.onnx"], "the graph, which says where its weights are");
      hub.requests.length = 0;
      const folder = await obtainModel(reference, options());
      assert.deepEqual(downloads().sort(), ["config.json", "tokenizer.json", "weights"]);
      assert.equal(cachedModel(reference, options()), folder);
      const opened = await openLanguageModel(folder, { threads: 1 });
      assert.equal(opened.info.nLayers, 3);
      await opened.close();
    });

    test("weights that the repository doesn't have, and one that has no .onnx file of a known name", async () => {
      const { "model.onnx": graph } = await exported("");
      put(hub, "someone/halved", { ...small, "model.onnx": graph! });
      await refused(obtainModel(model("someone/halved"), options()), /no weights, which model\.onnx needs among /);
      assert.equal(cachedModel(model("someone/halved"), options()), null);
      put(hub, "someone/quantised", { ...small, "onnx/model_q4.onnx": graph! });
      await refused(
        obtainModel(model("someone/quantised"), options()),
        /no weights as \.safetensors or \.onnx/,
        /model\.onnx or decoder_model_merged\.onnx/,
      );
    });
  });

  test("TransformerLens' own form, with the tokenizer of the repository that it names", async () => {
    const {
      "tokenizer.json": tokenizer,
      "tokenizer_config.json": settings,
      ...rest
    } = folderFiles(golden("models", "gelu-1l"));
    const config = { ...JSON.parse(String(rest["config.json"])), tokenizer_name: "someone/tokenizer" };
    put(hub, "someone/tokenizer", {
      "tokenizer.json": tokenizer!,
      "tokenizer_config.json": settings!,
      "vocab.json": "{}",
    });
    put(hub, "someone/gelu", { ...rest, "config.json": JSON.stringify(config) });
    const folder = await obtainModel(model("someone/gelu"), options());
    assert.deepEqual(downloads().sort(), ["config.json", "model_final.pth", "tokenizer.json", "tokenizer_config.json"]);
    assert.equal(cachedModel(model("someone/gelu"), options()), folder);
    process.env["HF_HUB_CACHE"] = cacheFolder;
    const opened = await openLanguageModel(folder, { threads: 1, cacheFolder });
    delete process.env["HF_HUB_CACHE"];
    assert.equal(opened.tokenizer.encode("hello").length > 0, true);
    await opened.close();
  });

  test("straight from the cache that Python's library made, links and all", async () => {
    const repository = join(cacheFolder, "models--someone--elses");
    const snapshot = join(repository, "snapshots", COMMIT);
    mkdirSync(join(repository, "blobs"), { recursive: true });
    mkdirSync(join(repository, "refs"));
    mkdirSync(snapshot, { recursive: true });
    writeFileSync(join(repository, "refs", "main"), COMMIT);
    for (const [i, name] of readdirSync(golden("models", "qwen2")).entries()) {
      cpSync(golden("models", "qwen2", name), join(repository, "blobs", `${i}`));
      symlinkSync(join("..", "..", "blobs", `${i}`), join(snapshot, name));
    }
    const folder = await obtainModel(model("someone/elses"), options({ endpoint: "http://127.0.0.1:1" }));
    assert.equal(folder, snapshot);
    const opened = await openLanguageModel(folder, { threads: 1 });
    assert.equal(opened.info.family, "qwen2");
    await opened.close();
    rmSync(join(snapshot, "model.safetensors"));
    assert.equal(cachedModel(model("someone/elses"), options()), null, "a part of a model is none");
  });

  test("a token goes to the hub, and is needed where the hub says so", async () => {
    // A gated repository shows its list to everyone.
    hub.misbehave = ({ headers, url }, response) => {
      if (headers.authorization === "Bearer hf_right" || !url!.includes("/resolve/")) return false;
      response.writeHead(401, { "X-Error-Code": "GatedRepo" }).end();
      return true;
    };
    await refused(
      obtainModel(model("someone/single"), options()),
      /^someone\/single\/config\.json: found a gated repository and no token/,
      /HF_TOKEN/,
      new RegExp(`accepted its terms on ${hub.url}/someone/single$`),
    );
    await refused(
      obtainModel(model("someone/single"), options({ token: "hf_wrong" })),
      /a token that the hub doesn't take/,
    );
    assert.ok(existsSync(await obtainModel(model("someone/single"), options({ token: "hf_right" }))));
    assert.deepEqual(waits, [], "waiting would not help");
  });

  test("tokens: of the environment, or the file that `hf auth login` has left", () => {
    const home = join(temporary, "home");
    const none = { HF_HOME: join(temporary, "no-home") };
    assert.equal(hubSettings({}, none).token, null);
    assert.equal(hubSettings({}, { ...none, HF_TOKEN: " \n" }).token, null);
    assert.deepEqual(hubSettings({}, { ...none, HF_TOKEN: "hf_a" }).token, { value: "hf_a", from: "HF_TOKEN" });
    mkdirSync(home);
    writeFileSync(join(home, "token"), "hf_b\n");
    assert.deepEqual(hubSettings({}, { HF_HOME: home }).token, { value: "hf_b", from: join(home, "token") });
  });

  test("a token that can't be one is refused where it would be sent, never shown, and is nobody's concern before", async () => {
    const whole = options({ token: "not of the hub's kind" });
    const error = await obtainModel(model("someone/v1"), whole).then(
      () => assert.fail("sent"),
      (error: Error) => error,
    );
    assert.ok(error instanceof InputError);
    assert.match(error.message, /^the token: found spaces/);
    assert.ok(!error.message.includes("kind"));
    assert.equal(cachedModel(model("someone/v1"), whole), null);
    // The hub alone knows what its tokens look like.
    await obtainModel(model("someone/single"), options({ token: "dummy" }));
    assert.equal(hub.requests.at(-1)!.token, "Bearer dummy");
  });
});

describe("a connection that breaks off", () => {
  test("is made again from where it broke", async () => {
    hub.breakAfter = 20_000;
    const folder = await obtainModel(model("someone/single"), options());
    assert.deepEqual(
      readFileSync(join(folder, "model.safetensors")),
      readFileSync(golden("models", "qwen2", "model.safetensors")),
    );
    const ranges = hub.requests.filter(({ path }) => path.endsWith("model.safetensors")).map(({ range }) => range);
    // An answer may break before any of it has come.
    const asked = [...new Set(ranges)];
    const expected = [20, 40, 60, 80, 100, 120].map((thousand) => `bytes=${thousand}000-`);
    assert.deepEqual(asked, [undefined, ...expected]);
  });

  test("for good, leaves what came, and the next try goes on from there", async () => {
    let left = 3;
    hub.breakAfter = 20_000;
    hub.misbehave = (request, response) => {
      if (!request.url!.endsWith("model.safetensors") || left-- > 0) return false;
      response.destroy();
      return true;
    };
    await refused(
      obtainModel(model("someone/single"), options()),
      /broke .* at byte 60000 of 126656/,
      /goes on from there/,
    );
    hub.misbehave = () => false;
    hub.breakAfter = null;
    hub.requests.length = 0;
    await obtainModel(model("someone/single"), options());
    assert.deepEqual(
      hub.requests.filter(({ path }) => path.endsWith("model.safetensors")).map(({ range }) => range),
      ["bytes=60000-"],
    );
  });

  test("and a server that then gives the whole file again", async () => {
    hub.breakAfter = 20_000;
    hub.misbehave = (request, response) => {
      if (!request.headers.range) return false;
      response.writeHead(200).end(readFileSync(golden("models", "qwen2", "model.safetensors")));
      return true;
    };
    const folder = await obtainModel(model("someone/single"), options());
    assert.deepEqual(
      readFileSync(join(folder, "model.safetensors")),
      readFileSync(golden("models", "qwen2", "model.safetensors")),
    );
  });
});

describe("a list that is none", () => {
  const answers: [string, (response: ServerResponse) => void, RegExp][] = [
    [
      "breaks off",
      (response) => {
        response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 1000 });
        response.write('[{"type":', () => response.destroy());
      },
      /no way to http:\/\/127\.0\.0\.1:\d+ \(/,
    ],
    [
      "is the page of a network to log in to",
      (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>log in</html>"),
      /\(an answer that is no list of files: .*JSON/,
    ],
    ["is JSON of another kind", (response) => response.end("null"), /\(an answer that is no list of files: /],
  ];
  for (const part of ["/revision/", "/tree/"])
    for (const [what, answer, message] of answers)
      test(`the answer to ${part} ${what}`, async () => {
        hub.misbehave = ({ url }, response) => {
          if (!url!.includes(part)) return false;
          answer(response);
          return true;
        };
        const folder = /models--someone--single\/snapshots/;
        await refused(obtainModel(model("someone/single"), options()), message, folder);
        await refused(modelDownloadSize(model("someone/single"), options()), message);
      });

  test("never comes: offline is said long before a transfer would be given up", { timeout: 60_000 }, async () => {
    hub.misbehave = () => true;
    await refused(obtainModel(model("someone/single"), options({ contact: 100, silence: 600_000 })), /no answer/);
  });

  test("comes at once, and a file's long after: a host may take its time to begin one", async () => {
    const contact = 20;
    let listed = false;
    hub.misbehave = ({ url }, response) => {
      listed ||= url!.includes("/tree/");
      if (!url!.endsWith("/model.safetensors")) return false;
      // Both timers are this process's: what gives up after `contact` does so first.
      setTimeout(() => response.end(readFileSync(golden("models", "qwen2", "model.safetensors"))), 10 * contact);
      return true;
    };
    const asked = options({ silence: 600_000 });
    Object.defineProperty(asked, "contact", { get: () => (listed ? contact : 600_000) });
    const folder = await obtainModel(model("someone/single"), asked);
    assert.ok(existsSync(join(folder, "model.safetensors")));
    const files = hub.requests.filter(({ path }) => path.endsWith("/model.safetensors"));
    assert.equal(files.length, 1, "asked once");
  });

  test("stops in the middle, for good", async () => {
    hub.misbehave = (_, response) => {
      response.write("[");
      return true;
    };
    await refused(obtainModel(model("someone/single"), options({ silence: 2000 })), /nothing more came/);
  });
});

describe("a part of a file that the hub has no rest of", () => {
  /** Breaks off once in the middle of the weights, and then has nothing from there on. */
  const begun = (always: boolean) => {
    hub.breakAfter = 20_000;
    hub.misbehave = ({ headers }, response) => {
      if (headers.range === undefined) return false;
      if (!always) hub.breakAfter = null;
      response.writeHead(416).end();
      return true;
    };
  };
  test("is fetched anew", async () => {
    begun(false);
    const folder = await obtainModel(model("someone/single"), options());
    assert.deepEqual(
      readFileSync(join(folder, "model.safetensors")),
      readFileSync(golden("models", "qwen2", "model.safetensors")),
    );
  });
  test("is fetched anew once", async () => {
    begun(true);
    await refused(obtainModel(model("someone/single"), options()), /model\.safetensors: found no such bytes/);
  });
});

describe("a hub that lies", () => {
  test("a file longer than listed", async () => {
    hub.sizes.set("model.safetensors", 100_000);
    await refused(obtainModel(model("someone/single"), options()), /more than the 100000 bytes/);
    assert.equal(cachedModel(model("someone/single"), options()), null);
  });

  test("a file shorter than listed", async () => {
    hub.sizes.set("model.safetensors", 200_000);
    await refused(obtainModel(model("someone/single"), options()), /at byte 126656 of 200000/);
    assert.equal(cachedModel(model("someone/single"), options()), null);
  });

  test("other contents of the same size are thrown away", async () => {
    hub.misbehave = (request, response) => {
      if (!request.url!.endsWith("model.safetensors")) return false;
      response.writeHead(200).end(Buffer.alloc(126_656));
      return true;
    };
    await refused(obtainModel(model("someone/single"), options()), /other contents than the hub promised/);
    assert.ok(!blobs().some((name) => name.endsWith(".incomplete")));
    hub.misbehave = () => false;
    await obtainModel(model("someone/single"), options());
  });

  test("other contents of a small file too", async () => {
    hub.misbehave = (request, response) => {
      if (!request.url!.endsWith("tokenizer_config.json")) return false;
      response
        .writeHead(200)
        .end(Buffer.alloc(readFileSync(golden("models", "qwen2", "tokenizer_config.json")).length));
      return true;
    };
    await refused(obtainModel(model("someone/single"), options()), /tokenizer_config\.json: found other contents/);
  });

  test("file names that lead out of the cache", async () => {
    for (const name of ["../evil.json", "/etc/evil", "a/../../evil", "a\\..\\evil", ".."]) {
      put(hub, "someone/evil", { ...folderFiles(golden("models", "qwen2")), [name]: "x" });
      await refused(obtainModel(model("someone/evil"), options()), /a file name that leads elsewhere/);
    }
  });

  test("a commit and checksums that are none", async () => {
    const reply = (part: string, body: unknown) => {
      hub.misbehave = (request, response) => {
        if (!request.url!.includes(part)) return false;
        response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
        return true;
      };
    };
    reply("/revision/", { id: "a", sha: "../../x" });
    await refused(obtainModel(model("someone/single"), options()), /the commit/);
    reply("/tree/", [{ type: "file", path: "config.json", size: 3, oid: "../../../x" }]);
    await refused(obtainModel(model("someone/single"), options()), /the checksum/);
  });
});

describe("a hub that refuses", () => {
  const statuses: [number, Record<string, string>, RegExp][] = [
    [401, {}, /no repository of this name that everyone may read/],
    [403, { "X-Error-Code": "GatedRepo" }, /its terms accepted on http/],
    [404, { "X-Error-Code": "RepoNotFound" }, /no such repository/],
    [404, { "X-Error-Code": "RevisionNotFound" }, /no such revision/],
  ];
  test("a file that it keeps back: the repository's own page is named, a data set's too", async () => {
    put(hub, "datasets/someone/kept-back", { "train.jsonl": '{"text":"a"}\n' });
    const cases: [number, string, string, RegExp][] = [
      [403, "GatedRepo", "its terms accepted on PAGE, and", /a repository that your token may not read/],
      [404, "EntryNotFound", "a file that PAGE lists$", /no such file/],
    ];
    for (const [status, code, words, found] of cases) {
      hub.misbehave = ({ url }, response) => {
        if (!url!.includes("/resolve/")) return false;
        response.writeHead(status, { "X-Error-Code": code }).end();
        return true;
      };
      const onPage = (page: string) => new RegExp(words.replace("PAGE", `${hub.url}/${page}`));
      await refused(obtainModel(model("someone/single"), options()), found, onPage("someone/single"));
      const set = obtainDataset(dataset("someone/kept-back"), options());
      await refused(set, /^someone\/kept-back\/train\.jsonl: /, found, onPage("datasets/someone/kept-back"));
    }
  });

  for (const [status, headers, message] of statuses)
    test(`${status} ${headers["X-Error-Code"] ?? ""}`, async () => {
      hub.misbehave = (_, response) => {
        response.writeHead(status, headers).end();
        return true;
      };
      await refused(
        obtainModel(model("someone/single"), options()),
        /^someone\/single: /,
        message,
        new RegExp(`status ${status}`),
      );
      assert.equal(hub.requests.length, 1, "asked once");
      assert.ok(!existsSync(cacheFolder), "nothing written");
    });

  test("429 is waited for as long as the hub asks, a few times", async () => {
    let busy = 2;
    hub.misbehave = (_, response) => {
      if (busy-- <= 0) return false;
      response.writeHead(429, { "Retry-After": "7" }).end();
      return true;
    };
    await obtainModel(model("someone/single"), options());
    assert.deepEqual(waits, [7000, 7000]);
    busy = 1000;
    await refused(
      obtainModel(model("someone/sharded"), options()),
      /too many requests.*a try again in a minute, as the hub asks/,
    );
    assert.deepEqual(waits.slice(2), [7000, 7000, 7000, 7000]);
    busy = 1000;
    hub.misbehave = (_, response) => {
      response.writeHead(429, { "Retry-After": "86400" }).end();
      return true;
    };
    waits = [];
    await refused(
      obtainModel(model("someone/sharded"), options()),
      /too many requests.*a try again in 24 hours, as the hub asks/,
    );
    assert.deepEqual(waits, [], "a day is not waited");
  });

  test("503 is tried again", async () => {
    let broken = 1;
    hub.misbehave = (_, response) => {
      if (broken-- <= 0) return false;
      response.writeHead(503).end();
      return true;
    };
    await obtainModel(model("someone/single"), options());
    assert.deepEqual(waits, [1000]);
    broken = 1000;
    const message = /a failure of the hub .*a try again later, which goes on from what has come$/;
    await refused(obtainModel(model("someone/sharded"), options()), message);
  });

  test("weights of another kind alone", () =>
    refused(
      obtainModel(model("someone/old"), options()),
      /no weights as \.safetensors or \.onnx among .*pytorch_model\.bin/,
    ));

  test("an address without its scheme", () =>
    refused(
      obtainModel(model("someone/single"), options({ endpoint: "hf.example" })),
      /^HF_ENDPOINT: .*"hf\.example"/,
    ));

  test("no network: said at once, with the folder for files", async () => {
    const offline = obtainModel(model("someone/single"), options({ endpoint: "http://127.0.0.1:1" }));
    await refused(
      offline,
      /no way to http:\/\/127\.0\.0\.1:1/,
      /config\.json, tokenizer\.json, model\.safetensors/,
      /models--someone--single/,
    );
    assert.deepEqual(waits, []);
  });

  test("a stop in the middle keeps what came", async () => {
    const stop = new AbortController();
    const onProgress = (done: number) => done > 50_000 && stop.abort();
    await assert.rejects(obtainModel(model("someone/single"), options({ signal: stop.signal, onProgress })), {
      name: "AbortError",
    });
    assert.ok(blobs().some((name) => name.endsWith(".incomplete")));
  });
});

describe("a data set by its name", () => {
  const parquet = readFileSync(golden("data", "string-none.parquet"));
  put(hub, "datasets/someone/texts", {
    "data/train-00000-of-00002.parquet": parquet,
    "data/train-00001-of-00002.parquet": parquet,
    "data/test-00000-of-00001.parquet": parquet,
    "README.md": "x",
  });
  put(hub, "datasets/someone/converted", { "texts.py": "x" });
  put(
    hub,
    "datasets/someone/converted",
    { "default/train/0000.parquet": parquet, "default/test/0000.parquet": parquet },
    "refs/convert/parquet",
  );
  put(hub, "datasets/someone/several", { "en/train/0000.parquet": parquet, "de/train/0000.parquet": parquet });
  put(hub, "datasets/someone/lines", { "train.jsonl": '{"text":"a"}\n', "test.jsonl": '{"text":"b"}\n' });
  put(hub, "datasets/someone/nothing", { "a.bin": "x" });

  test("the training part's shards, one at a time as they are read", async () => {
    const list = await obtainDataset(dataset("someone/texts"), options());
    assert.deepEqual(downloads(), ["train-00000-of-00002.parquet"], "the second comes when it is read");
    const paths: string[] = [];
    for await (const path of datasetFiles(list, options())) paths.push(path);
    assert.deepEqual(
      paths.map((path) => path.split("/").at(-1)),
      ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
    );
    for (const path of paths) assert.deepEqual(readFileSync(path), parquet);
    const before = hub.requests.length;
    assert.equal(await obtainDataset(dataset("someone/texts"), options()), list);
    assert.equal(hub.requests.length, before, "the second time asks nobody");
  });

  test("from the branch that the hub converts to, a folder, or lines of JSON", async () => {
    const files = async (name: string) => {
      const paths: string[] = [];
      for await (const path of datasetFiles(await obtainDataset(dataset(name), options()), options()))
        paths.push(path.split("/").slice(-3).join("/"));
      return paths;
    };
    assert.deepEqual(await files("someone/converted"), ["default/train/0000.parquet"]);
    assert.deepEqual(await files("someone/several/de"), ["de/train/0000.parquet"]);
    assert.match((await files("someone/texts/test")).join(), /data\/test-00000-of-00001\.parquet$/);
    assert.deepEqual(await files("someone/converted/test"), ["default/test/0000.parquet"]);
    assert.deepEqual(
      (await files("someone/lines/test")).map((path) => path.split("/").at(-1)),
      ["test.jsonl"],
    );
    assert.deepEqual(
      (await files("someone/lines")).map((path) => path.split("/").at(-1)),
      ["train.jsonl"],
    );
  });

  /** As Python's library lays it out: blobs by checksum, a snapshot of links, the branch's commit. */
  function inCache(name: string, files: Record<string, string | Buffer>, revision = "main"): string {
    const repository = join(cacheFolder, `datasets--someone--${name}`);
    const snapshot = join(repository, "snapshots", COMMIT);
    const ref = join(repository, "refs", revision);
    mkdirSync(join(repository, "blobs"), { recursive: true });
    mkdirSync(join(ref, ".."), { recursive: true });
    writeFileSync(ref, COMMIT);
    for (const [path, data] of Object.entries(files)) {
      const checksum = createHash("sha256").update(data).digest("hex");
      writeFileSync(join(repository, "blobs", checksum), data);
      mkdirSync(join(snapshot, path, ".."), { recursive: true });
      const up = path.split("/").map(() => "..");
      symlinkSync(join("..", ...up, "blobs", checksum), join(snapshot, path));
    }
    return snapshot;
  }

  test("straight from the cache that Python's library made, with HF_HUB_OFFLINE or no network", async () => {
    const [first, second] = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"] as const;
    const snapshot = inCache("texts", { [first]: parquet, [second]: parquet, "README.md": "x" });
    process.env["HF_HUB_OFFLINE"] = "1";
    try {
      const list = await obtainDataset(dataset("someone/texts"), options());
      const paths: string[] = [];
      for await (const path of datasetFiles(list, options())) paths.push(path);
      assert.deepEqual(paths, [join(snapshot, first), join(snapshot, second)]);
      assert.deepEqual(readFileSync(paths[1]!), parquet);
      inCache("converted", { "default/train/0000.parquet": parquet }, "refs/convert/parquet");
      inCache("converted", { "README.md": "x" });
      assert.ok(existsSync(await obtainDataset(dataset("someone/converted"), options())));
      inCache("partly", { [second]: parquet });
      await refused(
        obtainDataset(dataset("someone/partly"), options()),
        /train-00000-of-00002\.parquet: found no such/,
      );
      await refused(
        obtainDataset(dataset("someone/nowhere"), options()),
        /HF_HUB_OFFLINE set/,
        /one of the files \(its \.parquet, \.jsonl or \.csv files\) that the experiment names by its path/,
        /datasets--someone--nowhere\/snapshots\/COMMIT, with the commit in .*refs\/main/,
      );
      assert.deepEqual(hub.requests, []);
    } finally {
      delete process.env["HF_HUB_OFFLINE"];
    }
    inCache("lines", { "train.jsonl": '{"text":"a"}\n' });
    const gone = options({ endpoint: "http://127.0.0.1:1" });
    assert.ok(existsSync(await obtainDataset(dataset("someone/lines"), gone)));
  });

  test("from the cache too where the list breaks off", async () => {
    inCache("lines", { "train.jsonl": '{"text":"a"}\n' });
    hub.misbehave = (_, response) => {
      response.writeHead(200, { "Content-Length": 1000 });
      response.write("[", () => response.destroy());
      return true;
    };
    assert.ok(existsSync(await obtainDataset(dataset("someone/lines"), options())));
    assert.deepEqual(downloads(), []);
  });

  test("the network gone in the middle of it: said at once, with the folder for the file", async () => {
    const first = "data/train-00000-of-00002.jsonl";
    put(hub, "datasets/someone/two", {
      [first]: '{"text":"a"}\n',
      [first.replace("-00000-", "-00001-")]: '{"text":"b"}\n',
    });
    const list = await obtainDataset(dataset("someone/two"), options());
    const read = async () => {
      for await (const path of datasetFiles(list, options({ endpoint: await closedPort() })))
        assert.ok(existsSync(path));
    };
    await refused(
      read(),
      /no way to http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)/,
      /data\/train-00001-of-00002\.jsonl/,
      /datasets--someone--two\/snapshots/,
    );
    assert.deepEqual(waits, []);
  });

  test("a part of it in the cache is no list while the hub can be asked", async () => {
    inCache("texts", { "data/train-00000-of-00002.parquet": parquet });
    const list = await obtainDataset(dataset("someone/texts"), options());
    assert.deepEqual(downloads(), [], "what is there is not fetched again");
    const paths: string[] = [];
    for await (const path of datasetFiles(list, options())) paths.push(path);
    assert.equal(paths.length, 2);
  });

  test("a set that the hub has converted only the beginning of", async () => {
    put(hub, "datasets/someone/large", { "texts.py": "x" });
    const files = {
      "default/partial-train/0001.parquet": parquet,
      "default/partial-train/0000.parquet": parquet,
      "default/partial-test/0000.parquet": parquet,
    };
    put(hub, "datasets/someone/large", files, "refs/convert/parquet");
    const read = async (name: string) => {
      const paths: string[] = [];
      for await (const path of datasetFiles(await obtainDataset(dataset(name), options()), options()))
        paths.push(path.split("/").slice(-3).join("/"));
      return paths;
    };
    assert.deepEqual(await read("someone/large"), [
      "default/partial-train/0000.parquet",
      "default/partial-train/0001.parquet",
    ]);
    assert.deepEqual(await read("someone/large/test"), ["default/partial-test/0000.parquet"]);
  });

  test("a shard that breaks off in the middle goes on from there, in a later process too", async () => {
    const shard = Buffer.concat([parquet, Buffer.alloc(60_000, "x")]);
    put(hub, "datasets/someone/long", { "data/train-00000-of-00001.parquet": shard });
    let left = 2;
    hub.breakAfter = 20_000;
    hub.misbehave = (request, response) => {
      if (!request.url!.endsWith(".parquet") || left-- > 0) return false;
      response.destroy();
      return true;
    };
    await refused(obtainDataset(dataset("someone/long"), options()), /broke .* at byte 40000 of/, /goes on from there/);
    assert.ok(!existsSync(join(cacheFolder, "lists")), "a data set that can't be read has no list");
    hub.misbehave = () => false;
    hub.breakAfter = null;
    hub.requests.length = 0;
    const list = await obtainDataset(dataset("someone/long"), options());
    assert.deepEqual(
      hub.requests.filter(({ path }) => path.endsWith(".parquet")).map(({ range }) => range),
      ["bytes=40000-"],
    );
    for await (const path of datasetFiles(list, options())) assert.deepEqual(readFileSync(path), shard);
  });

  test("what can't be told apart or read is refused", async () => {
    await refused(
      obtainDataset(dataset("someone/several"), options()),
      /2 sets in one: de\/?, en/,
      /someone\/several\/de/,
    );
    await refused(obtainDataset(dataset("someone/texts/validation"), options()), /no such file among/);
    await refused(obtainDataset(dataset("someone/nothing"), options()), /no such file among a\.bin/);
    await refused(obtainDataset(dataset("someone/nowhere"), options()), /no such repository/);
  });
});

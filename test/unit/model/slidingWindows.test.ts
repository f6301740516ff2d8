// How far back each layer sees where a configuration doesn't say it or says "none", as MistralConfig, Qwen2Config and Qwen3Config of transformers 5.23 complete it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoderInputs } from "../../../src/model/decoderGraphs.ts";
import { GraphBuilder } from "../../../src/model/graphBuilder.ts";
import { openWeights, readConfig } from "../../../src/model/huggingFaceFolder.ts";
import { llamaFamily } from "../../../src/model/llama.ts";
import { qwenFamily } from "../../../src/model/qwen.ts";
import { golden } from "../fixtures.ts";

class WindowsOfGraph extends GraphBuilder {
  readonly windows: number[] = [];

  override operator(...[type, inputs, outputs, attributes]: Parameters<GraphBuilder["operator"]>): string[] {
    const window = attributes?.["local_window_size"];
    if (window && "int" in window) this.windows.push(Number(window.int));
    return super.operator(type, inputs, outputs, attributes);
  }
}

const families = { mistral: llamaFamily, llama: llamaFamily, qwen2: qwenFamily, qwen3: qwenFamily };
const used = { use_sliding_window: true, max_window_layers: 1 };

/** −1: everything. */
const cases: readonly [keyof typeof families, Record<string, unknown>, number[]][] = [
  ["mistral", { sliding_window: undefined }, [4096, 4096, 4096]],
  ["mistral", { sliding_window: null }, [-1, -1, -1]],
  ["mistral", { sliding_window: 7 }, [7, 7, 7]],
  ["llama", { sliding_window: 7 }, [-1, -1, -1]],
  ["qwen2", { ...used, sliding_window: undefined }, [-1, 4096, 4096]],
  ["qwen2", { ...used, sliding_window: null }, [-1, -1, -1]],
  ["qwen2", { ...used, use_sliding_window: false, sliding_window: 7 }, [-1, -1, -1]],
  ["qwen3", { ...used, sliding_window: null }, [-1, -1, -1]],
  ["qwen3", { ...used, sliding_window: 7 }, [-1, 7, 7]],
];

for (const [name, fields, windows] of cases)
  test(`${name} with ${JSON.stringify(fields)}`, async () => {
    const { path, config } = await readConfig(golden("models", name));
    const checkpoint = await openWeights(golden("models", name));
    const decoder = await families[name].open({ ...config, ...fields }, { path }, checkpoint);
    const graph = new WindowsOfGraph(checkpoint);
    decoder.logits(graph, decoderInputs(graph, decoder), (_, value) => value);
    assert.deepEqual(graph.windows, windows.slice(0, decoder.info.nLayers));
  });

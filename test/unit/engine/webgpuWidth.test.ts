// The WebGPU engine laid out as every real GPU gets it, 128 threads a workgroup; software is given 32 otherwise.
import { after, before, describe, test } from "node:test";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { WIDTH } from "../../../src/engine/webgpu/layouts.ts";
import { createWebgpuEngine, type WebgpuEngine } from "../../../src/engine/webgpu/webgpuEngine.ts";
import { compareWithReference } from "./againstReference.ts";
import { compareEncoding } from "./encoding.ts";
import { ensembleOf, randomSae, randomShapes, type Shape } from "./randomCases.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();

describe(`the webgpu engine with ${WIDTH} threads a workgroup`, { skip: missing }, () => {
  let engine: WebgpuEngine;
  before(async () => {
    engine = await createWebgpuEngine({
      software: true,
      environment: softwareGpuEnvironment,
      patience: 900_000,
      width: WIDTH,
    });
  });
  after(async () => {
    await engine.close();
  });

  const wide: Shape = {
    what: "topk: more than one vec4 of a row a thread, more latents than are listed together",
    architecture: "topk",
    d: 4 * WIDTH + 3,
    F: 8 * WIDTH + 30,
    k: 5,
    rows: 9,
    members: 1,
    window: 0,
    steps: 2,
  };
  const small = randomShapes.filter(({ what }) => /d 13, F 50/.test(what));
  const blocks = randomShapes
    .filter(({ what }) => /^(standard|batchtopk): several blocks/.test(what))
    .map((shape) => ({ ...shape, rows: 40 }));
  for (const shape of [...small, ...blocks, wide]) {
    test(shape.what, async () => {
      const tolerance = { loss: 1e-4, parameter: 2e-3 };
      await compareWithReference(engine, createReferenceEngine(), { ...shape, steps: 2 }, tolerance);
    });
  }
  test("encoding along a chain of every architecture", async () => {
    const members = [
      randomSae({ architecture: "topk", rescale_acts_by_decoder_norm: true }, 1),
      randomSae({ architecture: "standard", normalize_activations: "constant_norm_rescale" }, 2),
      randomSae({ architecture: "jumprelu", normalize_activations: "layer_norm" }, 3),
      randomSae({ architecture: "gated" }, 4),
    ];
    await compareEncoding(engine, ensembleOf("boosting", members), 1e-4);
  });
});

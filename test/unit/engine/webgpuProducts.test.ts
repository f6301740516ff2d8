// Every way in which the WebGPU engine can compute its product and its sums, as far as the software GPU at hand has what it needs: the same numbers, and none that differs is used.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import type { StepReport } from "../../../src/engine/engine.ts";
import { copyMemberState } from "../../../src/engine/memberState.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import type { Gpu } from "../../../src/engine/webgpu/gpu.ts";
import { plainLayout } from "../../../src/engine/webgpu/layouts.ts";
import type { MemberPass } from "../../../src/engine/webgpu/memberPass.ts";
import { provesItself } from "../../../src/engine/webgpu/productCheck.ts";
import { isExact, nameOf, PLAIN, productsFor } from "../../../src/engine/webgpu/products.ts";
import {
  createWebgpuEngine,
  type WebgpuEngineOptions,
  webgpuAdapters,
} from "../../../src/engine/webgpu/webgpuEngine.ts";
import { assertRelative } from "./closeness.ts";
import { architectures, ensembleOf, randomSae, type Shape, setUp, stepInput } from "./randomCases.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();
const adapters = missing ? [] : await webgpuAdapters({ environment: softwareGpuEnvironment });
const adapter = adapters.find(({ software }) => software);

/** Several tiles in every direction, none of them whole; two members, one behind the other. */
const shape: Shape = { what: "", architecture: "topk", d: 37, F: 83, k: 5, rows: 70, members: 2, window: 1 };
const STEPS = 3;

async function train(
  options: WebgpuEngineOptions,
  own: Shape = shape,
): Promise<{ reports: StepReport[]; warnings: string[] }> {
  const warnings: string[] = [];
  const engine = await createWebgpuEngine({
    software: true,
    environment: softwareGpuEnvironment,
    patience: 900_000,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  try {
    const { config, states, batch } = setUp(own);
    const trainer = await engine.createTrainer(config, states.map(copyMemberState));
    const reports: StepReport[] = [];
    for (let s = 0; s < STEPS; s++) reports.push(...(await trainer.step(batch(s), own.rows, stepInput(s))));
    await trainer.close();
    return { reports, warnings };
  } finally {
    await engine.close();
  }
}

async function reference(): Promise<StepReport[]> {
  const { config, states, batch } = setUp(shape);
  const trainer = await createReferenceEngine().createTrainer(config, states);
  const reports: StepReport[] = [];
  for (let s = 0; s < STEPS; s++) reports.push(...(await trainer.step(batch(s), shape.rows, stepInput(s))));
  return reports;
}

describe("products of the webgpu engine", { skip: missing }, () => {
  test("which of them this software GPU can run", (t) => {
    assert.ok(adapter);
    const has = (feature: string) => adapter.features.includes(feature);
    t.diagnostic(`${adapter.name}: ${productsFor(adapter, true).map(nameOf).join("; ")}`);
    if (!has("shader-f16")) t.diagnostic("not run here, since it has no shader-f16: float16 operands");
    if (adapter.matrices.length === 0)
      t.diagnostic("not run here, since it has none: matrix units (scripts/lavapipe.sh has)");
    if (!adapter.subgroups) t.diagnostic("not run here: sums by subgroups");
  });

  test("sums go by subgroups where the adapter has them: the software GPUs' threads follow each other", async () => {
    const engine = await createWebgpuEngine({ software: true, environment: softwareGpuEnvironment, patience: 900_000 });
    await engine.close();
    assert.equal(engine.adapter.subgroups, adapter!.features.includes("subgroups"));
  });

  for (const autocast of [false, true]) {
    for (const product of adapter ? productsFor(adapter, autocast) : []) {
      if (autocast && isExact(product)) continue;
      test(`${nameOf(product)}${autocast ? ", with autocast" : ""}: losses are the reference's`, async () => {
        const { reports, warnings } = await train({ product: nameOf(product), autocast });
        // Rounding operands to 11 bits moves a loss of a batch far less than by that much.
        const tolerance = isExact(product) ? 1e-5 : 2e-3;
        for (const [at, expected] of (await reference()).entries())
          assertRelative(reports[at]!.loss, expected.loss, tolerance, `loss ${at}`);
        assert.deepEqual(warnings, []);
      });
    }
  }

  for (const architecture of architectures) {
    test(`${architecture}: sums with and without subgroups are the same`, async (t) => {
      if (!adapter?.subgroups) return t.diagnostic("this adapter has no subgroups");
      const own: Shape = { ...shape, architecture, window: 0 };
      const [by, without] = [await train({ subgroups: true }, own), await train({ subgroups: false }, own)];
      for (const [at, { loss, l0, grad_norm, n_dead }] of without.reports.entries()) {
        const found = by.reports[at]!;
        assertRelative(found.loss, loss, 1e-5, `loss ${at}`);
        assertRelative(found.grad_norm, grad_norm, 1e-4, `gradient norm ${at}`);
        assert.deepEqual([found.l0, found.n_dead], [l0, n_dead]);
      }
    });
  }

  test("an encoder's product proves itself once, on a batch of enough rows, and not again for other numbers of rows", async () => {
    const other = productsFor(adapter!, false).find((one) => nameOf(one) !== nameOf(plainLayout(adapter!).product))!;
    const options = { software: true, environment: softwareGpuEnvironment, patience: 900_000, product: nameOf(other) };
    const engine = await createWebgpuEngine(options);
    const encoder = await engine.createEncoder(ensembleOf("single", [randomSae({ architecture: "topk" }, 1)]));
    const readsOf = async (rows: number) => {
      const before = await engine.counts();
      await encoder.encode(new Float32Array(rows * 14).fill(0.5), rows);
      return (await engine.counts()).reads - before.reads;
    };
    // Two of the batch, and two of the products that are compared.
    assert.ok((await readsOf(5)) >= 4);
    assert.equal(await readsOf(9), 2, "there is room for 64");
    assert.ok((await readsOf(130)) >= 4, "five rows don't prove much");
    assert.equal(await readsOf(600), 2);
    await encoder.close();
    await engine.close();
  });

  test("the quickest product of an adapter and shape is kept in a file, and one that is to be avoided isn't tried", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sae-products-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const tuningFile = join(folder, "deep", "products.json");
    await train({ tuningFile, tunesSoftware: true });
    const kept = JSON.parse(readFileSync(tuningFile, "utf8")) as {
      products: Record<string, string>;
      times: Record<string, number>;
      avoided: Record<string, string[]>;
      unended: Record<string, Record<string, number>>;
    };
    const [shapeKey] = Object.keys(kept.products);
    const names = productsFor(adapter!, false).map(nameOf);
    assert.ok(names.includes(kept.products[shapeKey!]!), JSON.stringify(kept));
    assert.ok(kept.times[shapeKey!]! > 0, "milliseconds a row");
    assert.deepEqual(Object.values(kept.avoided).flat(), []);
    assert.deepEqual(kept.unended[adapter!.key], {}, "a trial that ended leaves no mark");
    // All but the plain one failed before, says the file: none of them is tried, and the plain one is found again.
    const others = { products: {}, avoided: { [adapter!.key]: names.slice(1) } };
    writeFileSync(tuningFile, JSON.stringify(others));
    await train({ tuningFile, tunesSoftware: true });
    const again = JSON.parse(readFileSync(tuningFile, "utf8")) as typeof kept;
    assert.equal(again.products[shapeKey!], names[0]);
    assert.deepEqual(again.avoided, others.avoided);
    // What is no such file is made anew.
    writeFileSync(tuningFile, "[");
    await train({ tuningFile, tunesSoftware: true });
    assert.ok(JSON.parse(readFileSync(tuningFile, "utf8")));
  });
});

test("a product whose numbers differ on the first batch is refused with a warning and not given again (device made up)", async () => {
  const expected = Float32Array.of(1, 2, 3, 4);
  const product = { ...PLAIN, rows: 8 };
  const layout = { ...plainLayout({ software: false, subgroups: false } as never), product };
  const reach = Uint32Array.of(1, 0, 0, 7);
  for (const [found, reached, wrong] of [
    [[1, 2, 3, 4], [1, 0, 0, 9], null],
    [[1, 2, 3, 4.001], reach, /differs from the plain kernel's by/],
    [[1, 2, 3, Number.NaN], reach, /differs from the plain kernel's by/],
    [[1, 2, 3, 4], [1, 0, 0, 0], /says of other groups of latents than the plain kernel that they are active/],
  ] as const) {
    const isRight = wrong === null;
    const read = { pre: [Float32Array.from(found), expected], reach: [Uint32Array.from(reached), reach] };
    const gpu = {
      write: () => {},
      submit: () => {},
      readBuffer: async (which: "pre" | "reach") => read[which].shift()!.buffer,
      warnings: [] as string[],
    };
    const pass = {
      prepare: () => {},
      products: () => ({ centre: [], own: [], plain: [] }),
      productBytes: 16,
      reachBytes: 16,
    };
    const avoided: string[] = [];
    const layouts = {
      for: async () => layout,
      avoid: async (one: typeof product) => void avoided.push(nameOf(one)),
    };
    const proven = await provesItself(
      gpu as unknown as Gpu,
      layouts as never,
      layout,
      pass as unknown as MemberPass,
      { pre: "pre", reach: "reach" } as never,
      new Float32Array(0),
    );
    assert.equal(proven, isRight);
    assert.deepEqual(avoided, isRight ? [] : [nameOf(product)]);
    if (isRight) assert.deepEqual(gpu.warnings, []);
    else {
      assert.match(gpu.warnings[0]!, wrong);
      assert.match(gpu.warnings[0]!, /the GPU's product by tile 128x64 depth 16 .*: the plain kernel is used$/);
    }
  }
});

test("the last rows of the last member are looked at as well as the first of the first (device made up)", async () => {
  const product = { ...PLAIN, rows: 8 };
  const layout = { ...plainLayout({ software: false, subgroups: false } as never), product };
  const productBytes = 2 ** 24;
  for (const wrongAt of [0, productBytes / 4 - 1]) {
    let isOwn = false;
    const gpu = {
      write: () => {},
      submit: ([which]: string[]) => {
        isOwn = which === "own";
      },
      readBuffer: async (_: unknown, offset: number, bytes: number) => {
        const values = new Float32Array(bytes / 4).fill(1);
        const at = wrongAt - offset / 4;
        if (isOwn && at >= 0 && at < values.length) values[at] = 100;
        return values.buffer;
      },
      warnings: [] as string[],
    };
    const pass = {
      prepare: () => {},
      products: () => ({ centre: [], own: ["own"], plain: ["plain"] }),
      productBytes,
      reachBytes: 16,
    };
    const layouts = { for: async () => layout, avoid: async () => {} };
    const given = [gpu as unknown as Gpu, layouts as never, layout, pass as unknown as MemberPass, {}] as const;
    assert.equal(await provesItself(...given, new Float32Array(0)), false, `wrong at ${wrongAt}`);
  }
});

test("what float16 doesn't hold is not given to products that go through it, by what is multiplied: centred activations and weights (device made up)", async () => {
  const product = { ...PLAIN, half: true };
  const layout = { ...plainLayout({ software: false, subgroups: false } as never), product };
  const good = [1, -2, 3, 0];
  for (const [activations, weights, refused] of [
    [good, [0.1, -0.2, 0.1, 0], undefined],
    [[1, -20_000, 3, 0], good, "activations"],
    [[1e-5, 1e-6, 0, 0], good, "activations"],
    [good, [1e-5, 1e-6, 0, 0], "encoder weights"],
  ] as const) {
    const gpu = {
      write: () => {},
      submit: () => {},
      readBuffer: async (buffer: unknown) => Float32Array.from((buffer as readonly number[]) ?? good).buffer,
      warnings: [] as string[],
    };
    const pass = {
      prepare: () => {},
      products: () => ({ centre: [], own: [], plain: [] }),
      productBytes: 16,
      centred: { buffer: activations, offset: 0, bytes: 16 },
      encoder: { buffer: weights, offset: 0, bytes: 16 },
    };
    const layouts = { for: async () => layout, avoid: async () => {} };
    const given = [gpu as unknown as Gpu, layouts as never, layout, pass as unknown as MemberPass, {}] as const;
    // The batch itself is within float16's range: b_dec is not in it.
    assert.equal(await provesItself(...given, Float32Array.of(1, 2, 3, 4)), refused === undefined);
    if (refused)
      assert.match(
        gpu.warnings[0]!,
        new RegExp(`float16 is not for ${refused} of mean magnitude .* up to .*: the plain kernel is used`),
      );
  }
});

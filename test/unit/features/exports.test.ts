// A feature index as Parquet and as Neuronpedia's JSON: read back, every number is the index's own.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { buildFeatureIndex } from "../../../src/features/buildFeatureIndex.ts";
import { writeNeuronpediaBatches } from "../../../src/features/exports/neuronpedia.ts";
import { writeIndexParquet } from "../../../src/features/exports/parquet.ts";
import type { FeatureIndex } from "../../../src/features/featureIndex.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { temporaryFolder } from "../fixtures.ts";
import { makeEncoder, makeEnsemble, makeRows, model, streamed } from "./tinyWorld.ts";

const folder = temporaryFolder();
const ensemble = makeEnsemble();
await buildFeatureIndex({
  path: join(folder, "index.sqlite"),
  ensemble,
  encoder: makeEncoder(ensemble),
  model,
  rows: streamed(makeRows(14, 9)),
  source: { dataset_path: "texts.txt" },
  options: { topSequences: 2, bands: 2, sequencesPerBand: 1, sampledSequences: 3, tokensPerFeature: 4 },
});
const index = openFeatureIndex(join(folder, "index.sqlite"));
after(() => index.close());
index.setAnnotations(new Map([[3, { flagged: true, label: "women" }]]));
const all = Array.from({ length: index.info.features }, (_, id) => index.detail(id));

test("Parquet: a row a feature and a row a stored sequence", async () => {
  const counts = await writeIndexParquet(index, join(folder, "parquet"));
  const rows = async (name: string) =>
    parquetReadObjects({ file: await asyncBufferFromFile(join(folder, "parquet", name)) });
  const features = await rows("features.parquet");
  assert.equal(counts.features, all.length);
  assert.deepEqual(
    features.map((row) => row["id"]),
    all.map(({ id }) => id),
  );
  for (const [id, row] of features.entries()) {
    const { count, density, max, tokens, found } = all[id]!;
    assert.deepEqual([row["count"], row["density"], row["max"]], [count, density, max]);
    assert.deepEqual(
      row["tokens"],
      tokens.map((token) => [token.text, token.share, token.count]),
    );
    assert.equal(row["found"], found.filter((one) => one).length);
  }
  assert.deepEqual([features[3]!["flagged"], features[3]!["label"], features[4]!["flagged"]], [true, "women", false]);
  const sequences = await rows("sequences.parquet");
  const wanted = all.flatMap(({ id, bands }) =>
    bands.flatMap((band) => band.sequences.map(({ tokens }) => ({ id, tokens }))),
  );
  assert.equal(counts.sequences, wanted.length);
  assert.ok(wanted.length > 0);
  for (const [at, row] of sequences.entries()) {
    assert.equal(row["feature"], wanted[at]!.id);
    assert.deepEqual(
      row["activations"],
      wanted[at]!.tokens.map(({ activation }) => activation),
    );
    assert.equal(row["text"], wanted[at]!.tokens.map(({ text }) => text).join(""));
  }
});

test("Parquet is written group by group, to the same rows, and not at all where it fails", async () => {
  const whole = join(folder, "whole");
  const parts = join(folder, "parts");
  await writeIndexParquet(index, whole);
  let written = 0;
  const watched = {
    info: index.info,
    detail: (id: number) => {
      const names = id === all.length - 1 ? readdirSync(parts).filter((name) => name.includes("sequences")) : [];
      for (const name of names) written = statSync(join(parts, name)).size;
      return index.detail(id);
    },
  };
  await writeIndexParquet(watched as unknown as FeatureIndex, parts, undefined, 5);
  assert.ok(written > 100, "groups are in the file before the last feature is read");
  for (const name of ["features.parquet", "sequences.parquet"]) {
    const [one, other] = await Promise.all([whole, parts].map((at) => asyncBufferFromFile(join(at, name))));
    const { row_groups } = await parquetMetadataAsync(other!);
    const rows = await parquetReadObjects({ file: one! });
    assert.equal(row_groups.length, Math.ceil(rows.length / 5));
    assert.deepEqual(await parquetReadObjects({ file: other! }), rows);
  }
  const torn = {
    info: index.info,
    detail: (id: number) => {
      if (id === all.length - 1) throw new Error("torn");
      return index.detail(id);
    },
  };
  const nothing = join(folder, "nothing");
  await assert.rejects(writeIndexParquet(torn as unknown as FeatureIndex, nothing, undefined, 5), /torn/);
  assert.deepEqual(readdirSync(nothing), []);
});

test("Neuronpedia: batches of features with the fields that SAEDashboard writes", async () => {
  const to = join(folder, "neuronpedia");
  const files = await writeNeuronpediaBatches(index, to, { sae_set: "tiny-bagging", contextSize: 9 });
  assert.deepEqual(readdirSync(to), ["batch-0.json"]);
  assert.equal(files, 1);
  const batch = JSON.parse(readFileSync(join(to, "batch-0.json"), "utf8"));
  assert.deepEqual([batch.model_id, batch.layer, batch.sae_set], ["tiny", 1, "tiny-bagging"]);
  assert.equal(batch.features.length, all.length);
  for (const [id, feature] of batch.features.entries()) {
    const detail = all[id]!;
    assert.equal(feature.feature_index, id);
    assert.equal(feature.frac_nonzero, detail.density);
    assert.equal(feature.dataset, "texts.txt");
    assert.equal(
      feature.freq_hist_data_bar_heights.reduce((a: number, b: number) => a + b, 0),
      detail.count,
    );
    assert.deepEqual(
      feature.pos_str,
      detail.logits!.top.map(({ text }) => text),
    );
    const sequences = detail.bands.flatMap((band) => band.sequences);
    assert.equal(feature.activations.length, sequences.length);
    for (const [at, { tokens, values, qualifying_token_index }] of feature.activations.entries()) {
      assert.deepEqual(
        tokens,
        sequences[at]!.tokens.map(({ text }) => text),
      );
      assert.equal(qualifying_token_index, sequences[at]!.peak);
      assert.ok(
        Math.abs(values[qualifying_token_index] - sequences[at]!.tokens[sequences[at]!.peak]!.activation) <= 5e-4,
      );
    }
  }
});

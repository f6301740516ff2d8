// Shows that pandas and pyarrow read the Parquet tables of a feature index as what they are: types of columns, and every value. Not part of `npm test`: it needs Python.
//
//   pip install pandas pyarrow && npm run crosscheck:parquet -- [python]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildFeatureIndex } from "../../src/features/buildFeatureIndex.ts";
import { writeIndexParquet } from "../../src/features/exports/parquet.ts";
import { openFeatureIndex } from "../../src/features/openFeatureIndex.ts";
import { makeEncoder, makeEnsemble, makeRows, model, streamed } from "../../test/unit/features/tinyWorld.ts";

const python = process.argv[2] ?? "python3";
const folder = mkdtempSync(join(tmpdir(), "crosscheck-parquet-"));
try {
  const ensemble = makeEnsemble();
  const path = join(folder, "index.sqlite");
  const rows = streamed(makeRows(14, 9));
  await buildFeatureIndex({
    path,
    ensemble,
    encoder: makeEncoder(ensemble),
    model,
    rows,
    source: { dataset_path: "x" },
  });
  const index = openFeatureIndex(path);
  index.setAnnotations(new Map([[3, { flagged: true, label: "women", note: "“quoted”\n東京" }]]));
  await writeIndexParquet(index, folder);
  const details = Array.from({ length: index.info.features }, (_, id) => index.detail(id));
  writeFileSync(join(folder, "index.json"), JSON.stringify({ info: index.info, details }));
  index.close();
  const { status } = spawnSync(python, [join(import.meta.dirname, "parquet.py"), folder], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

// A feature index as two Parquet tables for notebooks: features.parquet, a row a feature, and sequences.parquet, a row a stored sequence.
import { join } from "node:path";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import type { FeatureDetail, FeatureIndex } from "../featureIndex.ts";

type Row = Record<string, unknown>;
type Columns = Readonly<Record<string, NonNullable<ColumnSource["type"]>>>;

/** Lists are JSON, which every reader has; pandas: df.tokens.map(json.loads). */
const FEATURES: Columns = {
  id: "INT32",
  member: "INT32",
  index: "INT32",
  count: "DOUBLE",
  density: "DOUBLE",
  mean: "DOUBLE",
  max: "DOUBLE",
  found: "INT32",
  flagged: "BOOLEAN",
  label: "STRING",
  note: "STRING",
  tokens: "JSON",
  top_logits: "JSON",
  bottom_logits: "JSON",
  nearest: "JSON",
};
const SEQUENCES: Columns = {
  feature: "INT32",
  band: "STRING",
  quantile_from: "DOUBLE",
  quantile_to: "DOUBLE",
  window: "INT32",
  peak: "INT32",
  max: "DOUBLE",
  text: "STRING",
  tokens: "JSON",
  activations: "JSON",
};

/** Writes both tables; annotations as the index was given them. Returns their rows. */
export async function writeIndexParquet(
  index: FeatureIndex,
  folder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<{ features: number; sequences: number }> {
  const features: Row[] = [];
  const sequences: Row[] = [];
  for (let id = 0; id < index.info.features; id++) {
    const detail = index.detail(id);
    features.push(featureRow(detail));
    for (const row of sequenceRows(detail)) sequences.push(row);
    if ((id + 1) % 256 === 0) onProgress?.(id + 1, index.info.features);
  }
  const { method, hook, modelName, members, tokens, source } = index.info;
  const about = JSON.stringify({ method, hook, model_name: modelName, members, tokens, source });
  await writeTable(join(folder, "features.parquet"), FEATURES, features, about);
  await writeTable(join(folder, "sequences.parquet"), SEQUENCES, sequences, about);
  return { features: features.length, sequences: sequences.length };
}

async function writeTable(path: string, columns: Columns, rows: readonly Row[], about: string): Promise<void> {
  const columnData = Object.entries(columns).map(([name, type]) => {
    return { name, type, nullable: true, data: rows.map((row) => row[name] ?? null) };
  });
  const buffer = parquetWriteBuffer({ columnData, kvMetadata: [{ key: "sae_ensembles", value: about }] });
  await writeFileAtomic(path, new Uint8Array(buffer));
}

function featureRow(detail: FeatureDetail): Row {
  const { id, member, index, count, density, mean, max, annotation, found, tokens, logits, nearest } = detail;
  const shown = (list: readonly { text: string; logit: number }[] | undefined) =>
    list?.map(({ text, logit }) => [text, logit]) ?? null;
  return {
    id,
    member,
    index,
    count,
    density,
    mean,
    max,
    found: found.filter((one) => one).length,
    flagged: annotation.flagged ?? false,
    label: annotation.label,
    note: annotation.note,
    tokens: tokens.map((token) => [token.text, token.share, token.count]),
    top_logits: shown(logits?.top),
    bottom_logits: shown(logits?.bottom),
    nearest: nearest.map((inMember) => inMember.map((one) => [one.id, one.cosine])),
  };
}

function* sequenceRows({ id, bands }: FeatureDetail): Generator<Row> {
  for (const { kind, quantiles, sequences } of bands) {
    for (const { window, peak, tokens } of sequences) {
      yield {
        feature: id,
        band: kind,
        quantile_from: quantiles[0],
        quantile_to: quantiles[1],
        window,
        peak,
        max: tokens[peak]!.activation,
        text: tokens.map(({ text }) => text).join(""),
        tokens: tokens.map(({ text }) => text),
        activations: tokens.map(({ activation }) => activation),
      };
    }
  }
}

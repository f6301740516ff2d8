// A feature index as two Parquet tables for notebooks: features.parquet, a row a feature, and sequences.parquet, a row a stored sequence.
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { writeAll, writeAtomically } from "../../formats/atomicWrite.ts";
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

/** Rows that are held at a time, and written as one row group: some ten megabytes of sequences. */
const ROWS_A_GROUP = 4096;

/** Writes both tables, each whole or not at all; annotations as the index was given them. Returns their rows. */
export async function writeIndexParquet(
  index: FeatureIndex,
  folder: string,
  onProgress?: (done: number, total: number) => void,
  rowsAGroup = ROWS_A_GROUP,
): Promise<{ features: number; sequences: number }> {
  const { method, hook, modelName, members, tokens, source } = index.info;
  const about = JSON.stringify({ method, hook, model_name: modelName, members, tokens, source });
  const counts = { features: 0, sequences: 0 };
  await writeAtomically(join(folder, "features.parquet"), (featuresFile) =>
    writeAtomically(join(folder, "sequences.parquet"), async (sequencesFile) => {
      const features = new Table(featuresFile, FEATURES, about, rowsAGroup);
      const sequences = new Table(sequencesFile, SEQUENCES, about, rowsAGroup);
      for (let id = 0; id < index.info.features; id++) {
        const detail = index.detail(id);
        await features.add(featureRow(detail));
        for (const row of sequenceRows(detail)) await sequences.add(row);
        if ((id + 1) % 256 === 0) onProgress?.(id + 1, index.info.features);
      }
      counts.features = await features.end();
      counts.sequences = await sequences.end();
    }),
  );
  return counts;
}

/** A Parquet file in the making: no more than one group of rows is held. */
class Table {
  private readonly file: FileHandle;
  private readonly columns: Omit<ColumnSource, "data">[];
  private readonly rowsAGroup: number;
  private readonly bytes = new ByteWriter();
  private readonly parquet: ParquetWriter;
  private rows: Row[] = [];
  private count = 0;

  constructor(file: FileHandle, columns: Columns, about: string, rowsAGroup: number) {
    this.file = file;
    this.rowsAGroup = rowsAGroup;
    this.columns = Object.entries(columns).map(([name, type]) => {
      // A column of JSON would have its least and greatest text in full beside every group.
      return { name, type, nullable: true, statistics: type !== "JSON" };
    });
    const schema = schemaFromColumnData({ columnData: this.columns.map((column) => ({ ...column, data: [] })) });
    const kvMetadata = [{ key: "sae_ensembles", value: about }];
    this.parquet = new ParquetWriter({ writer: this.bytes, schema, kvMetadata });
  }

  async add(row: Row): Promise<void> {
    if (this.rows.push(row) === this.rowsAGroup) await this.writeGroup();
  }

  /** Writes what is left and the footer. Returns how many rows there are. */
  async end(): Promise<number> {
    if (this.rows.length > 0) await this.writeGroup();
    await this.parquet.finish();
    await this.flush();
    return this.count;
  }

  private async writeGroup(): Promise<void> {
    const { columns, rows } = this;
    const columnData = columns.map((column) => ({ ...column, data: rows.map((row) => row[column.name] ?? null) }));
    await this.parquet.write({ columnData, rowGroupSize: rows.length });
    this.count += rows.length;
    this.rows = [];
    await this.flush();
  }

  private async flush(): Promise<void> {
    await writeAll(this.file, this.bytes.getBytes());
    this.bytes.index = 0;
  }
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
    top_logits: shown(logits.top),
    bottom_logits: shown(logits.bottom),
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

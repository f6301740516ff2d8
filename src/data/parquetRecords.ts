// Records of a Parquet file: the wanted columns alone, one row group in memory at a time.
import { isUtf8 } from "node:buffer";
import { type FileHandle, mkdtemp, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { removePatiently } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import { type DataRecord, missingColumn } from "./dataRecord.ts";
import { asInputError, openBytes } from "./lineBlocks.ts";

/** Bytes at the file's end that describe row groups and columns. Values of statistics are among them, so writers may make it long. */
const LONGEST_FOOTER = 2 ** 26;
/** Of a row group: writers make them of a million. */
const MOST_ROWS = 2 ** 24;

/**
 * Every row's values of the given columns: strings, numbers, booleans, null, bigint for 64-bit integers, Uint8Array for bytes
 * that aren't UTF-8. `line` is the row's number, from 1.
 */
export function parquetRecords(path: string, columns: readonly string[]): AsyncGenerator<DataRecord> {
  return opened(path, (handle) => recordsOf(path, handle, columns));
}

/** Names of the columns of plain values. */
export async function parquetColumns(path: string): Promise<string[]> {
  for await (const names of opened(path, (handle) => columnsOf(path, handle))) return names;
  return [];
}

/** What `read` yields of the file, unpacked where it is packed. */
async function* opened<T>(path: string, read: (handle: FileHandle) => AsyncGenerator<T>): AsyncGenerator<T> {
  const unpacked = path.endsWith(".gz") ? await unpack(path) : null;
  let handle: FileHandle | undefined;
  try {
    handle = await open(unpacked?.path ?? path, "r");
    yield* read(handle);
  } catch (error) {
    throw asInputError(error, path);
  } finally {
    await handle?.close();
    await unpacked?.remove();
  }
}

/** What the file says of itself, with the tree of its columns. */
async function footerOf(path: string, file: AsyncBuffer) {
  const expected = "a Parquet file";
  if (file.byteLength === 0) throw new InputError({ file: path, found: "an empty file", expected });
  try {
    if (file.byteLength >= 8) {
      const length = new DataView(await file.slice(file.byteLength - 8)).getUint32(0, true);
      if (length > LONGEST_FOOTER && length < file.byteLength) {
        throw new InputError({
          file: path,
          found: `a footer of ${length} bytes`,
          expected: `at most ${LONGEST_FOOTER}`,
        });
      }
    }
    const metadata = await parquetMetadataAsync(file);
    const { children: columns } = parquetSchema(metadata);
    if (columns.some(({ element }) => element.name === undefined)) throw new Error("a column without a name");
    return { metadata, columns };
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError({ file: path, found: (error as Error).message, expected });
  }
}

async function* columnsOf(path: string, handle: FileHandle): AsyncGenerator<string[]> {
  const { columns } = await footerOf(path, await asyncBufferOf(handle));
  yield columns.filter((column) => column.children.length === 0).map(({ element }) => element.name);
}

async function* recordsOf(path: string, handle: FileHandle, columns: readonly string[]): AsyncGenerator<DataRecord> {
  const file = await asyncBufferOf(handle);
  const { metadata, columns: present } = await footerOf(path, file);
  for (const column of columns) {
    const found = present.find(({ element }) => element.name === column);
    if (!found)
      throw missingColumn(
        path,
        column,
        present.map(({ element }) => element.name),
      );
    if (found.children.length > 0) {
      throw new InputError({ file: path, where: `column ${column}`, found: "nested values", expected: "plain values" });
    }
  }
  let rowStart = 0;
  for (const [index, group] of metadata.row_groups.entries()) {
    const where = `row group ${index}`;
    const count = Number(group.num_rows);
    if (!(count >= 0 && count <= MOST_ROWS)) {
      throw new InputError({ file: path, where, found: `${group.num_rows} rows`, expected: `at most ${MOST_ROWS}` });
    }
    const rowEnd = rowStart + count;
    const rows = await parquetReadObjects({
      file,
      metadata,
      columns: [...columns],
      rowStart,
      rowEnd,
      compressors,
      // Without annotation, or with a bad one, the bytes stay bytes: hyparquet would put � for what is not UTF-8.
      parsers: { stringFromBytes: textOrBytes },
    }).catch((error: Error) => {
      const found = `data that can't be read (${error.message})`;
      throw new InputError({ file: path, where, found, expected: "whole Parquet data" });
    });
    for (const [i, row] of rows.entries()) {
      yield { values: columns.map((column) => row[column] ?? null), line: rowStart + i + 1 };
    }
    rowStart = rowEnd;
  }
}

function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8") : bytes;
}

async function asyncBufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, 1 << 30), start + done);
        if (bytesRead === 0) throw new Error("the file became shorter while it was read");
        done += bytesRead;
      }
      return bytes.buffer;
    },
  };
}

/** Parquet is read from its end, so a packed file is unpacked to disk first. */
async function unpack(path: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "sae-ensembles-parquet-"));
  const remove = () => removePatiently(folder);
  const target = join(folder, "data.parquet");
  try {
    const file = await open(target, "wx");
    try {
      for await (const chunk of (await openBytes(path)) as AsyncIterable<Buffer>) await file.appendFile(chunk);
    } finally {
      await file.close();
    }
    return { path: target, remove };
  } catch (error) {
    await remove();
    throw asInputError(error, path);
  }
}

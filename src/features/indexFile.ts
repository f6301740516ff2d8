// The index's file: an SQLite database of its own kind and version. How it is laid out, made, and recognised; what is asked of it stands elsewhere.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";

/** "SAEf", in SQLite's application_id. */
const applicationId = 0x53414566;
/** Raised with every change of the layout or of a record. */
export const indexVersion = 1;

/**
 * meta: one JSON value. feature_columns: the numbers that lists are sorted and filtered by, one typed array each, since
 * reading 100,000 rows takes longer than a page may; among them the ids of the clearest features in their order. features, feature_*: a row a feature, packed (featureRecords.ts).
 * vocabulary: every token id; `word` is trimmed and lower case. token_features: by token, ids and shares of the features
 * that rank it. window_features: by blocks of windows, which features show them. window_text: full-text search over the
 * windows, without a second copy of their text.
 */
const layout = `
  CREATE TABLE meta (value TEXT NOT NULL);
  CREATE TABLE feature_columns (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE features (id INTEGER PRIMARY KEY, histogram BLOB NOT NULL, tokens BLOB NOT NULL);
  CREATE TABLE feature_sequences (id INTEGER PRIMARY KEY, bands BLOB NOT NULL);
  CREATE TABLE feature_nearest (id INTEGER PRIMARY KEY, nearest BLOB NOT NULL);
  CREATE TABLE feature_logits (id INTEGER PRIMARY KEY, logits BLOB NOT NULL);
  CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, text TEXT NOT NULL, word TEXT NOT NULL, occurrences INTEGER NOT NULL);
  CREATE TABLE token_features (token INTEGER PRIMARY KEY, features BLOB NOT NULL, shares BLOB NOT NULL);
  CREATE TABLE windows (id INTEGER PRIMARY KEY, tokens BLOB NOT NULL);
  CREATE TABLE window_features (block INTEGER PRIMARY KEY, counts BLOB NOT NULL, features BLOB NOT NULL);
  CREATE VIRTUAL TABLE window_text USING fts5(text, content = '', tokenize = 'unicode61 remove_diacritics 2');
`;
const tables = ["feature_columns", "features", "feature_sequences", "feature_nearest", "feature_logits"];
tables.push("vocabulary", "token_features", "windows", "window_features", "window_text");

/** Made after the rows, which is quicker. */
const indices = `
  CREATE INDEX vocabulary_text ON vocabulary (text);
  CREATE INDEX vocabulary_word ON vocabulary (word);
`;

const count = z.int().nonnegative();
export const indexMetaSchema = z.strictObject({
  method: z.string(),
  hook: z.string(),
  modelName: z.string().nullable(),
  members: z.array(z.strictObject({ first: count, size: count })).min(1),
  features: count,
  tokens: count,
  windows: count,
  foundCosine: z.number(),
  source: z.record(z.string(), z.unknown()),
  options: z.record(z.string(), z.unknown()),
  /** Of indices that were made before every hook had logits. */
  hasLogits: z.literal(true).optional(),
});
/** Everything about the index as a whole. */
export type IndexMeta = z.output<typeof indexMetaSchema>;

/** An empty index at `path`, which must not exist. A crash leaves a file that nobody opens: it is renamed only when complete. */
export function createIndexFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA page_size = 8192; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536",
  );
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${indexVersion}`);
  database.exec(layout);
  return database;
}

/** Last steps of a build: secondary indices, the meta record (without which nothing opens), statistics. */
export function finishIndexFile(database: DatabaseSync, meta: IndexMeta): void {
  database.exec(indices);
  database.prepare("INSERT INTO meta VALUES (?)").run(JSON.stringify(indexMetaSchema.parse(meta)));
}

/** Opens an index for reading. Throws InputError if there is no such file, it is something else, of another version, cut short or damaged where one can see it at once. */
export function openIndexFile(path: string): { database: DatabaseSync; meta: IndexMeta } {
  const expected = "a feature index made by this program";
  const refuse = (found: string, hope = expected): never => {
    throw new InputError({ file: path, found, expected: hope });
  };
  const size = checkHeader(path, refuse);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    database.exec("PRAGMA cache_size = -32768");
    const pragma = (name: string) => Number(Object.values(database!.prepare(`PRAGMA ${name}`).get()!)[0]);
    if (pragma("application_id") !== applicationId) refuse("an SQLite database of another program");
    const version = pragma("user_version");
    if (version !== indexVersion) {
      refuse(`an index of version ${version}`, `version ${indexVersion}; build the index again`);
    }
    const whole = pragma("page_size") * pragma("page_count");
    if (size < whole) refuse(`${size} bytes`, `${whole} bytes; the file was cut short, build the index again`);
    const names = new Set(
      database
        .prepare("SELECT name FROM sqlite_schema")
        .all()
        .map(({ name }) => String(name)),
    );
    const missing = tables.find((name) => !names.has(name));
    if (missing) refuse(`no table ${missing}`, "an undamaged index; build it again");
    const row = database.prepare("SELECT value FROM meta").get();
    if (!row) return refuse("an index whose building was not finished", "a finished one; build it again");
    const meta = indexMetaSchema.safeParse(JSON.parse(String(Object.values(row)[0])));
    if (!meta.success) return refuse("damaged meta data", "an undamaged index; build it again");
    return { database, meta: meta.data };
  } catch (error) {
    database?.close();
    throw asInputError(error, path);
  }
}

/** SQLite's own complaints about damage, and records that end too early, as InputError; anything else as it is. */
export function asInputError(error: unknown, path: string): unknown {
  const code = (error as { errcode?: number }).errcode;
  // SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR and their extended codes.
  const damage = code !== undefined && [10, 11, 26].includes(code & 0xff);
  const unreadable = error instanceof RangeError || error instanceof SyntaxError;
  if (!damage && !unreadable) return error;
  const found = `damage (${(error as Error).message})`;
  return new InputError({ file: path, found, expected: "an undamaged index; build it again" });
}

function checkHeader(path: string, refuse: (found: string) => never): number {
  const magic = "SQLite format 3\0";
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    return refuse((error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (error as Error).message);
  }
  try {
    const bytes = Buffer.alloc(magic.length);
    if (!statSync(path).isFile()) return refuse("no file");
    readSync(file, bytes, 0, bytes.length, 0);
    if (bytes.toString("latin1") !== magic) return refuse("a file of another kind");
    return statSync(path).size;
  } finally {
    closeSync(file);
  }
}

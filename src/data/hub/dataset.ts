// Data sets of the hub: which of their files are the text, as a small list on this machine; the files themselves come when they are read.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import { InputError } from "../../formats/inputError.ts";
import { defaultCacheFolder } from "../cacheFolder.ts";
import type { HubFile } from "./download.ts";
import { type HubReference, hubName } from "./reference.ts";
import { fetchHubFiles, type HubRepository, openHubRepository } from "./repository.ts";
import type { HubOptions } from "./requests.ts";

export interface HubDatasetOptions extends HubOptions {
  /** Where lists are kept; default: the user's cache folder. */
  readonly listFolder?: string;
}

/** Names of lists end so. */
export const HUB_DATASET = ".hubdataset";

const listSchema = z.object({
  format_version: z.literal(1),
  type: z.literal("dataset"),
  repo: z.string(),
  revision: z.string(),
  commit: z.string(),
  files: z.array(z.object({ path: z.string(), size: z.int().nonnegative(), checksum: z.string() })).nonempty(),
});

/** Files that readRecords knows, in the order of preference. */
const KINDS = [/\.parquet$/, /\.jsonl(\.gz)?$/, /\.(csv|tsv)(\.gz)?$/];

/** The branch into which the hub itself puts every data set as Parquet. */
const CONVERTED = "refs/convert/parquet";

/** Where the list of a data set is, whether or not it is there. */
export function datasetListPath(reference: HubReference, options: HubDatasetOptions = {}): string {
  const key = createHash("sha256").update(JSON.stringify(reference)).digest("hex").slice(0, 8);
  const name = `${reference.repo.replace("/", "--")}-${key}${HUB_DATASET}`;
  return join(options.listFolder ?? join(defaultCacheFolder(), "hub-datasets"), name);
}

/**
 * Lists the data set's files and fetches the first, so that what is wrong shows now; the path of the list, which reads as a
 * data file does. Where the hub can't be asked, the snapshot in its local cache is listed. A list that is there already is kept: the data of a run don't change because somebody's repository did.
 */
export async function obtainDataset(reference: HubReference, options: HubDatasetOptions = {}): Promise<string> {
  const path = datasetListPath(reference, options);
  const known = readList(path);
  if (known) return path;
  const { source, commit, files } = await listDataset(reference, options);
  await fetchHubFiles(source, commit, files.slice(0, 1), options);
  const { repo, revision } = source;
  const list = { format_version: 1, type: "dataset", repo, revision, commit, files };
  await writeFileAtomic(path, `${JSON.stringify(list, null, 1)}\n`);
  return path;
}

/** Asks which of the hub's files are the data set's text; no file is fetched. Throws InputError as `obtainDataset` does. */
export async function listDataset(
  reference: HubReference,
  options: HubOptions = {},
): Promise<{ source: HubReference; commit: string; files: HubFile[] }> {
  const needed = "its .parquet, .jsonl or .csv files";
  let source = reference;
  let repository = await openHubRepository(source, needed, options);
  let files = textFiles(reference, repository);
  if (files.length === 0 && reference.revision === "main") {
    source = { ...reference, revision: CONVERTED };
    repository = await openHubRepository(source, needed, options).catch((error: unknown) => {
      // The hub converts most data sets, not all.
      if (error instanceof InputError && /status 40[14]/.test(error.found)) return repository;
      throw error;
    });
    files = textFiles(reference, repository);
  }
  if (files.length === 0) {
    const found = `no such file among ${
      repository.files.length === 0
        ? "none"
        : repository.files
            .slice(0, 10)
            .map((file) => file.path)
            .join(", ")
    }`;
    throw new InputError({ file: hubName(reference), found, expected: "a .parquet, .jsonl or .csv file" });
  }
  return { source, commit: repository.commit, files };
}

/** Local paths of a list's files, one after the other; each is fetched when it is asked for. */
export async function* datasetFiles(listPath: string, options: HubOptions = {}): AsyncGenerator<string> {
  const list = readList(listPath);
  if (!list) throw new InputError({ file: listPath, found: "no such file", expected: "a list of a data set's files" });
  for (const file of list.files)
    yield join(await fetchHubFiles({ ...list, path: "" }, list.commit, [file], options), file.path);
}

/** Bytes that all files of a list have, and how many they are. */
export function datasetSize(listPath: string): { bytes: number; files: number } {
  const files = readList(listPath)?.files ?? [];
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), files: files.length };
}

/** Null where there is none. Throws InputError where it is damaged. */
function readList(path: string): z.infer<typeof listSchema> | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  try {
    return listSchema.parse(JSON.parse(text));
  } catch {
    throw new InputError({
      file: path,
      found: "something else",
      expected: "a list of a data set's files; delete it, and it is made anew",
    });
  }
}

/** The training part's files, or those of the part that the reference's path ends with, of the best kind that there is. */
function textFiles({ repo, path }: HubReference, { files }: HubRepository): HubFile[] {
  const within = (folder: string) =>
    files.filter((file) => folder === "" || file.path === folder || file.path.startsWith(`${folder}/`));
  let inside = within(path);
  let part = "train";
  if (inside.length === 0 && path !== "") {
    // "test" is no folder of data/test-00000-of-00001.parquet.
    part = posix.basename(path);
    inside = within(posix.dirname(path).replace(/^\.$/, "")).filter((file) => isOfPart(file.path, part));
  }
  const kind = KINDS.find((pattern) => inside.some((file) => pattern.test(file.path)));
  const ofKind = kind ? inside.filter((file) => kind.test(file.path)) : [];
  const training = ofKind.filter((file) => isOfPart(file.path, "train"));
  // Without names of parts it is all text.
  const chosen = training.length > 0 ? training : ofKind;
  const configurations = Map.groupBy(chosen, (file) => configurationOf(file.path, part));
  if (configurations.size > 1 && !configurations.has("default")) {
    const names = [...configurations.keys()].sort();
    throw new InputError({
      file: repo,
      found: `${names.length} sets in one: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`,
      expected: `one of them behind the name, such as ${repo}/${names[0]}`,
    });
  }
  const selected = configurations.get("default") ?? chosen;
  return selected.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** The folder, less the part's name: "default" of default/train/0000.parquet, "data" of data/train-00000-of-00002.parquet. */
function configurationOf(path: string, part: string): string {
  return path
    .split("/")
    .slice(0, -1)
    .filter((folder) => folder.replace(/^partial-/, "") !== part)
    .join("/");
}

/** Whether a file's name or a folder's has the part's as a word. */
function isOfPart(path: string, part: string): boolean {
  return path.split(/[/_.-]/).includes(part);
}

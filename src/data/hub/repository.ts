// Repositories of the hub: a revision's files listed, and those that are wanted brought into the local cache.
import { readdir, readlink, stat, statfs } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { InputError } from "../../formats/inputError.ts";
import { CachedRepository, checkedPath } from "./cache.ts";
import { downloadBlob, type HubFile } from "./download.ts";
import { type HubReference, hubName } from "./reference.ts";
import { ConnectionError, type HubOptions, hubFetch, hubSettings } from "./requests.ts";

export interface HubRepository {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** Nobody could be asked: what was asked for may be there all the same. */
export class NoConnection extends InputError {}

/** As found where the user wants nobody asked. */
const OFFLINE = "HF_HUB_OFFLINE set";

/** The folder of a repository's files in the local cache, of the commit that was last used; null where there is none. Asks nobody. */
export function cachedSnapshot(reference: HubReference, options: HubOptions = {}): string | null {
  const repository = new CachedRepository(hubSettings(options).cacheFolder, reference);
  const commit = repository.commit();
  return commit === null ? null : repository.snapshot(commit);
}

/** What a hub's file names end with where a set is cut into shards. */
const SHARD = /-(\d{5})-of-(\d{5})(?=\.)/;

/**
 * The snapshot of a revision as its files in the local cache, whoever put them there; null where there is none. Asks nobody.
 * Throws InputError where names say that shards are missing.
 */
export async function cachedRepository(
  reference: HubReference,
  options: HubOptions = {},
): Promise<HubRepository | null> {
  const repository = new CachedRepository(hubSettings(options).cacheFolder, reference);
  const commit = repository.commit();
  if (commit === null) return null;
  const folder = repository.snapshot(commit);
  const files: HubFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const file = join(entry.parentPath, entry.name);
    const stats = await stat(file).catch(() => null);
    if (!stats?.isFile()) continue;
    // Links lead to blobs, which are named by their checksums; a plain file has none to compare with.
    const blob = entry.isSymbolicLink() ? basename(await readlink(file)) : "";
    const path = relative(folder, file).split(sep).join("/");
    files.push({ path, size: stats.size, checksum: /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(blob) ? blob : "" });
  }
  const names = new Set(files.map(({ path }) => path));
  for (const { path } of files) {
    const [, , count] = SHARD.exec(path) ?? [];
    for (let shard = 0; shard < Number(count ?? 0); shard++) {
      const name = path.replace(SHARD, `-${String(shard).padStart(5, "0")}-of-${count}`);
      if (names.has(name)) continue;
      throw new InputError({ file: join(folder, name), found: "no such file", expected: `all ${count} shards` });
    }
  }
  return files.length === 0 ? null : { commit, files };
}

/**
 * Asks the hub for the commit and its list of files. Throws NoConnection where the hub can't be reached, and InputError where
 * it refuses or may not be asked, with what to do; `needed` names the files that a person could put there by hand instead.
 */
export async function openHubRepository(
  reference: HubReference,
  needed: string,
  options: HubOptions = {},
): Promise<HubRepository> {
  const settings = hubSettings(options);
  const what = hubName({ ...reference, path: "" });
  const repository = new CachedRepository(settings.cacheFolder, reference);
  // A model that is in the cache whole was found there before anybody asks; what a data set has only a list can tell.
  const withoutHub = async (found: string) => {
    const cached = reference.type === "dataset" ? await cachedRepository(reference, options) : null;
    if (cached) return cached;
    throw unreachable(found, repository, reference, needed);
  };
  if (settings.offline) return withoutHub(OFFLINE);
  const hub = await import("@huggingface/hub");
  const common = {
    hubUrl: settings.endpoint,
    fetch: hubFetch(settings, { ...reference, path: "" }),
    revision: reference.revision,
  };
  const files: HubFile[] = [];
  let commit: string;
  try {
    const named = { ...common, name: reference.repo, additionalFields: ["sha" as const] };
    const { sha } = reference.type === "dataset" ? await hub.datasetInfo(named) : await hub.modelInfo(named);
    if (!/^[0-9a-f]{40}$/.test(sha))
      throw new InputError({ file: what, found: `the commit ${sha}`, expected: "40 hexadecimal digits" });
    commit = sha;
    const repo = { type: reference.type, name: reference.repo };
    for await (const { type, path, size, oid, lfs } of hub.listFiles({
      ...common,
      repo,
      revision: commit,
      recursive: true,
    })) {
      const checksum = lfs?.oid ?? oid ?? "";
      if (type !== "file") continue;
      checkedPath(what, path);
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(checksum))
        throw new InputError({
          file: `${what}/${path}`,
          found: `the checksum ${JSON.stringify(checksum)}`,
          expected: "40 or 64 hexadecimal digits",
        });
      files.push({ path, size: lfs?.size ?? size, checksum });
    }
  } catch (error) {
    settings.signal?.throwIfAborted();
    if (error instanceof InputError) throw error;
    const { message } = error as Error;
    // What answers in the hub's place, such as a network's page to log in to, is as good as nobody.
    const reason = error instanceof ConnectionError ? message : `an answer that is no list of files: ${message}`;
    return withoutHub(`no way to ${settings.endpoint} (${reason})`);
  }
  await repository.rememberCommit(commit);
  return { commit, files };
}

/** Brings files of a commit into the cache, those that are there already left alone; the folder that holds them, by their paths in the repository. */
export async function fetchHubFiles(
  reference: HubReference,
  commit: string,
  files: readonly HubFile[],
  options: HubOptions = {},
): Promise<string> {
  const settings = hubSettings(options);
  const what = hubName({ ...reference, path: "" });
  const repository = new CachedRepository(settings.cacheFolder, reference);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    settings.signal?.throwIfAborted();
    if (!(await repository.has(commit, file.path))) {
      const name = `${what}/${checkedPath(what, file.path)}`;
      if (settings.offline) throw unreachable(OFFLINE, repository, reference, file.path);
      if (file.checksum === "") {
        const expected = "the file that was there when the data set was listed";
        throw new InputError({ file: join(repository.snapshot(commit), file.path), found: "no such file", expected });
      }
      await checkSpace(settings.cacheFolder, file.size, name);
      const onBytes = (bytes: number) => settings.onProgress(before + bytes, total);
      await downloadBlob(settings, reference, commit, repository, file, onBytes).catch((error) => {
        if (!(error instanceof ConnectionError)) throw error;
        throw unreachable(`no way to ${settings.endpoint} (${error.message})`, repository, reference, file.path);
      });
      await repository.link(commit, file.path, file.checksum);
    }
    before += file.size;
    settings.onProgress(before, total);
  }
  return repository.snapshot(commit);
}

function unreachable(found: string, repository: CachedRepository, reference: HubReference, needed: string): InputError {
  const named =
    reference.type === "dataset"
      ? `one of the files (${needed}) that the experiment names by its path, or all of them`
      : `the files (${needed}) in a folder that the experiment names by its path, or`;
  const cache = `in the hub's cache under ${join(repository.folder, "snapshots", "COMMIT")}, with the commit in ${join(repository.folder, "refs", reference.revision)}`;
  const file = hubName({ ...reference, path: "" });
  const Kind = found === OFFLINE ? InputError : NoConnection;
  return new Kind({ file, found, expected: `a connection; or, without one, ${named} ${cache}` });
}

async function checkSpace(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: Number.POSITIVE_INFINITY, bsize: 1 }));
  if (bavail * bsize >= bytes) return;
  const gib = (n: number) => `${(n / 2 ** 30).toFixed(1)} GiB`;
  const expected = `${gib(bytes)} free there, or another folder in HF_HUB_CACHE`;
  throw new InputError({ file: what, found: `${gib(bavail * bsize)} free in ${folder}`, expected });
}

// Repositories of the hub: a revision's files listed, and those that are wanted brought into the local cache.
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../formats/inputError.ts";
import { CachedRepository, checkedPath } from "./cache.ts";
import { downloadBlob, type HubFile } from "./download.ts";
import { type HubReference, hubName } from "./reference.ts";
import { ConnectionError, type HubOptions, hubFetch, hubSettings } from "./requests.ts";

export interface HubRepository {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** The folder of a repository's files in the local cache, of the commit that was last used; null where there is none. Asks nobody. */
export function cachedSnapshot(reference: HubReference, options: HubOptions = {}): string | null {
  const repository = new CachedRepository(hubSettings(options).cacheFolder, reference);
  const commit = repository.commit();
  return commit === null ? null : repository.snapshot(commit);
}

/**
 * Asks the hub for the commit and its list of files. Throws InputError that says what to do where the hub can't be reached,
 * or refuses; `needed` names the files that a person could put there by hand instead.
 */
export async function openHubRepository(
  reference: HubReference,
  needed: string,
  options: HubOptions = {},
): Promise<HubRepository> {
  const settings = hubSettings(options);
  const what = hubName({ ...reference, path: "" });
  const repository = new CachedRepository(settings.cacheFolder, reference);
  if (settings.offline) throw unreachable("HF_HUB_OFFLINE set", repository, what, needed);
  const hub = await import("@huggingface/hub");
  const common = { hubUrl: settings.endpoint, fetch: hubFetch(settings, what), revision: reference.revision };
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
    if (error instanceof ConnectionError)
      throw unreachable(`no way to ${settings.endpoint} (${error.message})`, repository, what, needed);
    throw error;
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
      if (settings.offline) throw unreachable("HF_HUB_OFFLINE set", repository, what, file.path);
      await checkSpace(settings.cacheFolder, file.size, name);
      const onBytes = (bytes: number) => settings.onProgress(before + bytes, total);
      await downloadBlob(settings, reference, commit, repository, file, onBytes).catch((error) => {
        if (!(error instanceof ConnectionError)) throw error;
        throw unreachable(`no way to ${settings.endpoint} (${error.message})`, repository, what, file.path);
      });
      await repository.link(commit, file.path, file.checksum);
    }
    before += file.size;
    settings.onProgress(before, total);
  }
  return repository.snapshot(commit);
}

function unreachable(found: string, repository: CachedRepository, what: string, needed: string): InputError {
  const hand = join(repository.folder, "…");
  const expected = `a connection; or, without one, the files (${needed}) in a folder that the experiment names by its path, or in the hub's cache under ${hand}`;
  return new InputError({ file: what, found, expected });
}

async function checkSpace(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder).catch(() => ({ bavail: Number.POSITIVE_INFINITY, bsize: 1 }));
  if (bavail * bsize >= bytes) return;
  const gib = (n: number) => `${(n / 2 ** 30).toFixed(1)} GiB`;
  const expected = `${gib(bytes)} free there, or another folder in HF_HUB_CACHE`;
  throw new InputError({ file: what, found: `${gib(bavail * bsize)} free in ${folder}`, expected });
}

// The hub's cache on this machine, shared with Python's huggingface_hub: where a repository's files lie, and which are there.
import { readFileSync } from "node:fs";
import { copyFile, mkdir, stat, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { writeFileAtomic } from "../../formats/atomicWrite.ts";
import { InputError } from "../../formats/inputError.ts";
import type { HubReference } from "./reference.ts";

const COMMIT = /^[0-9a-f]{40}$/;

/** HF_HUB_CACHE, or "hub" in HF_HOME, or ~/.cache/huggingface/hub, as Python's library has it. */
export function hubCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"] || join(hubHome(env), "hub");
}

/** Where Python's library keeps its things, the token of `hf auth login` among them. */
export function hubHome(env: NodeJS.ProcessEnv = process.env): string {
  return env["HF_HOME"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "huggingface");
}

/** One repository's folder in the cache: blobs/ by checksum, snapshots/ by commit, refs/ by branch. */
export class CachedRepository {
  readonly folder: string;
  readonly #locks: string;
  readonly #reference: HubReference;

  constructor(cacheFolder: string, reference: HubReference) {
    this.#reference = reference;
    const name = `${reference.type}s--${reference.repo.replace("/", "--")}`;
    this.folder = join(cacheFolder, name);
    // Where Python's library has its own, which are of another kind and end otherwise.
    this.#locks = join(cacheFolder, ".locks", name);
  }

  /** The commit that the revision named when it was last asked for; null where it never was. */
  commit(): string | null {
    const { revision } = this.#reference;
    if (COMMIT.test(revision)) return revision;
    try {
      const commit = readFileSync(join(this.folder, "refs", revision), "utf8").trim();
      return COMMIT.test(commit) ? commit : null;
    } catch {
      return null;
    }
  }

  async rememberCommit(commit: string): Promise<void> {
    const { revision } = this.#reference;
    if (revision !== commit) await writeFileAtomic(join(this.folder, "refs", revision), commit);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  blob(checksum: string): string {
    return join(this.folder, "blobs", checksum);
  }

  /** The lock of a blob that is being fetched. */
  lock(checksum: string): string {
    return join(this.#locks, `${checksum}.fetching`);
  }

  /** Puts a blob where the snapshot has the file: as a link, or a copy where the system makes no links. */
  async link(commit: string, path: string, checksum: string): Promise<void> {
    const target = join(this.snapshot(commit), path);
    await mkdir(dirname(target), { recursive: true });
    try {
      await symlink(relative(dirname(target), this.blob(checksum)), target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") return;
      // Windows allows links to administrators and developers only.
      if (code !== "EPERM") throw error;
      await copyFile(this.blob(checksum), target);
    }
  }

  async has(commit: string, path: string): Promise<boolean> {
    return (await stat(join(this.snapshot(commit), path)).catch(() => null))?.isFile() ?? false;
  }
}

/** A path that a repository lists, which must stay inside the folder that it is put into. */
export function checkedPath(repo: string, path: string): string {
  const bad =
    path === "" ||
    path.startsWith("/") ||
    /[\\:\0]/.test(path) ||
    path.split("/").some((part) => /^\.{0,2}$/.test(part));
  if (bad)
    throw new InputError({
      file: repo,
      where: JSON.stringify(path),
      found: "a file name that leads elsewhere",
      expected: "a name inside the repository",
    });
  return path;
}

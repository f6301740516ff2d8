// A hub on this machine: the three answers of huggingface.co that downloading needs, and ways to misbehave.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export const COMMIT = "c0ffee".repeat(7).slice(0, 40);

export interface LocalHub {
  readonly url: string;
  /** Every request so far, "GET /path" with the range behind it. */
  readonly requests: {
    readonly path: string;
    readonly range: string | undefined;
    readonly token: string | undefined;
  }[];
  /** Answers a request instead of the hub if it returns true. */
  misbehave: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Bytes after which a file's answer breaks off, or none; not before `arrived` says that all up to there are in use, since fetch drops what it holds when a connection breaks. */
  breakAfter: number | null;
  arrived: (upTo: number) => boolean;
  /** Bytes that files are listed with, by path; otherwise their own. */
  readonly sizes: Map<string, number>;
  /** Files of each revision of "owner/name" ("datasets/owner/name"), by path. */
  readonly repositories: Map<string, Map<string, Map<string, Buffer>>>;
}

/** Starts it; it ends with the test file. */
export async function localHub(): Promise<LocalHub> {
  const hub: LocalHub = {
    url: "",
    requests: [],
    misbehave: () => false,
    breakAfter: null,
    arrived: () => true,
    sizes: new Map(),
    repositories: new Map(),
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, "http://hub").pathname);
    hub.requests.push({ path, range: request.headers.range, token: request.headers.authorization });
    if (!hub.misbehave(request, response)) answer(hub, path, request.headers.range, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(hub, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** Puts a repository into the hub. */
export function put(hub: LocalHub, name: string, files: Record<string, Buffer | string>, revision = "main"): void {
  const revisions = hub.repositories.get(name) ?? new Map();
  hub.repositories.set(name, revisions);
  revisions.set(revision, new Map(Object.entries(files).map(([path, data]) => [path, Buffer.from(data)])));
}

/** Files over this many bytes are "large" and have a SHA-256. */
const LARGE = 1000;

function answer(hub: LocalHub, path: string, range: string | undefined, response: ServerResponse): unknown {
  const json = (value: unknown) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(value));
  const missing = (code: string) => response.writeHead(404, { "X-Error-Code": code }).end();
  const info = /^\/api\/(model|dataset)s\/([\w.-]+\/[\w.-]+)\/revision\/(.+)$/.exec(path);
  if (info) {
    const [, type, name, revision] = info;
    const repository = hub.repositories.get(type === "dataset" ? `datasets/${name}` : name!);
    if (!repository) return missing("RepoNotFound");
    const commit = commitOf(repository, revision!);
    if (commit === null) return missing("RevisionNotFound");
    return json({ _id: "1", id: name, sha: commit, lastModified: "2026-01-01", private: false });
  }
  const tree = /^\/api\/(model|dataset)s\/([\w.-]+\/[\w.-]+)\/tree\/([0-9a-f]{40})$/.exec(path);
  if (tree) {
    const [, type, name, commit] = tree;
    const files = filesOf(hub, type === "dataset" ? `datasets/${name}` : name!, commit!);
    const entries = Array.from(files ?? [], ([file, data]) => {
      const size = hub.sizes.get(file) ?? data.length;
      const oid = createHash("sha1").update(`blob ${data.length}\0`).update(data).digest("hex");
      if (data.length <= LARGE) return { type: "file", path: file, size, oid };
      const sha256 = createHash("sha256").update(data).digest("hex");
      return { type: "file", path: file, size, oid: "0".repeat(40), lfs: { oid: sha256, size, pointerSize: 120 } };
    });
    return json(entries);
  }
  const resolve = /^\/(datasets\/)?([\w.-]+\/[\w.-]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path);
  const data = resolve && filesOf(hub, `${resolve[1] ?? ""}${resolve[2]}`, resolve[3]!)?.get(resolve[4]!);
  if (!data) return missing("EntryNotFound");
  const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
  const part = data.subarray(from);
  const headers = { "Content-Length": part.length, "Content-Range": `bytes ${from}-${data.length - 1}/${data.length}` };
  response.writeHead(range ? 206 : 200, headers);
  if (hub.breakAfter === null || part.length <= hub.breakAfter) return response.end(part);
  const upTo = from + hub.breakAfter;
  const end = () => (hub.arrived(upTo) ? response.destroy() : setTimeout(end, 1));
  return response.write(part.subarray(0, hub.breakAfter), end);
}

function commitOf(repository: Map<string, unknown>, revision: string): string | null {
  const at = [...repository.keys()].indexOf(revision);
  if (at >= 0) return COMMIT.slice(0, 39) + at;
  return [...repository.keys()].some((_, i) => COMMIT.slice(0, 39) + i === revision) ? revision : null;
}

function filesOf(hub: LocalHub, name: string, commit: string): Map<string, Buffer> | undefined {
  return [...(hub.repositories.get(name)?.values() ?? [])][Number(commit.at(-1))];
}

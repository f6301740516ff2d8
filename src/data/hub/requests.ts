// Requests to the Hugging Face hub: with the user's token, patient where waiting helps, and with an error that says what to do where it doesn't.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ReadableStream } from "node:stream/web";
import { setTimeout as sleep } from "node:timers/promises";
import { InputError } from "../../formats/inputError.ts";
import { hubCacheFolder, hubHome } from "./cache.ts";
import { type HubReference, hubName, hubPlace } from "./reference.ts";

export interface HubOptions {
  /** Default: HF_ENDPOINT, or https://huggingface.co. */
  readonly endpoint?: string;
  /** Default: the environment's. */
  readonly token?: string | null;
  readonly cacheFolder?: string;
  readonly signal?: AbortSignal;
  /** Bytes on disk of all that is wanted, and their total. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Waits so many milliseconds before another try; tests don't. */
  readonly wait?: (milliseconds: number) => Promise<void>;
  /** Milliseconds without a byte after which a connection counts as broken; default: half a minute. */
  readonly silence?: number;
  /** Milliseconds until a list's first answer begins, after which nobody is there; default: ten seconds, which is short of `silence`. A host may take longer to begin a large file. */
  readonly contact?: number;
}

export interface HubToken {
  readonly value: string;
  /** The variable or the file that it came from. */
  readonly from: string;
}

export interface HubSettings {
  readonly endpoint: string;
  readonly token: HubToken | null;
  readonly cacheFolder: string;
  readonly offline: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (done: number, total: number) => void;
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly silence: number;
  readonly contact: number;
}

/** What the options leave open comes from the environment, by the names that Python's library has. */
export function hubSettings(options: HubOptions = {}, env: NodeJS.ProcessEnv = process.env): HubSettings {
  const { signal, token, silence = 30_000 } = options;
  return {
    endpoint: (options.endpoint ?? (env["HF_ENDPOINT"] || "https://huggingface.co")).replace(/\/$/, ""),
    token: token === undefined ? environmentToken(env) : token === null ? null : { value: token, from: "the token" },
    cacheFolder: options.cacheFolder ?? hubCacheFolder(env),
    offline: /^(1|on|yes|true)$/i.test(env["HF_HUB_OFFLINE"] ?? ""),
    signal,
    onProgress: options.onProgress ?? (() => {}),
    wait: options.wait ?? ((milliseconds) => sleep(milliseconds, undefined, signal ? { signal } : {})),
    silence,
    contact: options.contact ?? Math.min(10_000, silence),
  };
}

/** HF_TOKEN, or what `hf auth login` has left behind. */
function environmentToken(env: NodeJS.ProcessEnv): HubToken | null {
  for (const from of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const value = env[from]?.trim();
    if (value) return { value, from };
  }
  const from = env["HF_TOKEN_PATH"] || join(hubHome(env), "token");
  try {
    const value = readFileSync(from, "utf8").trim();
    return value ? { value, from } : null;
  } catch {
    return null;
  }
}

/** Refuses what no header can hold; whether the hub takes it, the hub says. The error says nothing of the token itself. */
function authorization({ value, from }: HubToken): string {
  if (/^[\x21-\x7e]+$/.test(value)) return `Bearer ${value}`;
  throw new InputError({
    file: from,
    found: "spaces or characters that no token has",
    expected: "an access token of the hub",
  });
}

/** Times that a request is made before its failure is the user's to know. */
const TRIES = 5;
/** Milliseconds; doubled from try to try. */
const FIRST_WAIT = 1000;
/** A hub that wants more is not waited for. */
const LONGEST_WAIT = 120_000;
/** For people who must wait. */
const KEPT = "which goes on from what has come";
/** What the system says of a connection that was never made: nobody there, no such host, no network. */
const NEVER_MADE = /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|ENET\w+|EHOST\w+|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/;

/** The hub has no such bytes of a file: what is there of it on this machine is part of another. */
export class NoSuchBytes extends InputError {}

/** A connection that could not be made, or broke. */
export class ConnectionError extends Error {
  override name = "ConnectionError";

  /** One that broke may be worth another try at once. */
  get wasMade(): boolean {
    return !NEVER_MADE.test(this.message);
  }
}

/**
 * `fetch` that answers with a success or throws: InputError where the user must act, ConnectionError where the network fails,
 * while the body is read too. `path`: the file of the repository that is asked for, if it is one.
 */
export function hubFetch(settings: HubSettings, reference: HubReference, path = ""): typeof fetch {
  const { endpoint, contact, silence } = settings;
  if (!/^https?:\/\/./.test(endpoint)) {
    const expected = "an address with its scheme, such as https://huggingface.co";
    throw new InputError({ file: "HF_ENDPOINT", found: JSON.stringify(endpoint), expected });
  }
  let patience = path === "" ? contact : silence;
  return async (input, init) => {
    for (let attempt = 1; ; attempt++) {
      settings.signal?.throwIfAborted();
      const response = await once(settings, input, init, patience);
      // Whoever has answered once is there, and may be slow.
      patience = settings.silence;
      if (response.ok) return response;
      const wait = retryable(response) && attempt < TRIES ? waitingTime(response, attempt) : null;
      await response.body?.cancel();
      if (wait === null || wait > LONGEST_WAIT) throw refusal(response, settings, { ...reference, path });
      await settings.wait(wait);
    }
  };
}

async function once(
  settings: HubSettings,
  input: Parameters<typeof fetch>[0],
  init: RequestInit | undefined,
  patience: number,
): Promise<Response> {
  const headers = new Headers(init?.headers);
  // Never to another host than the hub: fetch takes it off where it is sent on to one.
  if (settings.token !== null && String(input).startsWith(`${settings.endpoint}/`))
    headers.set("Authorization", authorization(settings.token));
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new ConnectionError("no answer")), patience);
  const signals = [silence.signal, init?.signal, settings.signal].filter((signal) => signal != null);
  try {
    const response = await fetch(input, { ...init, headers, signal: AbortSignal.any(signals) });
    if (!response.ok || !response.body) return response;
    const { status, statusText } = response;
    // The same class at run time; Response's declaration is a browser's.
    const body = ReadableStream.from(heard(response, silence, settings)) as unknown as RequestInit["body"];
    return new Response(body, { status, statusText, headers: response.headers });
  } catch (error) {
    throw brokenConnection(error, settings);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The body, given up where nothing comes for too long. Throws ConnectionError where it breaks off. Takes the response itself,
 * since the body of one that nobody holds any more is cancelled.
 */
async function* heard(response: Response, silence: AbortController, settings: HubSettings): AsyncGenerator<Uint8Array> {
  const listen = () => setTimeout(() => silence.abort(new ConnectionError("nothing more came")), settings.silence);
  let timer = listen();
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      // How long the reader takes is no silence.
      clearTimeout(timer);
      yield chunk;
      timer = listen();
    }
  } catch (error) {
    throw brokenConnection(error, settings);
  } finally {
    clearTimeout(timer);
  }
}

/** A request's failure as a ConnectionError. Throws the reason itself where somebody has stopped the work. */
function brokenConnection(error: unknown, settings: HubSettings): ConnectionError {
  settings.signal?.throwIfAborted();
  const { cause, message } = error as Error;
  const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
  return new ConnectionError(reason, { cause: error });
}

function retryable({ status }: Response): boolean {
  return status === 429 || status === 408 || status >= 500;
}

/** As the hub asks for; otherwise longer from try to try. */
function waitingTime(response: Response, attempt: number): number {
  return askedWait(response.headers) ?? FIRST_WAIT * 2 ** (attempt - 1);
}

/** Milliseconds, from seconds or a date; null where the hub doesn't say. */
function askedWait(headers: Headers): number | null {
  const asked = headers.get("Retry-After") ?? "";
  if (/^\d+$/.test(asked)) return Number(asked) * 1000;
  const date = Date.parse(asked);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

function waitInWords(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / 60_000);
  if (minutes < 2) return "a minute";
  return minutes < 120 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

function refusal({ status, headers }: Response, { endpoint, token }: HubSettings, asked: HubReference): InputError {
  const code = headers.get("X-Error-Code");
  const page = `${endpoint}/${hubPlace(asked)}`;
  const problem = (found: string, expected: string) =>
    new InputError({
      file: hubName(asked),
      found: `${found} (status ${status} of ${new URL(endpoint).host})`,
      expected,
    });
  const withToken =
    "your access token in HF_TOKEN or by the command “Set Hugging Face Token” (huggingface.co/settings/tokens)";
  switch (status) {
    case 401:
      if (token === null && code === "GatedRepo")
        return problem("a gated repository and no token", `${withToken}, after you have accepted its terms on ${page}`);
      if (token === null)
        return problem(
          "no repository of this name that everyone may read",
          `another name; or, for a private or gated one, ${withToken}`,
        );
      return problem("a token that the hub doesn't take", withToken);
    case 403:
      return problem(
        "a repository that your token may not read",
        `its terms accepted on ${page}, and a token that may read gated repositories`,
      );
    case 404:
      if (code === "RevisionNotFound")
        return problem("no such revision", "a branch, tag or commit of the repository behind @");
      if (code === "EntryNotFound") return problem("no such file", `a file that ${page} lists`);
      return problem("no such repository", "the name of one, as its page on the hub has it");
    case 416:
      return new NoSuchBytes({
        file: hubName(asked),
        found: "no such bytes of the file",
        expected: "a try again later",
      });
    case 429: {
      const wait = askedWait(headers);
      const when = wait === null ? "some minutes" : `${waitInWords(wait)}, as the hub asks`;
      return problem("too many requests", `a try again in ${when}, ${KEPT}; with a token the hub allows more`);
    }
    default:
      return problem("a failure of the hub", `a try again later, ${KEPT}`);
  }
}

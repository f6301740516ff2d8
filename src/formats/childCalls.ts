// Asks a process of our own that may die or hang (a driver works in it): starts it, sends it calls, and turns its end or its silence into an error of the call.
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { MessageChannel } from "./messageChannel.ts";

/** Milliseconds after which a process that doesn't answer counts as hung. Drivers give up on a kernel long before. */
const PATIENCE = 120_000;

/** The stream that both ends speak over: one of our own, since Node's copies what is sent several times. */
export const CHANNEL = 3;

export interface ChildCallsOptions {
  /** Added to the process' environment: where a Vulkan driver lies, for instance. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly patience?: number;
  /** Hears what a person should know of. */
  readonly onWarning?: (message: string) => void;
}

/** How its errors speak of it. */
export interface ChildWords {
  /** "the GPU's process" */
  readonly process: string;
  /** "the GPU" */
  readonly device: string;
  /** What to do once it is gone, by the kinds of calls that it has been sent. */
  readonly advice: (asked: ReadonlySet<string>) => string;
  readonly error: (message: string) => Error;
}

export interface CallRequest<Call> {
  readonly id: number;
  readonly call: Call;
}

export interface CallReply {
  readonly id: number;
  readonly result?: unknown;
  /** What went wrong, in words. */
  readonly error?: string;
  /** What a person should know of. */
  readonly warnings?: readonly string[];
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly kind: string;
  timer: NodeJS.Timeout;
}

export class ChildCalls<Call extends { readonly kind: string }> {
  readonly #says: ChildWords;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #channel: MessageChannel;
  readonly #waiting = new Map<number, Waiting>();
  readonly #patience: number;
  readonly #onWarning: (message: string) => void;
  readonly #asked = new Set<string>();
  #calls = 0;
  #end: Error | undefined;
  #words = "";

  /** `file`: the process' main module. */
  constructor(file: URL, words: ChildWords, options: ChildCallsOptions = {}) {
    this.#says = words;
    this.#patience = options.patience ?? PATIENCE;
    this.#onWarning = options.onWarning ?? (() => {});
    // Not fork, which shows a console window on Windows where this process has none, as a detached run.
    this.#child = spawn(process.execPath, [...process.execArgv, fileURLToPath(file)], {
      windowsHide: true,
      // "overlapped" is "pipe", but for Windows, where it lets the other end read and write at once.
      stdio: ["ignore", "ignore", "pipe", "overlapped"],
      env: { ...process.env, ...options.environment },
    });
    this.#socket = this.#child.stdio[CHANNEL] as Socket;
    this.#channel = new MessageChannel(this.#socket, {
      message: (message) => this.#settle(message as CallReply),
      // A process that has ended says more by its end, which comes in a moment.
      end: (why) =>
        this.#finishUnheard(why ? `what it says can't be read: ${why.message}` : "it has closed its channel"),
    });
    // What it says must not keep this process alive.
    (this.#child.stderr as Socket).unref();
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#words = (this.#words + text).slice(-2000);
    });
    this.#child.on("error", (error) => this.#finish(`${words.process} could not be started: ${error.message}`));
    this.#child.on("exit", (code, signal) =>
      this.#finish(`${words.process} ended (${signal ?? `code ${code}`})${this.#said()}`),
    );
    this.#idle();
  }

  /** Calls are sent in order; replies may come while later calls are on their way. A call's arrays must not change before its reply. */
  call<T>(call: Call): Promise<T> {
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#calls++;
    this.#asked.add(call.kind);
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, kind: call.kind, timer: this.#timer(call.kind) });
    });
    this.#child.ref();
    this.#socket.ref();
    const request: CallRequest<Call> = { id, call };
    // A stream that breaks closes, which ends every call; what can't be sent fails its own.
    this.#channel.send(request).catch((error: Error) => {
      if (this.#socket.writable) this.#settle({ id, error: error.message });
    });
    return reply as Promise<T>;
  }

  async close(): Promise<void> {
    this.#end ??= this.#says.error(`${this.#says.process} is closed`);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.ref();
    this.#channel.close();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    await gone;
    clearTimeout(timer);
  }

  #finishUnheard(why: string): void {
    if (this.#end) return;
    const timer = setTimeout(() => {
      this.#finish(`${this.#says.process} can't be talked to any more: ${why}`);
      this.#child.kill("SIGKILL");
    }, 1000);
    this.#child.once("exit", () => clearTimeout(timer));
  }

  /** Ends the process at once, as a driver's fault would, or (SIGSTOP) lets it hang. For tests. */
  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#child.kill(signal);
  }

  #timer(kind: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#finish(`${this.#says.device} has not answered for ${this.#patience / 1000} s (${kind}): it hangs`);
      this.#child.kill("SIGKILL");
    }, this.#patience);
  }

  #settle({ id, result, error, warnings = [] }: CallReply): void {
    for (const warning of warnings) this.#onWarning(warning);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    // The device is at work: the others' patience begins anew.
    for (const other of this.#waiting.values()) other.timer.refresh();
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(this.#says.error(error));
    this.#idle();
  }

  /** The process' end: every call fails with it, those to come as well. */
  #finish(reason: string): void {
    this.#end ??= this.#says.error(`${reason}. ${this.#says.advice(this.#asked)}`);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(this.#end);
    }
    this.#waiting.clear();
    this.#idle();
  }

  #said(): string {
    const line = reasonIn(this.#words);
    return line ? `: ${line}` : "";
  }

  /** Nobody waits: the process doesn't keep this one alive. */
  #idle(): void {
    if (this.#waiting.size > 0) return;
    this.#child.unref();
    this.#socket.unref();
  }
}

/** Of what a process said at its end: the error that Node names, or else its last line that is neither of the trace below such an error nor Node's version. */
function reasonIn(words: string): string | undefined {
  const lines = words.split("\n").map((line) => line.trim());
  const named = lines.findLast((line) => /^(Uncaught )?\w*Error( \[\w+\])?: /.test(line));
  return named ?? lines.findLast((line) => line !== "" && !/^(Node\.js v|at |[{}^]|\w+: .*,$)/.test(line));
}

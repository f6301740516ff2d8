// A task's terminal: starts (or joins, or only follows) a run, draws its progress as it is written to the run folder, and stops it on Ctrl-C. Closing it, or ending the task, leaves the run at work.
import * as vscode from "vscode";
import { ProgressText } from "../../cli/progressText.ts";
import type { RunEvent } from "../../protocol/runEvents.ts";
import type { RunEntry } from "../../protocol/service.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { isAtWork, namedFrom } from "../words.ts";

const dim = (text: string) => `\x1b[2m${text}\x1b[0m`;
const clearLine = "\r\x1b[2K";
/** VS Code says of a terminal that ends within its first half second that it failed to launch. */
const LAUNCH = 700;

export class RunTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number | undefined>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly #service: ServiceClient;
  readonly #start: () => Promise<{ folder: string; from: number }>;
  #folder: string | undefined;
  #closed = false;
  readonly #text = new ProgressText();
  /** Width of the terminal: a longer line would wrap, and could not be written over. */
  #columns = 80;

  /** `start` begins or resumes the run, and says where it is and from which byte its events are new. */
  constructor(service: ServiceClient, start: () => Promise<{ folder: string; from: number }>) {
    this.#service = service;
    this.#start = start;
  }

  open(dimensions: vscode.TerminalDimensions | undefined): void {
    if (dimensions) this.setDimensions(dimensions);
    void this.#follow();
  }

  setDimensions({ columns }: vscode.TerminalDimensions): void {
    this.#columns = columns;
  }

  /** The terminal was closed or the task ended: the run goes on, since it belongs to no window. */
  close(): void {
    this.#closed = true;
  }

  handleInput(data: string): void {
    if (data !== "\x03" || !this.#folder) return;
    this.#line(dim("Stopping: saving a checkpoint…"));
    void this.#service.request("stop", { folder: this.#folder });
  }

  async #follow(): Promise<void> {
    try {
      const { folder, from: begin } = await this.#start();
      this.#folder = folder;
      this.#line(dim(`Run folder ${folder}`));
      for (let [from, told] = [begin, false]; ; told = true) {
        const { events, next, state, reason } = await this.#service.request("events", { folder, from });
        if (!told && isAtWork(state))
          this.#line(dim("Ctrl-C stops the run and keeps a checkpoint. Closing this terminal does not stop it."));
        for (const event of events) this.#show(event);
        const more = next > from;
        from = next;
        if (!more && !isAtWork(state)) return this.#end(state, reason);
        if (this.#closed) return;
        if (!more) await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } catch (error) {
      this.#line(`\x1b[31m${fromWorkspace(error instanceof Error ? error.message : String(error))}\x1b[0m`);
      setTimeout(() => this.#close.fire(2), LAUNCH);
    }
  }

  #show(event: RunEvent): void {
    this.#text.take(event);
    switch (event.type) {
      case "progress":
        if (event.done >= event.total) this.#line(this.#text.ended(event));
        else this.#write.fire(clearLine + this.#text.moving(this.#columns));
        return;
      case "log":
        this.#line(event.level === "info" ? event.message : `\x1b[33m${event.message}\x1b[0m`);
        return;
      case "state":
        if (event.state === "queued") this.#line(dim(`Queued: ${event.reason ?? ""}`));
    }
  }

  #line(text: string): void {
    this.#write.fire(`${clearLine}${text.replaceAll("\n", "\r\n")}\r\n`);
  }

  #end(state: RunEntry["state"], reason: string | null): void {
    const why = reason === null || reason.startsWith(state) ? reason : `${state}: ${reason}`;
    const words = fromWorkspace(why ?? state);
    this.#line(state === "done" ? words : state === "stopped" ? dim(words) : `\x1b[31m${words}\x1b[0m`);
    // Without a code a run that was stopped is neither done, for a task that waits for it, nor failed.
    const code = state === "done" ? 0 : state === "stopped" ? undefined : 1;
    // One that fails at once would be a failed launch.
    if (!this.#closed) setTimeout(() => this.#close.fire(code), code === 1 ? LAUNCH : 0);
    this.#closed = true;
  }
}

function fromWorkspace(message: string): string {
  return namedFrom(vscode.workspace.workspaceFolders?.map(({ uri }) => uri.fsPath) ?? [], message);
}

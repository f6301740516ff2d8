// A task's terminal: starts (or joins) a run, draws its progress as it is written to the run folder, and stops it on Ctrl-C or when the task is ended.
import * as vscode from "vscode";
import type { RunEvent, TrainMemberNumbers } from "../../protocol/runEvents.ts";
import type { RunEntry } from "../../protocol/service.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { duration, isAtWork } from "../words.ts";

const dim = (text: string) => `\x1b[2m${text}\x1b[0m`;
const clearLine = "\r\x1b[2K";

export class RunTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly #service: ServiceClient;
  readonly #start: () => Promise<{ folder: string; from: number }>;
  #folder: string | undefined;
  #closed = false;
  #numbers = "";

  /** `start` begins or resumes the run, and says where it is and from which byte its events are new. */
  constructor(service: ServiceClient, start: () => Promise<{ folder: string; from: number }>) {
    this.#service = service;
    this.#start = start;
  }

  open(): void {
    void this.#follow();
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
      this.#line(dim(`Run folder ${folder}. Ctrl-C stops it and keeps a checkpoint; closing this terminal does not.`));
      for (let from = begin; ; ) {
        const { lines, next, state, reason } = await this.#service.request("events", { folder, from });
        for (const line of lines) this.#show(JSON.parse(line) as RunEvent);
        const more = next > from;
        from = next;
        if (!more && !isAtWork(state)) return this.#end(state, reason);
        if (this.#closed) return;
        if (!more) await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } catch (error) {
      this.#line(`\x1b[31m${error instanceof Error ? error.message : String(error)}\x1b[0m`);
      this.#close.fire(2);
    }
  }

  #show(event: RunEvent): void {
    switch (event.type) {
      case "train":
        this.#numbers = summary(event.members);
        return;
      case "progress": {
        const { stage, done, total, unit } = event;
        const share = total > 0 ? done / total : 0;
        const bar = "█".repeat(Math.floor(share * 20)).padEnd(20, "░");
        const counts = `${count(done)} / ${count(total)} ${unit}`;
        const rate = event.rate === null ? "" : ` · ${count(event.rate)}/s`;
        const left = event.eta === null ? "" : ` · ${duration(event.eta)} left`;
        const line = `${stage.padEnd(24)} ${bar} ${Math.floor(share * 100)}% ${dim(`${counts}${rate}${left}${this.#numbers}`)}`;
        this.#write.fire(clearLine + line);
        if (done >= total) {
          this.#write.fire("\r\n");
          this.#numbers = "";
        }
        return;
      }
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
    const words = reason ? `${state}: ${reason}` : state;
    this.#line(state === "done" ? words : state === "stopped" ? dim(words) : `\x1b[31m${words}\x1b[0m`);
    if (!this.#closed) this.#close.fire(state === "done" ? 0 : state === "stopped" ? 130 : 1);
    this.#closed = true;
  }
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");

function summary(members: readonly TrainMemberNumbers[]): string {
  const mean = (pick: (member: TrainMemberNumbers) => number) =>
    members.reduce((sum, member) => sum + pick(member), 0) / members.length;
  const loss = mean((member) => member.loss).toPrecision(4);
  const explained = mean((member) => member.explained_variance).toFixed(3);
  const l0 = mean((member) => member.l0).toFixed(1);
  const dead = (100 * mean((member) => member.dead)).toFixed(1);
  return ` · loss ${loss} · EV ${explained} · L0 ${l0} · dead ${dead}%`;
}

// A task's terminal: starts (or joins) a run, draws its progress as it is written to the run folder, and stops it on Ctrl-C or when the task is ended.
import * as vscode from "vscode";
import type { RunEvent, TrainMemberNumbers } from "../../protocol/runEvents.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { duration } from "../words.ts";

const dim = (text: string) => `\x1b[2m${text}\x1b[0m`;
const clearLine = "\r\x1b[2K";

export class RunTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly #service: ServiceClient;
  readonly #start: () => Promise<{ folder: string }>;
  #folder: string | undefined;
  #closed = false;
  #numbers = "";

  /** `start` begins or resumes the run and says where it is. */
  constructor(service: ServiceClient, start: () => Promise<{ folder: string }>) {
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
      const { folder } = await this.#start();
      this.#folder = folder;
      this.#line(dim(`Run folder ${folder}. Ctrl-C stops it and keeps a checkpoint; closing this terminal does not.`));
      let from = 0;
      for (;;) {
        const { lines, next } = await this.#service.request("events", { folder, from });
        from = next;
        let ended: string | undefined;
        for (const line of lines) ended = this.#show(JSON.parse(line) as RunEvent) ?? ended;
        if (ended && lines.length > 0) {
          this.#end(ended === "done" ? 0 : ended === "stopped" ? 130 : 1);
          return;
        }
        if (this.#closed) return;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } catch (error) {
      this.#line(`\x1b[31m${error instanceof Error ? error.message : String(error)}\x1b[0m`);
      this.#end(2);
    }
  }

  /** Draws an event; the state in which the run ended, if it did. */
  #show(event: RunEvent): string | undefined {
    switch (event.type) {
      case "train":
        this.#numbers = summary(event.members);
        return undefined;
      case "progress": {
        const share = event.total > 0 ? event.done / event.total : 0;
        const bar = "█".repeat(Math.floor(share * 20)).padEnd(20, "░");
        const rate = event.rate === null ? "" : ` ${Math.round(event.rate).toLocaleString("en-US")} ${event.unit}/s`;
        const left = event.eta === null ? "" : ` · ${duration(event.eta)} left`;
        this.#write.fire(
          `${clearLine}${event.stage.padEnd(20)} ${bar} ${Math.floor(share * 100)}%${dim(`${rate}${left}${this.#numbers}`)}`,
        );
        if (event.done >= event.total) {
          this.#write.fire("\r\n");
          this.#numbers = "";
        }
        return undefined;
      }
      case "log":
        this.#line(event.level === "info" ? event.message : `\x1b[33m${event.message}\x1b[0m`);
        return undefined;
      case "state":
        if (event.state === "running" || event.state === "queued") return undefined;
        this.#line(event.reason ? `${event.state}: ${event.reason}` : event.state);
        return event.state;
    }
  }

  #line(text: string): void {
    this.#write.fire(`${clearLine}${text.replaceAll("\n", "\r\n")}\r\n`);
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#close.fire(code);
  }
}

function summary(members: readonly TrainMemberNumbers[]): string {
  const mean = (pick: (member: TrainMemberNumbers) => number) =>
    members.reduce((sum, member) => sum + pick(member), 0) / members.length;
  const loss = mean((member) => member.loss).toPrecision(4);
  const explained = mean((member) => member.explained_variance).toFixed(3);
  const l0 = mean((member) => member.l0).toFixed(1);
  const dead = (100 * mean((member) => member.dead)).toFixed(1);
  return ` · loss ${loss} · EV ${explained} · L0 ${l0} · dead ${dead}%`;
}

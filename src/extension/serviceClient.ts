// The host's line to the service: starts it when first asked, starts it again after it died, and types its answers.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as vscode from "vscode";
import type * as z from "zod";
import { nodePackage, nodeProgram } from "../protocol/carriedNode.ts";
import type { Params, RequestOptions, Result } from "../protocol/rpc.ts";
import type { ServiceEvents, service } from "../protocol/service.ts";
import { settings } from "./ids.ts";
import type { ServiceLine } from "./serviceLine.ts";

type Service = typeof service;

interface Running {
  readonly child: ChildProcess;
  readonly line: Promise<ServiceLine>;
  /** Why it has ended; empty while it runs. */
  ended: string;
}

export class ServiceClient implements vscode.Disposable {
  readonly #extension: vscode.Uri;
  readonly #output: vscode.LogOutputChannel;
  #running: Running | undefined;
  /** By event; the line itself takes one listener an event. */
  readonly #listeners = new Map<keyof ServiceEvents, Set<(content: unknown) => void>>();
  readonly #started = new vscode.EventEmitter<void>();
  /** Fires whenever a service has started: what it must know is to be said again. */
  readonly onStarted = this.#started.event;
  #disposed = false;

  constructor(extension: vscode.Uri, output: vscode.LogOutputChannel) {
    this.#extension = extension;
    this.#output = output;
    this.on("log", ({ level, message }) => {
      if (level === "error") output.error(message);
      else if (level === "warning") output.warn(message);
      else output.info(message);
    });
  }

  /** Whether its process is there: otherwise a request starts it. */
  get runs(): boolean {
    return this.#running !== undefined;
  }

  async request<K extends keyof Service["requests"] & string>(
    name: K,
    params: Params<Service, K>,
    options?: RequestOptions,
  ): Promise<Result<Service, K>> {
    if (this.#disposed) throw new Error("SAE Ensembles is shutting down.");
    this.#running ??= this.#start();
    const running = this.#running;
    try {
      const line = await running.line;
      return await line.request(name, params, options);
    } catch (error) {
      // A line that was cut says nothing of what has happened at its other end.
      throw running.ended ? new Error(running.ended) : error;
    }
  }

  /** Listens to an event of the service, whichever process it runs in, until disposed. */
  on<K extends keyof ServiceEvents>(
    name: K,
    listener: (content: z.infer<ServiceEvents[K]>) => void,
  ): vscode.Disposable {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as (content: unknown) => void);
    return new vscode.Disposable(() => listeners.delete(listener as (content: unknown) => void));
  }

  dispose(): void {
    this.#disposed = true;
    this.#running?.child.kill();
    this.#started.dispose();
  }

  #start(): Running {
    const node = this.#nodePath();
    const child = spawn(node, [join(this.#extension.fsPath, "dist", "service.js")], {
      stdio: ["pipe", "pipe", "pipe"],
      windowsHide: true,
      // Wherever VS Code was started from: paths in messages are then whole, and nothing is loaded from there.
      cwd: join(this.#extension.fsPath, "dist"),
      env: { ...process.env, ...chosenDevice() },
    });
    // While the process starts, the host loads what talks to it.
    const line = import("./talk.ts").then(
      ({ ServiceLine }) =>
        new ServiceLine(
          child,
          (name, content) => {
            for (const listener of this.#listeners.get(name) ?? []) listener(content);
          },
          (error) => this.#output.error(error.message),
        ),
    );
    const running: Running = { child, line, ended: "" };
    const gone = (reason: string) => {
      running.ended ||= `The service ended: ${reason}. It runs in ${node}${chosenNode() ? ", which the setting saeEnsembles.runs.nodePath names" : ""}.`;
      void line.then((opened) => opened.dispose());
      if (this.#running !== running) return;
      this.#running = undefined;
      if (!this.#disposed) this.#output.error(`${running.ended} It starts again when it is needed.`);
    };
    child.once("error", (error) => gone(error.message));
    child.once("exit", (code, signal) => gone(signal ?? `exit code ${code}`));
    child.stderr.on("data", (chunk: Buffer) => this.#output.warn(chunk.toString().trimEnd()));
    this.#output.info(`Service started (process ${child.pid}).`);
    queueMicrotask(() => this.#started.fire());
    return running;
  }

  /** The Node 24 that runs jobs and the service: the setting's, the one packed with the extension, or the checkout's. */
  #nodePath(): string {
    const chosen = chosenNode();
    if (chosen) return chosen;
    const { platform, arch } = process;
    const name = nodeProgram(platform);
    const places = [join("dist", "node", name), join("node_modules", nodePackage(platform, arch), "bin", name)];
    const found = places.map((place) => join(this.#extension.fsPath, place)).find((path) => existsSync(path));
    if (!found)
      throw new Error(
        `No Node 24 in ${this.#extension.fsPath}: reinstall the extension, or set saeEnsembles.runs.nodePath.`,
      );
    return found;
  }
}

/** The Node that the settings name; empty for none. */
function chosenNode(): string {
  return vscode.workspace.getConfiguration(settings.section).get<string>(settings.nodePath) ?? "";
}

/** What the settings say about devices, for the service and the runs that it starts (jobs/device.ts, model/device/); what they leave open stays as it is. */
function chosenDevice(): Record<string, string> {
  const configuration = vscode.workspace.getConfiguration(settings.section);
  const device = configuration.get<string>(settings.device);
  const tensorflow = configuration.get<string>(settings.tensorflowFolder);
  const onnxruntime = configuration.get<string>(settings.onnxruntimeFolder);
  return {
    ...(device && device !== "auto" ? { SAE_ENSEMBLES_DEVICE: device } : {}),
    ...(tensorflow ? { SAE_ENSEMBLES_TENSORFLOW: tensorflow } : {}),
    ...(onnxruntime ? { SAE_ENSEMBLES_ONNXRUNTIME: onnxruntime } : {}),
  };
}

// The run dashboard's host: one panel a run, fed from the run's events file, the report and the store; restored after a reload.
import { existsSync } from "node:fs";
import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunSnapshot } from "../../protocol/runDashboard.ts";
import type { RunEntry } from "../../protocol/service.ts";
import { commands, panels } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { EventPump } from "./eventPump.ts";
import { fillPanel, restorePanels, tabIcon } from "./webviewPanel.ts";

const viewType = panels.runDashboard;

export class RunDashboards implements vscode.WebviewPanelSerializer {
  readonly #extension: vscode.ExtensionContext;
  readonly #service: ServiceClient;
  readonly #store: RunStore;
  readonly #open = new Map<string, vscode.WebviewPanel>();

  constructor(extension: vscode.ExtensionContext, service: ServiceClient, store: RunStore) {
    this.#extension = extension;
    this.#service = service;
    this.#store = store;
    extension.subscriptions.push(restorePanels(viewType, this));
  }

  show(run: RunEntry): void {
    const open = this.#open.get(run.folder);
    if (open) open.reveal();
    else
      this.#fill(vscode.window.createWebviewPanel(viewType, `Run: ${run.name}`, vscode.ViewColumn.Active), run.folder);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: { folder?: string } | undefined): Promise<void> {
    if (state?.folder) this.#fill(panel, state.folder);
    else panel.dispose();
  }

  #fill(panel: vscode.WebviewPanel, folder: string): void {
    panel.title = `Run: ${basename(folder)}`;
    panel.iconPath = tabIcon(this.#extension.extensionUri);
    let state: "opening" | "shown" | "gone" | "closed" = "opening";
    const pump = new EventPump(
      (from) => this.#service.request("events", { folder, from }),
      (events) => line.notify("events", { events }),
    );
    const page = { bundle: "run-dashboard" as const, element: "sae-run-dashboard", title: panel.title };
    const line = fillPanel(panel, this.#extension.extensionUri, page, {
      // A page that was hidden is loaded anew, and asks anew.
      ready: async () => {
        pump.start();
        const run = await this.#run(folder).catch((error: unknown) => {
          pump.stop();
          state = "gone";
          throw error;
        });
        state = "shown";
        return this.#snapshot(run);
      },
      stop: async () => {
        await this.#service.request("stop", { folder });
        return {};
      },
      resume: async () => {
        await vscode.commands.executeCommand(commands.resumeRun, await this.#run(folder));
        return {};
      },
      browse: async ({ ensemble }) => {
        await vscode.commands.executeCommand(commands.browseFeatures, ensemble);
        return {};
      },
      save: async ({ name, content, base64 }) => {
        const target = await vscode.window.showSaveDialog({
          title: `Export ${name}`,
          saveLabel: "Export",
          defaultUri: vscode.Uri.joinPath(vscode.Uri.file(folder), name),
        });
        if (target) await vscode.workspace.fs.writeFile(target, Buffer.from(content, base64 ? "base64" : "utf8"));
        return { file: target ? vscode.workspace.asRelativePath(target) : null };
      },
    });
    const changed = this.#store.onChanged(async () => {
      // Asking a service that can't start would start it again, and tell of a change again.
      if (this.#store.trouble) return;
      const run = this.#find(folder);
      if (!run) {
        if (state !== "shown" || existsSync(folder)) return;
        state = "gone";
        pump.stop();
        line.notify("runGone", { message: goneWords(folder) });
        return;
      }
      if (state === "gone") pump.start();
      state = "shown";
      const content = await this.#snapshot(run);
      if (state === "shown") line.notify("runChanged", content);
    });
    this.#open.set(folder, panel);
    panel.onDidDispose(() => {
      state = "closed";
      pump.stop();
      changed.dispose();
      this.#open.delete(folder);
    });
  }

  async #snapshot(run: RunEntry): Promise<RunSnapshot> {
    if (!run.report) return { run, report: null, reportDamage: "" };
    try {
      return { run, report: await this.#service.request("report", { folder: run.folder }), reportDamage: "" };
    } catch (error) {
      return { run, report: null, reportDamage: error instanceof Error ? error.message : String(error) };
    }
  }

  #find(folder: string): RunEntry | undefined {
    return this.#store.runs.find((candidate) => candidate.folder === folder);
  }

  /** The run as the store has it; waits for the store's first look after a reload. */
  async #run(folder: string): Promise<RunEntry> {
    await this.#store.listed();
    // It may lie where only a search finds it.
    if (!this.#find(folder)) await this.#store.watch();
    const run = this.#find(folder);
    if (!run) throw new Error(goneWords(folder));
    return run;
  }
}

function goneWords(folder: string): string {
  return `There is no run in ${folder} any more.`;
}

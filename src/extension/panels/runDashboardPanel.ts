// The run dashboard's host: one panel a run, fed from the run's events file, the report and the store; restored after a reload.
import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunEvent } from "../../protocol/runEvents.ts";
import type { RunEntry } from "../../protocol/service.ts";
import { commands } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { fillPanel } from "./webviewPanel.ts";

const viewType = "saeEnsembles.runDashboard";

export class RunDashboards implements vscode.WebviewPanelSerializer {
  readonly #extension: vscode.ExtensionContext;
  readonly #service: ServiceClient;
  readonly #store: RunStore;
  readonly #open = new Map<string, vscode.WebviewPanel>();

  constructor(extension: vscode.ExtensionContext, service: ServiceClient, store: RunStore) {
    this.#extension = extension;
    this.#service = service;
    this.#store = store;
    extension.subscriptions.push(vscode.window.registerWebviewPanelSerializer(viewType, this));
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
    panel.iconPath = vscode.Uri.joinPath(this.#extension.extensionUri, "media", "activity.svg");
    let gone = false;
    const snapshot = async () => {
      const run = await this.#run(folder);
      const report = run.report ? await this.#service.request("report", { folder }) : null;
      return { run, report };
    };
    const page = { bundle: "run-dashboard" as const, element: "sae-run-dashboard", title: panel.title };
    const line = fillPanel(panel, this.#extension.extensionUri, page, {
      ready: async () => {
        void this.#pump(
          folder,
          (events) => line.notify("events", { events }),
          () => gone,
        );
        return snapshot();
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
          defaultUri: vscode.Uri.joinPath(vscode.Uri.file(folder), name),
        });
        if (target) await vscode.workspace.fs.writeFile(target, Buffer.from(content, base64 ? "base64" : "utf8"));
        return { saved: target !== undefined };
      },
    });
    const changed = this.#store.onChanged(() => {
      void snapshot().then(
        (content) => {
          if (!gone) line.notify("runChanged", content);
        },
        () => {},
      );
    });
    this.#open.set(folder, panel);
    panel.onDidDispose(() => {
      gone = true;
      changed.dispose();
      this.#open.delete(folder);
    });
  }

  /** The run as the store has it; waits for the store's first look after a reload. */
  async #run(folder: string): Promise<RunEntry> {
    if (!this.#store.loaded) {
      await new Promise<void>((resolve) => {
        const once = this.#store.onChanged(() => {
          once.dispose();
          resolve();
        });
        void this.#store.watch();
      });
    }
    const run = this.#store.runs.find((candidate) => candidate.folder === folder);
    if (!run) throw new Error(`There is no run in ${folder} any more.`);
    return run;
  }

  /** Sends the events file, then what is appended to it, until the panel is gone. */
  async #pump(folder: string, send: (events: RunEvent[]) => void, gone: () => boolean): Promise<void> {
    let from = 0;
    while (!gone()) {
      const answered = await this.#service.request("events", { folder, from }).catch(() => undefined);
      if (gone()) return;
      if (answered) {
        if (answered.events.length > 0) send(answered.events);
        const more = answered.next > from;
        from = answered.next;
        if (more && answered.events.length > 0) continue;
      }
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  }
}

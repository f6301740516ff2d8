// Runs as VS Code tasks of type "sae-ensembles": offered for every experiment file, resolvable from tasks.json, started from commands.
import { basename, join, resolve } from "node:path";
import * as vscode from "vscode";
import type { JobKind } from "../../protocol/runEvents.ts";
import { Distrust } from "../hint.ts";
import { experimentFiles, taskType } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { RunTerminal } from "./runTerminal.ts";

interface RunTaskDefinition extends vscode.TaskDefinition {
  /** Relative to the workspace folder. */
  readonly experiment: string;
  readonly runFolder?: string;
  readonly jobs?: JobKind[];
}

export class RunTasks implements vscode.TaskProvider, vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #started = new vscode.EventEmitter<string>();
  /** A run was started, resumed or joined from this window: its folder. */
  readonly onStarted = this.#started.event;

  constructor(service: ServiceClient) {
    this.#service = service;
  }

  async provideTasks(): Promise<vscode.Task[]> {
    const files = await vscode.workspace.findFiles(experimentFiles.pattern, "**/node_modules/**", 100);
    return files.flatMap((file) => {
      const folder = vscode.workspace.getWorkspaceFolder(file);
      return folder
        ? [this.#task({ type: taskType, experiment: vscode.workspace.asRelativePath(file, false) }, folder)]
        : [];
    });
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const { experiment } = task.definition as Partial<RunTaskDefinition>;
    const folder = typeof task.scope === "object" ? task.scope : vscode.workspace.workspaceFolders?.[0];
    if (!experiment || !folder) return undefined;
    // The definition must be the very object that came in, or VS Code doesn't recognise its task again.
    return this.#task(task.definition as RunTaskDefinition, folder);
  }

  /** Starts an experiment's run as a task; `jobs`: only these. */
  async run(experiment: vscode.Uri, jobs?: JobKind[]): Promise<void> {
    requireTrust();
    const folder = vscode.workspace.getWorkspaceFolder(experiment);
    if (!folder) throw new Error(`${experiment.fsPath} lies in no folder of this workspace.`);
    const definition = { type: taskType, experiment: vscode.workspace.asRelativePath(experiment, false) };
    await vscode.tasks.executeTask(this.#task({ ...definition, ...(jobs && { jobs }) }, folder));
  }

  /** Goes on with a run, or joins it where it is running, as a task; `jobs`: these instead of those that it was started with. */
  async resume(runFolder: string, name: string, jobs?: JobKind[]): Promise<void> {
    requireTrust();
    const terminal = this.#terminal(() =>
      this.#service.request("resume", { folder: runFolder, ...(jobs && { jobs }) }, { timeout: 120_000 }),
    );
    const definition = { type: taskType, experiment: name };
    const execution = new vscode.CustomExecution(async () => terminal);
    const task = new vscode.Task(definition, vscode.TaskScope.Workspace, title(name, jobs), "SAE Ensembles", execution);
    await vscode.tasks.executeTask(present(task));
  }

  /** Shows what a run has logged from its beginning, and goes on with it while it is at work. */
  async showLog(runFolder: string, name: string): Promise<void> {
    const terminal = new RunTerminal(this.#service, async () => ({ folder: runFolder, from: 0 }));
    const execution = new vscode.CustomExecution(async () => terminal);
    // Another task than the run's own, which may stand in a terminal of this window.
    const definition = { type: taskType, experiment: runFolder };
    const task = new vscode.Task(definition, vscode.TaskScope.Workspace, `${name}: log`, "SAE Ensembles", execution);
    await vscode.tasks.executeTask(present(task));
  }

  dispose(): void {
    this.#started.dispose();
  }

  #task(definition: RunTaskDefinition, folder: vscode.WorkspaceFolder): vscode.Task {
    const { jobs, runFolder } = definition;
    const experiment = join(folder.uri.fsPath, definition.experiment);
    const params = {
      experiment,
      ...(runFolder && { runFolder: resolve(folder.uri.fsPath, runFolder) }),
      ...(jobs && { jobs }),
    };
    const start = () => this.#service.request("start", params, { timeout: 120_000 });
    const execution = new vscode.CustomExecution(async () => this.#terminal(start));
    const name = title(basename(experiment, ".sae.jsonc"), jobs);
    return present(new vscode.Task(definition, folder, name, "SAE Ensembles", execution));
  }

  #terminal(start: () => Promise<{ folder: string; from: number }>): RunTerminal {
    return new RunTerminal(this.#service, async () => {
      const started = await start();
      this.#started.fire(started.folder);
      return started;
    });
  }
}

/** Code lenses and links reach commands whatever these are enabled for. */
function requireTrust(): void {
  if (!vscode.workspace.isTrusted) throw new Distrust("Runs start only in a trusted workspace.");
}

function title(name: string, jobs: readonly JobKind[] | undefined): string {
  return jobs ? `${name}: ${jobs.join(", ")}` : name;
}

function present(task: vscode.Task): vscode.Task {
  task.isBackground = true;
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, panel: vscode.TaskPanelKind.Dedicated };
  return task;
}

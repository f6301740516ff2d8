// Runs as VS Code tasks of type "sae-ensembles": offered for every experiment file, resolvable from tasks.json, started from commands.
import { basename, join } from "node:path";
import * as vscode from "vscode";
import { taskType } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { RunTerminal } from "./runTerminal.ts";

interface RunTaskDefinition extends vscode.TaskDefinition {
  readonly experiment: string;
}

export class RunTasks implements vscode.TaskProvider {
  readonly #service: ServiceClient;

  constructor(service: ServiceClient) {
    this.#service = service;
  }

  async provideTasks(): Promise<vscode.Task[]> {
    const files = await vscode.workspace.findFiles("**/*.sae.jsonc", "**/node_modules/**", 100);
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

  /** Starts an experiment's run as a task. */
  async run(experiment: vscode.Uri): Promise<void> {
    const folder = vscode.workspace.getWorkspaceFolder(experiment);
    if (!folder) throw new Error(`${experiment.fsPath} lies in no folder of this workspace.`);
    await vscode.tasks.executeTask(
      this.#task({ type: taskType, experiment: vscode.workspace.asRelativePath(experiment, false) }, folder),
    );
  }

  /** Goes on with a run, or joins it where it is running, as a task. */
  async resume(runFolder: string, name: string): Promise<void> {
    const definition = { type: taskType, experiment: name };
    const terminal = new RunTerminal(this.#service, () =>
      this.#service.request("resume", { folder: runFolder }, { timeout: 120_000 }),
    );
    await vscode.tasks.executeTask(
      present(
        new vscode.Task(
          definition,
          vscode.TaskScope.Workspace,
          name,
          "SAE Ensembles",
          new vscode.CustomExecution(async () => terminal),
        ),
      ),
    );
  }

  #task(definition: RunTaskDefinition, folder: vscode.WorkspaceFolder): vscode.Task {
    const file = join(folder.uri.fsPath, definition.experiment);
    const start = () => this.#service.request("start", { experiment: file }, { timeout: 120_000 });
    const execution = new vscode.CustomExecution(async () => new RunTerminal(this.#service, start));
    return present(new vscode.Task(definition, folder, basename(file, ".sae.jsonc"), "SAE Ensembles", execution));
  }
}

function present(task: vscode.Task): vscode.Task {
  task.isBackground = true;
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, panel: vscode.TaskPanelKind.Dedicated };
  return task;
}

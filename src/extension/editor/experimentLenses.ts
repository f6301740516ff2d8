// Code lenses above an experiment file: run it, see its dashboard, browse what it found; and its errors, as the parser of the jobs sees them.
import { basename } from "node:path";
import * as vscode from "vscode";
import { commands, experimentFiles, manageTrust } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";

export class ExperimentLenses implements vscode.CodeLensProvider {
  readonly #store: RunStore;
  readonly onDidChangeCodeLenses: vscode.Event<void>;

  constructor(store: RunStore) {
    this.#store = store;
    this.onDidChangeCodeLenses = store.onChanged;
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const top = new vscode.Range(0, 0, 0, 0);
    const lens = (title: string, command: string, ...args: unknown[]) =>
      new vscode.CodeLens(top, { title, command, arguments: args });
    const run = this.#store.runs.find((candidate) => candidate.experiment === document.uri.fsPath);
    const lenses: vscode.CodeLens[] = [];
    if (run?.state === "running") lenses.push(lens("$(debug-stop) Stop", commands.stopRun, run));
    else if (run?.state === "queued") lenses.push(lens("$(debug-stop) Leave the Queue", commands.stopRun, run));
    else if (!vscode.workspace.isTrusted) lenses.push(lens("$(shield) Trust the Workspace to Run", manageTrust));
    else if (!run || run.state === "damaged")
      lenses.push(
        lens(`$(play) ${isOfImported(document) ? "Evaluate and Index" : "Run"}`, commands.runExperiment, document.uri),
      );
    else if (run.state === "done")
      lenses.push(lens("$(play) Run Again (What Changed)", commands.runExperiment, document.uri));
    else lenses.push(lens("$(debug-continue) Resume", commands.resumeRun, run));
    if (vscode.workspace.isTrusted && run?.state === "done" && run.ensembles.length > 0)
      lenses.push(lens("$(beaker) Evaluate", commands.evaluate, document.uri));
    if (run && run.state !== "damaged") lenses.push(lens("$(graph-line) Dashboard", commands.openDashboard, run));
    const indexed = run?.ensembles.find((ensemble) => ensemble.indexed);
    if (run && indexed)
      lenses.push(lens("$(list-flat) Browse Features", commands.browseFeatures, { run, ensemble: indexed }));
    if (run?.report) lenses.push(lens("$(output) Open Report", commands.openReport, run));
    return lenses;
  }
}

/** Whether there is nothing to train. */
function isOfImported(document: vscode.TextDocument): boolean {
  return /"architecture"\s*:\s*"imported"/.test(document.getText());
}

/** Squiggles for all that is wrong, a moment after each edit. VS Code's own check of the schema says nothing (experimentEditorSchema). */
export class ExperimentChecks implements vscode.Disposable {
  readonly #service: ServiceClient;
  readonly #problems = vscode.languages.createDiagnosticCollection("sae-ensembles");
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #subscriptions: vscode.Disposable[];

  constructor(service: ServiceClient) {
    this.#service = service;
    this.#subscriptions = [
      vscode.workspace.onDidOpenTextDocument((document) => this.#soon(document)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.#soon(document)),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#problems.delete(uri)),
    ];
    for (const document of vscode.workspace.textDocuments) this.#soon(document);
  }

  #soon(document: vscode.TextDocument): void {
    if (!vscode.languages.match(experimentFiles, document)) return;
    const key = document.uri.toString();
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => void this.#check(document), 300),
    );
  }

  async #check(document: vscode.TextDocument): Promise<void> {
    const version = document.version;
    const checked = await this.#service
      .request("check", { file: document.uri.fsPath, text: document.getText() })
      .catch(() => ({ problems: [] }));
    if (document.version !== version || document.isClosed) return;
    const diagnostics = checked.problems.map((problem) => diagnosticOf(document, problem));
    this.#problems.set(document.uri, diagnostics);
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    vscode.Disposable.from(this.#problems, ...this.#subscriptions).dispose();
  }
}

/** `line` and `column` from 1: where the token begins that is marked. */
function diagnosticOf(
  document: vscode.TextDocument,
  { message, severity, line, column }: { message: string; severity: "error" | "warning"; line: number; column: number },
): vscode.Diagnostic {
  const start = new vscode.Position(line - 1, column - 1);
  const [token] = /^("(\\.|[^"\\])*"|[\w.+-]+|.?)/.exec(document.lineAt(start).text.slice(start.character))!;
  const diagnostic = new vscode.Diagnostic(
    new vscode.Range(start, start.translate(0, Math.max(1, token.length))),
    message.replace(document.uri.fsPath, basename(document.uri.fsPath)),
    severity === "error" ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning,
  );
  diagnostic.source = "SAE Ensembles";
  return diagnostic;
}

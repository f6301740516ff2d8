// What is checked inside VS Code's extension host: this file, bundled, is loaded there by VS Code itself. extensionHost.test.ts reports what it finds.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import * as vscode from "vscode";
import { check, runChecks, until } from "./checks.ts";

const id = "sae-ensembles.sae-ensembles";
const extension = () => {
  const found = vscode.extensions.getExtension(id);
  assert.ok(found, "the extension is installed");
  return found;
};
const workspace = () => vscode.workspace.workspaceFolders![0]!.uri.fsPath;
const manifest = () => extension().packageJSON;

/** Native addons that the process has loaded. */
function addons(): string[] {
  const maps = readFileSync("/proc/self/maps", "utf8");
  return [...new Set(maps.split("\n").flatMap((line) => /\S+\.node$/.exec(line)?.[0] ?? []))];
}

/** Processes that the extension host has started and that run the service. */
function services(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = / \d+ \((?:.*)\) \S (?<parent>\d+)/.exec(` ${readFileSync(`/proc/${pid}/stat`, "utf8")}`);
        return (
          Number(parent?.groups?.["parent"]) === process.pid &&
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("service.js")
        );
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

async function openExperiment(name: string, text: string): Promise<vscode.TextDocument> {
  writeFileSync(join(workspace(), name), text);
  const document = await vscode.workspace.openTextDocument(join(workspace(), name));
  await vscode.window.showTextDocument(document);
  return document;
}

check("nothing of ours runs until something asks for it", async () => {
  assert.equal(extension().isActive, false);
  assert.deepEqual(services(), []);
});

check("activation loads no file but the two bundles of ours, and no native module", async () => {
  const before = addons();
  await extension().activate();
  assert.equal(extension().isActive, true);
  // The VS Code that runs this is itself installed in the checkout, under .e2e: its modules are not ours.
  const ours = Object.keys(require.cache).filter(
    (file) =>
      file.startsWith(extension().extensionPath + sep) &&
      !file.startsWith(join(extension().extensionPath, ".e2e") + sep),
  );
  // The second is there once the runs are asked for, just after activate() has returned.
  assert.deepEqual(
    ours.filter((file) => !file.endsWith(`${sep}suite.cjs`) && !file.endsWith(`${sep}talk.cjs`)),
    [join(extension().extensionPath, "dist", "extension.cjs")],
  );
  assert.deepEqual(addons(), before);
});

check("every contributed command is registered", async () => {
  const registered = new Set(await vscode.commands.getCommands(true));
  for (const { command } of manifest().contributes.commands) assert.ok(registered.has(command), command);
});

check("a guide opens as the editor renders Markdown", async () => {
  await vscode.commands.executeCommand("saeEnsembles.openGuide", "glossary");
  const label = () => vscode.window.tabGroups.activeTabGroup.activeTab?.label ?? "";
  await until("its preview is shown", async () => label().includes("glossary"));
  await vscode.commands.executeCommand("workbench.action.closeActiveEditor");
});

check("for every kind of panel that a reload brings back, and that wakes us, somebody fills it", async () => {
  const events = manifest().activationEvents as string[];
  const types = events.flatMap((event) => /^onWebviewPanel:(.*)$/.exec(event)?.[1] ?? []);
  assert.ok(types.length > 3);
  const another: vscode.WebviewPanelSerializer = { deserializeWebviewPanel: async () => {} };
  for (const type of types)
    assert.throws(() => vscode.window.registerWebviewPanelSerializer(type, another), /already registered/, type);
});

check("settings have the defaults and the scopes that the manifest says", async () => {
  const groups = [manifest().contributes.configuration].flat() as {
    properties: Record<string, { default: unknown }>;
  }[];
  for (const { properties } of groups)
    for (const [key, { default: expected }] of Object.entries(properties))
      assert.deepEqual(vscode.workspace.getConfiguration().get(key), expected, key);
});

check("an experiment file is offered as a task, and one of tasks.json is taken over", async () => {
  writeFileSync(join(workspace(), "study.sae.jsonc"), "{}");
  const task = await until("the file is offered", async () =>
    (await vscode.tasks.fetchTasks({ type: "sae-ensembles" })).find(({ name }) => name === "study"),
  );
  assert.deepEqual({ ...task.definition }, { type: "sae-ensembles", experiment: "study.sae.jsonc" });
  const written = (await vscode.tasks.fetchTasks()).find(({ name }) => name === "train it");
  assert.ok(written, "the task of tasks.json is resolved");
  assert.equal(written.definition["experiment"], "missing.sae.jsonc");
  assert.ok(written.execution instanceof vscode.CustomExecution);
  assert.equal(written.isBackground, true);
  rmSync(join(workspace(), "study.sae.jsonc"));
});

/** The exit code of the next task of this name that ends. */
function exitCode(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const listening = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode: code }) => {
      if (execution.task.name !== name) return;
      listening.dispose();
      resolve(code);
    });
  });
}

check("a task whose experiment file is not there ends with exit code 2 and leaves no run", async () => {
  const task = (await vscode.tasks.fetchTasks()).find(({ name }) => name === "train it")!;
  const ended = exitCode("train it");
  await vscode.tasks.executeTask(task);
  assert.equal(await ended, 2);
  assert.equal(existsSync(join(workspace(), "runs", "missing")), false);
});

check(
  "all that is wrong with an experiment file is an error where the jobs' parser found it, and lenses run it",
  async () => {
    const text =
      '{\n  "model_name": "demo",\n  "hook_nam": "x",\n  "lr": -1, "train_batch_size_tokens": 64, "seed": 0.5,\n  "sae": { "architecture": "topq", "k": 4 },\n}\n';
    const document = await openExperiment("wrong.sae.jsonc", text);
    const { uri } = document;
    const problems = await until("the errors are there", () => {
      const ours = vscode.languages.getDiagnostics(uri).filter(({ source }) => source === "SAE Ensembles");
      return ours.length > 0 && ours;
    });
    for (const { severity } of problems) assert.equal(severity, vscode.DiagnosticSeverity.Error);
    const at = (line: number) =>
      problems.filter(({ range }) => range.start.line === line).map(({ message }) => message);
    assert.match(at(2).join("|"), /^hook_nam: found an unknown key[^|]*$/);
    assert.match(at(3).join("|"), /^lr: found -1, expected more than 0\|seed: [^|]*$/);
    assert.match(at(4).join("|"), /^sae\.architecture: found "topq", expected one of "standard", "topk", [^|]*$/);
    // Keys that share a line are marked each for itself.
    const marked = problems.filter(({ range }) => range.start.line > 2).map(({ range }) => document.getText(range));
    assert.deepEqual(marked.sort(), ['"architecture"', '"lr"', '"seed"']);
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", uri, 10);
    assert.ok(lenses.some(({ command }) => command?.command === "saeEnsembles.runExperiment"));
  },
);

check("an experiment of imported SAEs is evaluated and indexed by its lens, since nothing is trained", async () => {
  const { uri } = await openExperiment("theirs.sae.jsonc", '{ "sae": { "architecture": "imported" } }\n');
  const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", uri, 10);
  assert.ok(lenses.some(({ command }) => command?.title === "$(play) Evaluate and Index"));
});

check(
  "keys and values are completed and described from the parser's own schema, which finds no faults itself",
  async () => {
    const text = '{\n  "tr",\n  "lr": -1,\n  "sae": { "architecture": "", "k": 4 }\n}\n';
    const { uri } = await openExperiment("keys.sae.jsonc", text);
    const completed = async (line: number, column: number, wanted: string) =>
      until(`${wanted} is completed`, async () => {
        const position = new vscode.Position(line, column);
        const command = "vscode.executeCompletionItemProvider";
        const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(command, uri, position);
        const labels = items.map(({ label }) => (typeof label === "string" ? label : label.label));
        return labels.includes(wanted) && labels;
      });
    assert.ok((await completed(1, 5, "training_tokens")).includes("train_batch_size_tokens"));
    const architectures = await completed(3, 28, '"topk"');
    for (const name of ["standard", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated"])
      assert.ok(architectures.includes(`"${name}"`), `${architectures}`);
    await until("the key says its default", async () => {
      const command = "vscode.executeHoverProvider";
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(command, uri, new vscode.Position(2, 4));
      return hovers.some(({ contents }) =>
        contents.some((content) => /Default: 0\\?\.0003/.test(typeof content === "string" ? content : content.value)),
      );
    });
    const others = vscode.languages.getDiagnostics(uri).filter(({ source }) => source !== "SAE Ensembles");
    assert.deepEqual(
      others.filter(({ range }) => range.start.line > 1).map(({ message }) => message),
      [],
    );
  },
);

check("the service runs as a process of its own, and is started again after it died", async () => {
  const [first, ...others] = await until("a service runs", () => services().length > 0 && services());
  assert.deepEqual(others, []);
  process.kill(first!);
  await until("it has ended", () => !services().includes(first!));
  const { uri } = await openExperiment("again.sae.jsonc", '{ "model_name": 3 }\n');
  await until("the file is checked", () =>
    vscode.languages.getDiagnostics(uri).some((d) => d.source === "SAE Ensembles"),
  );
  assert.equal(services().length, 1);
});

check("a run's dashboard opens as a panel", async () => {
  await until("the panel is there", async () => {
    await vscode.commands.executeCommand("saeEnsembles.openDashboard");
    return vscode.window.tabGroups.all.some(({ tabs }) =>
      tabs.some(
        ({ input, label }) =>
          input instanceof vscode.TabInputWebview &&
          input.viewType.endsWith("saeEnsembles.runDashboard") &&
          label === "Run: finished",
      ),
    );
  });
});

check("a run's log is shown from its beginning, as a task that ends where the run has ended", async () => {
  const ended = exitCode("finished: log");
  await vscode.commands.executeCommand("saeEnsembles.showLog");
  assert.equal(await ended, 0);
  // One that was stopped has not failed, but what waits for it can't go on either.
  const folder = join(workspace(), "runs", "stopped");
  mkdirSync(folder);
  const record = JSON.parse(readFileSync(join(workspace(), "runs", "finished", "run.json"), "utf8"));
  writeFileSync(join(folder, "run.json"), JSON.stringify({ ...record, name: "stopped", state: "stopped" }));
  const stopped = exitCode("stopped: log");
  await vscode.commands.executeCommand("saeEnsembles.showLog", { folder, name: "stopped" });
  assert.equal(await stopped, undefined);
  rmSync(folder, { recursive: true });
});

check("doctor shows a document that can't be left unsaved", async () => {
  await vscode.commands.executeCommand("saeEnsembles.doctor");
  const { document } = vscode.window.activeTextEditor!;
  assert.deepEqual([document.uri.scheme, document.isDirty], ["sae-ensembles-doctor", false]);
  assert.match(document.getText(), /^✓ Processor /m);
});

check("a run deep in the workspace is known by its experiment's file", async () => {
  const folder = join(workspace(), "deep", "er");
  mkdirSync(folder, { recursive: true });
  const { uri } = await openExperiment(join("deep", "er", "late.sae.jsonc"), "{}");
  cpSync(process.env["SAE_HOST_LATE_RUN"]!, join(folder, "runs", "late"), { recursive: true });
  await until("its lenses open its dashboard", async () => {
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", uri, 10);
    return lenses.some(({ command }) => command?.command === "saeEnsembles.openDashboard");
  });
});

check("after all this the host has loaded no native module of ours", async () => {
  assert.deepEqual(
    addons().filter((file) => file.startsWith(extension().extensionPath)),
    [],
  );
});

/** Called by VS Code. */
export const run = runChecks;

// Loaded by VS Code into its extension host: activates the extension and writes how long its code took to load, how long activate() took, what that loaded, and how long whoever asked had to wait.
import { appendFileSync, readFileSync, statSync } from "node:fs";
import Module from "node:module";
import { dirname, sep } from "node:path";
import * as vscode from "vscode";

/** A line of the file of results; times in milliseconds. */
export interface Activation {
  /** Reading, compiling and running the extension's main file. */
  readonly load: number;
  /** activate(), until it returns. */
  readonly call: number;
  /** What a caller of the extension's activate() waits for: both, and VS Code's own part (the extension's stores are fetched from the window). */
  readonly waited: number;
  /** The same for an extension of one empty function. */
  readonly waitedForEmpty: number;
  readonly files: number;
  readonly bytes: number;
  /** Native addons that came with it. */
  readonly addons: readonly string[];
}

function addons(): string[] {
  const maps = readFileSync("/proc/self/maps", "utf8");
  return [...new Set(maps.split("\n").flatMap((line) => /\S+\.node$/.exec(line)?.[0] ?? []))];
}

type Load = (file: string, ...rest: unknown[]) => unknown;

/** Times the loading of a file and the call of the activate() that it exports; counts the files under its folder that are there when that returns. */
function timed(main: string): { load: number; call: number; files: string[] } {
  const times = { load: Number.NaN, call: Number.NaN, files: [] as string[] };
  const loader = Module as unknown as { _load: Load };
  const original = loader._load;
  loader._load = function (this: unknown, file, ...rest) {
    if (file !== main) return original.call(this, file, ...rest);
    const start = performance.now();
    const loaded = original.call(this, file, ...rest) as { activate(context: unknown): unknown };
    times.load = performance.now() - start;
    loader._load = original;
    return {
      ...loaded,
      activate: (context: unknown) => {
        const called = performance.now();
        const result = loaded.activate(context);
        times.call = performance.now() - called;
        times.files = Object.keys(require.cache).filter((file) => file.startsWith(dirname(main) + sep));
        return result;
      },
    };
  };
  return times;
}

async function waitFor(extension: vscode.Extension<unknown>): Promise<number> {
  if (extension.isActive) throw new Error("it was active before it was asked to be");
  const start = performance.now();
  await extension.activate();
  return performance.now() - start;
}

/** Called by VS Code. */
export async function run(): Promise<void> {
  const extension = vscode.extensions.getExtension("sae-ensembles.sae-ensembles")!;
  const waitedForEmpty = await waitFor(vscode.extensions.getExtension("sae-ensembles.empty")!);
  const before = addons();
  const times = timed(vscode.Uri.joinPath(extension.extensionUri, "dist", "extension.cjs").fsPath);
  const waited = await waitFor(extension);
  const { load, call, files } = times;
  const result: Activation = {
    load,
    call,
    waited,
    waitedForEmpty,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
    addons: addons().filter((file) => !before.includes(file)),
  };
  appendFileSync(process.env["SAE_ACTIVATION_RESULTS"]!, `${JSON.stringify(result)}\n`);
}

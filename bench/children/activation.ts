// Loaded by VS Code into its extension host: activates the extension and writes how long it took and what it loaded.
import { appendFileSync, readFileSync, statSync } from "node:fs";
import { sep } from "node:path";
import * as vscode from "vscode";

function addons(): string[] {
  const maps = readFileSync("/proc/self/maps", "utf8");
  return [...new Set(maps.split("\n").flatMap((line) => /\S+\.node$/.exec(line)?.[0] ?? []))];
}

/** Called by VS Code. */
export async function run(): Promise<void> {
  const extension = vscode.extensions.getExtension("sae-ensembles.sae-ensembles")!;
  if (extension.isActive) throw new Error("it was active before it was asked to be");
  const before = addons();
  const start = performance.now();
  await extension.activate();
  const milliseconds = performance.now() - start;
  const files = Object.keys(require.cache).filter((file) => file.startsWith(`${extension.extensionPath}${sep}dist`));
  appendFileSync(
    process.env["SAE_ACTIVATION_RESULTS"]!,
    `${JSON.stringify({
      milliseconds,
      files: files.length,
      bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
      addons: addons().filter((file) => !before.includes(file)),
    })}\n`,
  );
}

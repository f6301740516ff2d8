// The rule of the house bites: imports go down the list of layers only, and vscode belongs to src/extension. Runs the linter over offenders.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "./fixtures.ts";

const root = join(import.meta.dirname, "..", "..");

/** From the top down, as ARCHITECTURE.md has them. */
const layers = [
  "extension",
  "cli",
  "service",
  "jobs",
  "inspection",
  "features",
  "probing",
  "evaluation",
  "training",
  "engine",
  "sae",
  "model",
  "data",
  "formats",
  "protocol",
];

/** Lints files of the given contents under the project's own configuration; the paths that noRestrictedImports refuses. */
function refused(files: ReadonlyMap<string, string>): Set<string> {
  const folder = temporaryFolder();
  copyFileSync(join(root, "biome.json"), join(folder, "biome.json"));
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const biome = join(root, "node_modules", "@biomejs", "biome", "bin", "biome");
  // As a folder of its own: text on standard input is linted without saying which rule refused it.
  const options = [
    "--only=style/noRestrictedImports",
    "--vcs-enabled=false",
    "--reporter=json",
    "--max-diagnostics=none",
  ];
  const run = spawnSync(process.execPath, [biome, "lint", ...options, "src"], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const line = run.stdout.split("\n").find((text) => text.startsWith("{"));
  assert.ok(line, run.stdout + run.stderr);
  const report = JSON.parse(line) as {
    summary: { unchanged: number; diagnosticsNotPrinted: number };
    diagnostics: { category: string; location: { path: string } }[];
  };
  assert.equal(report.summary.unchanged, files.size, "every file was linted");
  assert.equal(report.summary.diagnosticsNotPrinted, 0);
  for (const { category } of report.diagnostics) assert.equal(category, "lint/style/noRestrictedImports");
  return new Set(
    report.diagnostics.map(({ location }) => location.path.replaceAll("\\", "/").replace(/^.*?src\//, "src/")),
  );
}

test("every folder of src is a layer that the rule knows", () => {
  for (const folder of readdirSync(join(root, "src"), { withFileTypes: true })) {
    if (folder.isDirectory())
      assert.ok(layers.includes(folder.name), `src/${folder.name} has no place among the layers`);
  }
});

test("an import up is refused, one down or within a layer is accepted: every pair of layers", () => {
  const files = new Map<string, string>();
  const upward = new Set<string>();
  for (const [from, layer] of layers.entries()) {
    for (const [to, target] of layers.entries()) {
      for (const [kind, code] of [
        ["value", `import { x } from "../${target}/x.ts";\nexport const y = x;\n`],
        ["type", `import type { X } from "../${target}/x.ts";\nexport type Y = X;\n`],
        ["again", `export { x } from "../${target}/x.ts";\n`],
        ["late", `export const y = await import("../${target}/x.ts");\n`],
      ]) {
        const path = `src/${layer}/${target}_${kind}.ts`;
        files.set(path, code!);
        if (to < from) upward.add(path);
      }
    }
  }
  assert.deepEqual([...refused(files)].sort(), [...upward].sort());
});

test("a folder inside a layer is held to the layer's rule", () => {
  const files = new Map([
    ["src/engine/cpu/up.ts", 'export { x } from "../../training/x.ts";\n'],
    ["src/engine/cpu/down.ts", 'export { x } from "../../sae/x.ts";\n'],
  ]);
  assert.deepEqual(
    [...refused(files)].map((path) => basename(path)),
    ["up.ts"],
  );
});

test("only src/extension may import vscode", () => {
  const files = new Map(layers.map((layer) => [`src/${layer}/editor.ts`, 'export { window } from "vscode";\n']));
  assert.deepEqual(
    [...refused(files)].sort(),
    layers
      .slice(1)
      .map((layer) => `src/${layer}/editor.ts`)
      .sort(),
  );
});

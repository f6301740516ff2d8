// Makes the VSIX for one platform: bundles, the language model of the demo, the binaries of onnxruntime and Dawn, and the Node 24 that runs jobs, each for that platform alone.
// Usage: node scripts/package.ts [--target linux-x64|linux-arm64|darwin-arm64|win32-x64]: the platforms for which npm has onnxruntime, Dawn and Node 24. For win32-arm64 it lacks Node 24, for darwin-x64 onnxruntime.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createVSIX } from "@vscode/vsce";
import { binaryPlatform, sliceFor } from "./binaryPlatform.ts";

/** A VSIX stays below this. */
const mostMegabytes = 100;
const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: { target: { type: "string", default: `${process.platform}-${process.arch}` } },
});
const { target } = values;
const [platform, arch] = target.split("-") as [string, string];
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown> & {
  name: string;
  version: string;
  dependencies: Record<string, string>;
};
const stage = join(root, ".cache", "vsix", target);
const vsix = join(root, `${manifest.name}-${target}-${manifest.version}.vsix`);

const binaries = join("node_modules", "onnxruntime-node", "bin", "napi-v6", platform, arch);
if (!existsSync(join(root, binaries))) throw new Error(`onnxruntime-node has no library for ${target}`);
rmSync(stage, { recursive: true, force: true });
mkdirSync(join(stage, "dist"), { recursive: true });
copyProduct();
copyOnnxRuntime();
copyWebgpu();
copyNode();
refuseForeignBinaries();
await createVSIX({
  cwd: stage,
  target,
  packagePath: vsix,
  dependencies: false,
  skipLicense: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
const megabytes = statSync(vsix).size / 1e6;
console.log(`${vsix} (${megabytes.toFixed(1)} MB)`);
if (megabytes >= mostMegabytes)
  throw new Error(`${vsix} has ${megabytes.toFixed(1)} MB, ${mostMegabytes} is the limit`);

function copyProduct(): void {
  const {
    scripts: _,
    dependencies: __,
    devDependencies: ___,
    allowScripts: ____,
    private: _____,
    bin: ______,
    ...kept
  } = manifest;
  writeFileSync(join(stage, "package.json"), JSON.stringify(kept, null, 2));
  for (const file of ["CHANGELOG.md", "LICENSE", ".vscodeignore"]) cpSync(join(root, file), join(stage, file));
  // The editor shows the README without a network and resolves no paths in it: its pictures travel inside it.
  const readme = readFileSync(join(root, "README.md"), "utf8").replace(
    /\]\((media\/pictures\/[\w-]+\.png)\)/g,
    (_, file: string) => `](data:image/png;base64,${readFileSync(join(root, file)).toString("base64")})`,
  );
  writeFileSync(join(stage, "README.md"), readme);
  cpSync(join(root, "docs"), join(stage, "docs"), { recursive: true });
  const pictures = join(root, "media", "pictures");
  cpSync(join(root, "media"), join(stage, "media"), { recursive: true, filter: (source) => source !== pictures });
  cpSync(join(root, "dist"), join(stage, "dist"), {
    recursive: true,
    filter: (source) => !source.endsWith(".map"),
  });
}

/** onnxruntime-node beside the bundles, where they find it by name; without its installer and without other platforms' libraries. */
function copyOnnxRuntime(): void {
  const modules = join(stage, "dist", "node_modules");
  for (const name of ["onnxruntime-common", "onnxruntime-node"]) {
    const from = join(root, "node_modules", name);
    for (const part of ["package.json", "dist", "LICENSE", "README.md"]) {
      if (!existsSync(join(from, part))) continue;
      cpSync(join(from, part), join(modules, name, part), {
        recursive: true,
        filter: (file) => !/\.(map|d\.ts)$|[\\/]esm[\\/]/.test(file),
      });
    }
  }
  // macOS: the same library under two names; Windows: DirectML and its compilers, which are loaded only where they are asked for.
  const unused = /libonnxruntime\.1\.\d+\.\d+\.dylib$|DirectML\.dll$|dxcompiler\.dll$|dxil\.dll$/;
  cpSync(join(root, binaries), join(stage, "dist", binaries), {
    recursive: true,
    filter: (file) => !unused.test(file),
  });
}

/** Dawn beside the bundles, its library for this platform alone; without it training runs on the processor. */
function copyWebgpu(): void {
  const source = join(root, "node_modules", "webgpu");
  const binaries = join("dist", platform === "darwin" ? "darwin-universal" : `${platform}-${arch}`);
  if (!existsSync(join(source, binaries))) throw new Error(`webgpu has no library for ${target}`);
  const to = join(stage, "dist", "node_modules", "webgpu");
  for (const part of ["package.json", "index.js", "LICENSE.md", binaries])
    cpSync(join(source, part), join(to, part), { recursive: true });
  const library = join(binaries, "dawn.node");
  if (platform === "darwin") writeFileSync(join(to, library), sliceFor(join(source, library), target));
}

/** The runtime, from npm's own packages of it. */
function copyNode(): void {
  const name = platform === "win32" ? "node.exe" : "node";
  const to = join(stage, "dist", "node", name);
  mkdirSync(join(stage, "dist", "node"), { recursive: true });
  if (target === `${process.platform}-${process.arch}`) {
    cpSync(join(root, "node_modules", "node", "bin", name), to, { dereference: true });
  } else {
    const build = nodePackage();
    const cache = join(root, ".cache", "node", build);
    if (!existsSync(join(cache, "package", "bin", name))) {
      mkdirSync(cache, { recursive: true });
      const archive = npm(cache, "pack", "--silent", build).trim();
      execFileSync("tar", ["-xzf", archive], { cwd: cache });
    }
    cpSync(join(cache, "package", "bin", name), to);
  }
  chmodSync(to, 0o755);
}

/** A library of another platform would be dead weight at best. */
function refuseForeignBinaries(): void {
  const foreign = readdirSync(stage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => ![null, target].includes(binaryPlatform(file)));
  if (foreign.length > 0) throw new Error(`not ${target}'s: ${foreign.join(", ")}`);
}

/** The npm package that holds the target's runtime: of the version that we run ourselves or, where the registry lacks that one, the newest of its major version. */
function nodePackage(): string {
  const wanted = manifest.dependencies["node"]!;
  const prefix = target === "darwin-arm64" ? "node-bin" : "node";
  const name = `${prefix}-${platform === "win32" ? "win" : platform}-${arch}`;
  const versions = [JSON.parse(npm(stage, "view", name, "versions", "--json"))].flat() as string[];
  const major = wanted.split(".")[0]!;
  const found = versions.includes(wanted)
    ? wanted
    : versions
        .filter((version) => new RegExp(`^${major}\\.\\d+\\.\\d+$`).test(version))
        .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
        .at(-1);
  if (!found) throw new Error(`npm's registry has no Node ${major} for ${target} (${name})`);
  if (found !== wanted) console.error(`${name}: the registry has no ${wanted}; ${found} is packed instead.`);
  return `${name}@${found}`;
}

/** Its command is a script on Windows, which only a shell runs; no word may have a space in it there. */
function npm(cwd: string, ...words: string[]): string {
  return execFileSync("npm", words, { cwd, encoding: "utf8", shell: process.platform === "win32" });
}

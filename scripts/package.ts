// Makes the VSIX for one platform: bundles, the language model of the demo, the binaries of onnxruntime and Dawn, and the Node that runs jobs, each for that platform alone.
// Usage: node scripts/package.ts [--target linux-x64|linux-arm64|darwin-arm64|win32-x64]: the platforms for which npm has onnxruntime, Dawn and Node. For win32-arm64 it lacks Node 24, for darwin-x64 onnxruntime.
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
import { nodePackage, nodeProgram } from "../src/protocol/carriedNode.ts";
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
  optionalDependencies: Record<string, string>;
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
    optionalDependencies: _______,
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

/** The runtime, from npm's own package of it for the target, in the version that package.json names. */
function copyNode(): void {
  const name = nodeProgram(platform);
  const to = join(stage, "dist", "node", name);
  mkdirSync(join(stage, "dist", "node"), { recursive: true });
  const carried = nodePackage(platform, arch);
  const version = manifest.optionalDependencies[carried];
  if (version === undefined) throw new Error(`package.json names no ${carried}`);
  const installed = join(root, "node_modules", carried, "bin", name);
  if (existsSync(installed)) cpSync(installed, to, { dereference: true });
  else {
    const cache = join(root, ".cache", "node", `${carried}@${version}`);
    if (!existsSync(join(cache, "package", "bin", name))) {
      mkdirSync(cache, { recursive: true });
      const archive = npm(cache, "pack", "--silent", `${carried}@${version}`).trim();
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

function npm(cwd: string, ...words: string[]): string {
  return execFileSync("npm", words, { cwd, encoding: "utf8", shell: process.platform === "win32" });
}

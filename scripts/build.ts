// Builds dist/: the SIMD kernels (AssemblyScript → wasm) and the command line (esbuild). Skips what is up to date.
import { existsSync, globSync, mkdirSync, statSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
process.chdir(root);
mkdirSync("dist", { recursive: true });

await buildKernels();
await build({
  entryPoints: { "sae-ensembles": "src/cli/main.ts" },
  outdir: "dist",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  packages: "external",
  sourcemap: true,
  logLevel: "warning",
});

/** Newest modification time (ms) among files that match the patterns. */
function newest(...patterns: string[]): number {
  return Math.max(...globSync(patterns).map((file) => statSync(file).mtimeMs));
}

/** Compiles src/engine/cpu/kernels into one wasm with plain and one with relaxed SIMD. */
async function buildKernels(): Promise<void> {
  const source = "src/engine/cpu/kernels";
  const stale = ["dist/kernels.wasm", "dist/kernels-relaxed.wasm"].some(
    (file) => !existsSync(file) || statSync(file).mtimeMs < newest(`${source}/*.ts`),
  );
  if (!existsSync(`${source}/index.ts`) || !stale) return;
  const { default: asc } = await import("assemblyscript/asc");
  for (const [outFile, features] of [
    ["dist/kernels.wasm", ["simd", "threads"]],
    ["dist/kernels-relaxed.wasm", ["simd", "threads", "relaxed-simd"]],
  ] as const) {
    const { error, stderr } = await asc.main([
      `${source}/index.ts`,
      ..."-O3 --noAssert --runtime stub --importMemory --noExportMemory --sharedMemory".split(" "),
      ..."--initialMemory 1 --maximumMemory 65536 --enable".split(" "),
      features.join(","),
      "--outFile",
      outFile,
    ]);
    if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  }
}

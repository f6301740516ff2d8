// Builds dist/: the SIMD kernels (AssemblyScript → wasm) and the command line (esbuild). Skips what is up to date.
import { existsSync, globSync, mkdirSync, rmSync, statSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
process.chdir(root);
mkdirSync("dist", { recursive: true });

await buildKernels();
// main.ts has to start under old versions of Node, so what it hands over to is a file of its own; so is what runs in worker threads.
const { metafile } = await build({
  entryPoints: {
    "sae-ensembles": "src/cli/main.ts",
    program: "src/cli/program.ts",
    "cpu-engine-worker": "src/engine/cpu/worker.ts",
  },
  outdir: "dist",
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: true,
  metafile: true,
  logLevel: "warning",
});
for (const file of globSync("dist/*.{js,js.map}")) if (!(file in metafile.outputs)) rmSync(file);

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

// Builds dist/: the SIMD kernels (AssemblyScript → wasm), the command line with the service, the extension and its webviews (esbuild), and the schema of experiment files.
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { experimentEditorSchema } from "../src/jobs/experimentSchema.ts";

process.chdir(join(import.meta.dirname, ".."));
mkdirSync("dist", { recursive: true });

await buildKernels();
await Promise.all([buildJobs(), buildExtension(), buildWebviews()]);
writeFileSync("dist/experiment.schema.json", JSON.stringify(experimentEditorSchema(), null, 2));

/** What runs under Node 24: the command line, the service, worker threads. Only onnxruntime and Dawn's webgpu are left outside, for their native libraries. */
async function buildJobs(): Promise<void> {
  // main.ts has to start under old versions of Node, so what it hands over to is a file of its own; so is what runs in worker threads.
  const { metafile } = await build({
    entryPoints: {
      "sae-ensembles": "src/cli/main.ts",
      program: "src/cli/program.ts",
      service: "src/service/main.ts",
      "cpu-engine-worker": "src/engine/cpu/worker.ts",
      "turning-thread": "src/formats/turningThread.ts",
      "webgpu-device": "src/engine/webgpu/main.ts",
      "model-device": "src/model/device/main.ts",
    },
    outdir: "dist",
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["onnxruntime-node", "webgpu", "node"],
    mainFields: ["module", "main"],
    // Libraries in the old module format ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
    },
    sourcemap: true,
    metafile: true,
    logLevel: "warning",
  });
  // The GPU's kernels are read as text from beside the bundle.
  cpSync("src/engine/webgpu/kernels", "dist/kernels", { recursive: true });
  // esbuild names what it wrote with "/", on Windows too.
  for (const name of readdirSync("dist"))
    if (/\.js(\.map)?$/.test(name) && !(`dist/${name}` in metafile.outputs)) rmSync(join("dist", name));
}

/** The extension host's part: one file that activation loads, one for what is said over lines (talk.ts). No native module. */
async function buildExtension(): Promise<void> {
  await build({
    entryPoints: { extension: "src/extension/extension.ts", talk: "src/extension/talk.ts" },
    outdir: "dist",
    outExtension: { ".js": ".cjs" },
    bundle: true,
    minify: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    // Loaded by require, which is quicker in the extension host than its import.
    supported: { "dynamic-import": false },
    plugins: [talkApart(), oneApi()],
    sourcemap: true,
    logLevel: "warning",
    logOverride: { "import-is-undefined": "error" },
  });
}

/** `import("…/talk.ts")` loads the bundle of that name. */
function talkApart(): Plugin {
  return {
    name: "talk apart",
    setup: ({ onResolve }) => {
      onResolve({ filter: /\/talk\.ts$/ }, ({ kind }) =>
        kind === "dynamic-import" ? { path: "./talk.cjs", external: true } : undefined,
      );
    },
  };
}

/** VS Code's API once a bundle: esbuild would copy its hundreds of names anew for every file that imports it. */
function oneApi(): Plugin {
  return {
    name: "one API",
    setup: ({ onResolve, onLoad }) => {
      onResolve({ filter: /^vscode$/ }, ({ kind }) =>
        kind === "require-call" ? { path: "vscode", external: true } : { path: "vscode", namespace: "api" },
      );
      onLoad({ filter: /.*/, namespace: "api" }, () => {
        const sources = globSync("src/extension/**/*.ts").map((file) => readFileSync(file, "utf8"));
        const used = new Set(sources.flatMap((text) => [...text.matchAll(/\bvscode\.(\w+)/g)].map(([, name]) => name)));
        return { contents: `export const { ${[...used].join(", ")} } = require("vscode");`, resolveDir: "." };
      });
    },
  };
}

async function buildWebviews(): Promise<void> {
  await build({
    entryPoints: {
      "feature-browser": "webview/feature-browser/main.ts",
      "next-token": "webview/next-token/main.ts",
      "ensemble-comparison": "webview/ensemble-comparison/main.ts",
      "run-dashboard": "webview/run-dashboard/main.ts",
      "tensor-file": "webview/tensor-file/main.ts",
      debias: "webview/debias/main.ts",
      concepts: "webview/concepts/main.ts",
    },
    outdir: "dist/webview",
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2024",
    loader: { ".css": "text" },
    logLevel: "warning",
  });
}

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

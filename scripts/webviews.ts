// Bundles the webviews, the extension and the service into dist/.
import { build } from "esbuild";

const shared = { bundle: true, sourcemap: false, logLevel: "warning" } as const;

await build({
  ...shared,
  entryPoints: { "feature-browser": "webview/feature-browser/main.ts", "run-dashboard": "webview/run-dashboard/main.ts" },
  outdir: "dist/webview",
  minify: true,
  platform: "browser",
  format: "esm",
  target: "es2024",
  loader: { ".css": "text" },
});

await build({
  ...shared,
  entryPoints: { extension: "src/extension/extension.ts" },
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
});

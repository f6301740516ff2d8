// Bundles the webviews and the extension into dist/.
import { build } from "esbuild";

const shared = { bundle: true, minify: true, sourcemap: false, logLevel: "warning" } as const;

await build({
  ...shared,
  entryPoints: { "feature-browser": "webview/feature-browser/main.ts" },
  outdir: "dist/webview",
  platform: "browser",
  format: "esm",
  target: "es2024",
});

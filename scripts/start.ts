// `npm start`: packages the extension, opens it in a real VS Code in the browser on a demo workspace, and prints the address.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packagedVsix } from "./packagedVsix.ts";
import { paths, prepareRealVsCode, startVsCode, unavailable } from "./realVsCode.ts";

const root = join(import.meta.dirname, "..");
if (unavailable) {
  console.error(
    `${unavailable}.\nMake the VSIX with "npm run package" and install it in your VS Code: code --install-extension FILE.vsix`,
  );
  process.exit(1);
}
await prepareRealVsCode();
const vsix = packagedVsix();
const state = join(root, ".e2e", "start");
const workspace = join(state, "workspace");
mkdirSync(workspace, { recursive: true });
const experiment = join(workspace, "demo.sae.jsonc");
if (!existsSync(experiment)) copyFileSync(join(root, "media", "demo", "demo.sae.jsonc"), experiment);
const text = join(workspace, "text.txt");
if (!existsSync(text)) writeFileSync(text, "She was a nurse in Boston, and he was a professor. They met in June.\n");
const server = await startVsCode({ vsix, state });
const open = ["openFile", `vscode-remote://${new URL(server.url).host}${experiment}`];
const query = new URLSearchParams({ folder: workspace, payload: JSON.stringify([open]) });
console.log(`
VS Code with SAE Ensembles: ${server.url}?${query}

The demo's experiment is open there: press Run above it. Its run, its ensembles and their features are behind the icon of
nine dots on the left. Once it is done, open text.txt and press the eye above it.
(${paths.node}; Ctrl-C ends VS Code. Runs go on until they are done or stopped.)`);
process.once("SIGINT", async () => {
  await server.stop();
  process.exit(0);
});

// `npm start`: packages the extension, opens it in a real VS Code in the browser on a demo workspace, and prints the address.
import { mkdirSync } from "node:fs";
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
const server = await startVsCode({ vsix, state });
console.log(
  `\nVS Code with SAE Ensembles: ${server.url}?folder=${encodeURIComponent(workspace)}\n(${paths.node}; Ctrl-C ends it. Runs go on until they are done or stopped.)`,
);
process.once("SIGINT", async () => {
  await server.stop();
  process.exit(0);
});

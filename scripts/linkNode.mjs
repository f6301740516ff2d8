// After an install: puts the Node that came along into node_modules/.bin, and so first on the PATH of every script. npm would do so itself, but npm 10 takes the link away again with those of the packages for other platforms. Runs under whatever Node npm has.
import { copyFileSync, existsSync, linkSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const NEEDED = 24;
const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const program = process.platform === "win32" ? "node.exe" : "node";
const carried = Object.keys(optionalDependencies)
  .map((name) => join(modules, name, "bin", program))
  .find((path) => existsSync(path));

if (carried) {
  const to = join(modules, ".bin", program);
  rmSync(to, { force: true });
  try {
    linkSync(carried, to);
  } catch {
    copyFileSync(carried, to);
  }
} else if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  const { platform, arch, versions } = process;
  console.error(
    `npm has no Node ${NEEDED} for ${platform}-${arch}, and this is ${versions.node}: install Node ${NEEDED}.`,
  );
  process.exitCode = 1;
}

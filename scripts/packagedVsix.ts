// The VSIX for this platform, for whoever opens it in a real VS Code: packaged anew only where something in it is newer.
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Its path. What it is made from has to be built. */
export function packagedVsix(): string {
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, string>;
  const vsix = join(root, `${name}-${process.platform}-${process.arch}-${version}.vsix`);
  const parts = globSync(["dist/**", "media/**", "package.json", "package-lock.json", "*.md", "scripts/*.ts"], {
    cwd: root,
  });
  const newest = Math.max(...parts.map((file) => statSync(join(root, file)).mtimeMs));
  if ((statSync(vsix, { throwIfNoEntry: false })?.mtimeMs ?? 0) < newest)
    // What it says is for people to read: whoever packages on the way to something else may print JSON.
    execFileSync(process.execPath, [join(root, "scripts", "package.ts")], { cwd: root, stdio: ["ignore", 2, 2] });
  return vsix;
}

// The Node that we bring along, as npm's own packages hold it, one a platform: which package, and where in it. They are optional dependencies, of which npm installs the one that fits.

/** `platform` and `arch` as Node's process says them. There is none for some. */
export function nodePackage(platform: string, arch: string): string {
  if (platform === "darwin") return `node-bin-darwin-${arch}`;
  return `node-${platform === "win32" ? "win" : platform}-${arch}`;
}

/** File name of the program; in the package it stands in bin/. */
export function nodeProgram(platform: string): string {
  return platform === "win32" ? "node.exe" : "node";
}

// The platform's folder for what can be made or fetched anew.
import { homedir } from "node:os";
import { join } from "node:path";

export function defaultCacheFolder(): string {
  const { platform, env } = process;
  const base =
    platform === "darwin"
      ? join(homedir(), "Library", "Caches")
      : platform === "win32"
        ? (env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"))
        : env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "sae-ensembles");
}

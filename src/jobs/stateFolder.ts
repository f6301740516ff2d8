// The user's own folder on this machine, for what belongs to no workspace: the queue of a device, what was measured on it.
import { mkdirSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Names another folder: for tests, and for machines whose home is not to be written. */
export const STATE_VARIABLE = "SAE_ENSEMBLES_STATE";

/** Made where it isn't there. */
export function stateFolder(): string {
  const { env, platform } = process;
  const home = homedir();
  const usual =
    env[STATE_VARIABLE] ??
    (platform === "win32"
      ? join(env["LOCALAPPDATA"] ?? join(home, "AppData", "Local"), "sae-ensembles")
      : platform === "darwin"
        ? join(home, "Library", "Application Support", "sae-ensembles")
        : join(home, ".local", "state", "sae-ensembles"));
  try {
    mkdirSync(usual, { recursive: true });
    return usual;
  } catch {
    // A home that can't be written (a container's, say).
    const fallback = join(tmpdir(), `sae-ensembles-${userInfo().username}`);
    mkdirSync(fallback, { recursive: true, mode: 0o700 });
    return fallback;
  }
}

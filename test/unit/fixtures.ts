// Where tests find their data: test/golden (always there) and ../shared/data (large, optional: tests that need it skip and say so).
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const root = join(import.meta.dirname, "..", "..");

/** Path of a file under test/golden. */
export function golden(...path: string[]): string {
  return join(root, "test", "golden", ...path);
}

/** A file of the optional data folder, and the `skip` option for tests that need it. */
export function sharedData(...path: string[]): { path: string; skip: string | false } {
  const file = join(process.env["SAE_ENSEMBLES_DATA"] ?? join(root, "..", "shared", "data"), ...path);
  return {
    path: file,
    skip: existsSync(file) ? false : `SKIPPED: ${path.join("/")} is not there; set SAE_ENSEMBLES_DATA`,
  };
}

/** A fresh folder that is gone when the test file ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sae-ensembles-"));
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  return folder;
}

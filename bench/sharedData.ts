// Where the benches' large inputs lie: real models and texts that the repository doesn't carry.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { NotMeasurable } from "./claim.ts";

/** A file below SAE_ENSEMBLES_DATA (default ../shared/data). Throws NotMeasurable where it isn't there. */
export function benchData(...path: string[]): string {
  const folder = process.env["SAE_ENSEMBLES_DATA"] ?? join(import.meta.dirname, "..", "..", "shared", "data");
  const file = join(folder, ...path);
  if (!existsSync(file)) throw new NotMeasurable(`${path.join("/")} is not there; SAE_ENSEMBLES_DATA names its folder`);
  return file;
}

/** SmolLM2-135M, and English film reviews in paragraphs. */
export const smolLm2 = () => benchData("models", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf");
export const reviews = () => benchData("text", "imdb-reviews-30mb.txt.gz");

// Links to Neuronpedia, for members that are published SAEs: their config's metadata names them as SAELens does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

export const NEURONPEDIA = "https://www.neuronpedia.org/";

/** "gpt2-small/0-res-jb": a model and its SAE set; nothing that would lead to another page. */
const idPattern = /^[\w.-]+\/[\w.-]+$/;

const ensembleFile = z.object({ members: z.array(z.string()) });
const memberConfig = z.object({
  neuronpedia_id: z.string().nullish(),
  metadata: z.object({ neuronpedia_id: z.string().nullish() }).nullish(),
});

/** For each member of an ensemble's folder its id on Neuronpedia, or null; all null where the files can't be read. */
export function neuronpediaIds(folder: string): (string | null)[] {
  const read = (...path: string[]): unknown => JSON.parse(readFileSync(join(folder, ...path), "utf8"));
  try {
    return ensembleFile.parse(read("ensemble.json")).members.map((member) => {
      const config = memberConfig.parse(read(member, "cfg.json"));
      const id = config.metadata?.neuronpedia_id ?? config.neuronpedia_id;
      return id && idPattern.test(id) ? id : null;
    });
  } catch {
    return [];
  }
}

/** The page of feature `index` of the SAE. */
export function neuronpediaPage(id: string, index: number): string {
  return `${NEURONPEDIA}${id}/${index}`;
}

// What a report on labelled texts says of its own making: when, by which versions, from which texts and weights, and the command that makes it again.
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import { contentState } from "./fileStates.ts";
import { runPaths } from "./runFolder.ts";
import { versions } from "./versions.ts";

export interface Provenance {
  readonly command: string;
  readonly versions: Readonly<Record<string, string>>;
  /** ISO 8601, UTC: when it was computed. */
  readonly date: string;
  /** Size and checksum of the labelled texts, by path, and of each ensemble's weights, by folder. */
  readonly files: Readonly<Record<string, string>>;
}

interface Sources {
  readonly command: string;
  /** textStates, taken when the texts were read. */
  readonly states: readonly string[];
  readonly trainFile: string;
  readonly testFile?: string;
}

export function provenanceOf(runFolder: string, ensembles: readonly string[], sources: Sources): Provenance {
  const { command, states, trainFile, testFile } = sources;
  const texts = [trainFile, ...(testFile === undefined ? [] : [testFile])].map((file) => resolve(file));
  const folders = ensembles.map((name) => resolve(runPaths(runFolder).ensemble(name)));
  return {
    command,
    versions: versions(),
    date: new Date().toISOString(),
    files: {
      ...Object.fromEntries(texts.map((file, at) => [file, states[at]!])),
      ...Object.fromEntries(folders.map((folder) => [folder, weightsState(folder)])),
    },
  };
}

/** Of the weights of all members, each by samples of its file. */
function weightsState(folder: string): string {
  const files = globSync("member_*/*.safetensors", { cwd: folder }).sort();
  const hash = createHash("sha256");
  for (const file of files) hash.update(contentState(join(folder, file)));
  return `${files.length} ${files.length === 1 ? "member" : "members"} (sample ${hash.digest("hex").slice(0, 12)})`;
}

/** The end of the Markdown. */
export function provenanceLines({ command, versions: used, date, files }: Provenance): string[] {
  return [
    "",
    `Command: \`${command}\`  `,
    `Versions: ${Object.entries(used)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}  `,
    `Computed: ${date}  `,
    `From: ${Object.entries(files)
      .map(([path, state]) => `${path}, ${state}`)
      .join("; ")}`,
    "",
  ];
}

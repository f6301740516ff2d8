// What the editor says of SAEs that were imported: a line for each, and its warnings, by names that tell them apart.
import { type ImportedMember, whatItIs } from "../jobs/importSaes.ts";

/** Each line and each warning begins with its SAE's folder and file. */
export function importMessages(members: readonly ImportedMember[]): { lines: string[]; warnings: string[] } {
  const names = tellingNames(members.map(({ path }) => path));
  const lines = members.map(({ layout, architecture, d_in, d_sae, explained_variance, l0 }, j) => {
    const numbers =
      explained_variance === null || l0 === null
        ? ""
        : `, explained variance ${explained_variance.toFixed(3)}, L0 ${l0.toFixed(1)}`;
    return `${names[j]}: ${whatItIs({ layout, architecture })}, ${d_in} → ${d_sae}${numbers}`;
  });
  const warnings = members.flatMap((member, j) => member.warnings.map((warning) => `${names[j]}: ${warning}`));
  return { lines, warnings };
}

/** The ends of paths, folder/file or as many folders more as tell them apart. */
function tellingNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.split(/[\\/]/).filter((part) => part !== ""));
  const longest = Math.max(...parts.map(({ length }) => length));
  for (let depth = 2; ; depth++) {
    const names = parts.map((one) => one.slice(-depth).join("/"));
    if (new Set(names).size === names.length || depth >= longest) return names;
  }
}

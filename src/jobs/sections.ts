// What the sections of an experiment that use labelled texts have in common: being there, and the command that says the same.
import { type Experiment, ensembleTasks, experimentError } from "./experiment.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";

export function requireSection<Name extends "debias" | "concepts">(
  { settings, file }: Experiment,
  name: Name,
): NonNullable<ExperimentSettings[Name]> {
  const section = settings[name];
  if (section === undefined)
    throw experimentError(file, name, "nothing", `a section "${name}" that names labelled texts`);
  return section;
}

/** Throws InputError where the section names an ensemble that the experiment does not train: it would be said only at the end. */
export function checkEnsembles({ settings, file }: Experiment, name: "debias" | "concepts"): void {
  const names = ensembleTasks(settings).map((task) => task.name);
  for (const [at, wanted] of (settings[name]?.ensembles ?? []).entries())
    if (!names.includes(wanted))
      throw experimentError(
        file,
        `${name}.ensembles.${at}`,
        `"${wanted}"`,
        `an ensemble that is trained: ${names.join(", ")}`,
      );
}

/** `sae-ensembles <words> --option value …`; options that are undefined, null or false are left out, and what a shell would take apart is quoted. */
export function commandLine(
  words: readonly string[],
  options: Readonly<Record<string, string | number | boolean | null | undefined>>,
): string {
  const given = Object.entries(options).flatMap(([name, value]) =>
    value === undefined || value === null || value === false
      ? []
      : [`--${name}`, ...(value === true ? [] : [String(value)])],
  );
  const quoted = (word: string): string =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  return ["sae-ensembles", ...words, ...given].map(quoted).join(" ");
}

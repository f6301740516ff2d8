// What people say about features (flags, labels, notes), in a small JSON file beside the ensemble that is meant for git: a line a feature, merged instead of overwritten.
import { open, readFile, stat } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { isInUse, removePatiently } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import type { MemberRange } from "./decoderRows.ts";
import type { FeatureAnnotation, LabelSource } from "./featureIndex.ts";

const formatVersion = 1;
const featureName = /^(\d+)\/(\d+)$/;

/** Keys that a later version may add are kept as they are. */
const fileSchema = z.looseObject({
  format_version: z.literal(formatVersion),
  features: z.record(
    z.string().regex(featureName, 'a feature\'s name, member/index, like "2/1047"'),
    z.looseObject({
      flagged: z.boolean().optional(),
      label: z.string().optional(),
      label_source: z
        .looseObject({ model: z.string(), detection: z.number().nullable(), passages: z.int().nonnegative() })
        .optional(),
      note: z.string().optional(),
    }),
  ),
});
type AnnotationFile = z.output<typeof fileSchema>;

/** A change to one feature, by its name "member/index". A field that is left out stays; null, "" and false take it away. */
export interface AnnotationEdit {
  readonly feature: string;
  readonly flagged?: boolean;
  readonly label?: string | null;
  readonly label_source?: LabelSource | null;
  readonly note?: string | null;
}

/** A lock older than this was left by a process that died. */
const staleLock = 10_000;

/**
 * The file in memory with edits on top. An edit shows at once; `save` puts the edits of this process, field by field, onto
 * the file as it is on disk at that moment, so that what someone else (another window, git) wrote meanwhile stays.
 */
export class Annotations {
  readonly path: string;
  #file: AnnotationFile;
  #pending: AnnotationEdit[] = [];
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(path: string, file: AnnotationFile) {
    this.path = path;
    this.#file = file;
  }

  /** Reads the file; a missing one is empty. Throws InputError on anything that is not such a file (a merge conflict's markers, say). */
  static async open(path: string): Promise<Annotations> {
    return new Annotations(path, await readAnnotationFile(path));
  }

  /** Whether edits wait to be saved. */
  get dirty(): boolean {
    return this.#pending.length > 0;
  }

  get(feature: string): FeatureAnnotation {
    return Object.hasOwn(this.#file.features, feature) ? (this.#file.features[feature] as FeatureAnnotation) : {};
  }

  /** By global feature id, as FeatureIndex.setAnnotations wants it; names outside the members are left out. */
  byId(members: readonly MemberRange[]): Map<number, FeatureAnnotation> {
    const result = new Map<number, FeatureAnnotation>();
    for (const [name, annotation] of Object.entries(this.#file.features)) {
      const [, member, index] = featureName.exec(name)!;
      const range = members[Number(member)];
      if (range && Number(index) < range.size) result.set(range.first + Number(index), annotation as FeatureAnnotation);
    }
    return result;
  }

  /** Applies edits in memory; returns the edits that undo them. */
  edit(edits: readonly AnnotationEdit[]): AnnotationEdit[] {
    const undo: AnnotationEdit[] = [];
    for (const edit of edits) {
      if (!featureName.test(edit.feature)) throw new RangeError(`${edit.feature}: a feature's name is member/index`);
      const before = this.get(edit.feature);
      undo.unshift({
        feature: edit.feature,
        ...(edit.flagged === undefined ? {} : { flagged: before.flagged ?? false }),
        ...(edit.label === undefined ? {} : { label: before.label ?? null }),
        ...(edit.label_source === undefined ? {} : { label_source: before.label_source ?? null }),
        ...(edit.note === undefined ? {} : { note: before.note ?? null }),
      });
      apply(this.#file, edit);
      this.#pending.push(edit);
    }
    return undo;
  }

  /** Takes over what is on disk now, with unsaved edits on top. */
  async reload(): Promise<void> {
    const file = await readAnnotationFile(this.path);
    for (const edit of this.#pending) apply(file, edit);
    this.#file = file;
  }

  /**
   * Merges the edits into the file on disk and replaces it in one step; whether that brought in what someone else wrote.
   * Calls are carried out one after the other; edits stay pending if writing fails.
   */
  save(): Promise<boolean> {
    const saving = this.#saving.then(() => this.#merge());
    this.#saving = saving.catch(() => {});
    return saving;
  }

  async #merge(): Promise<boolean> {
    const edits = this.#pending.slice();
    if (edits.length === 0) return false;
    const release = await lock(`${this.path}.lock`);
    try {
      const file = await readAnnotationFile(this.path);
      for (const edit of edits) apply(file, edit);
      await writeFileAtomic(this.path, annotationText(file));
      this.#pending.splice(0, edits.length);
      for (const edit of this.#pending) apply(file, edit);
      const before = annotationText(this.#file);
      this.#file = file;
      return annotationText(file) !== before;
    } finally {
      await release();
    }
  }
}

function apply(file: AnnotationFile, { feature, ...fields }: AnnotationEdit): void {
  const annotation: Record<string, unknown> = { ...file.features[feature] };
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (value) annotation[field] = value;
    else delete annotation[field];
  }
  if (Object.keys(annotation).length > 0) file.features[feature] = annotation;
  else delete file.features[feature];
}

async function readAnnotationFile(path: string): Promise<AnnotationFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { format_version: formatVersion, features: {} };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError({
      file: path,
      found: (error as Error).message,
      expected: "JSON (is a git conflict left in it?)",
    });
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw schemaError(path, value, parsed.error, "flags and labels as this program writes them");
}

/** A line a feature, in order of member and index, so that git merges by feature. */
function annotationText(file: AnnotationFile): string {
  const { features, ...rest } = file;
  const key = (name: string) => featureName.exec(name)!.slice(1).map(Number) as [number, number];
  const lines = Object.keys(features)
    .map((name) => ({ name, key: key(name) }))
    .sort((a, b) => a.key[0] - b.key[0] || a.key[1] - b.key[1])
    .map(({ name }) => `    ${JSON.stringify(name)}: ${JSON.stringify(features[name])}`);
  const head = Object.entries(rest).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`);
  return `{\n${head.join("")}  "features": {${lines.length > 0 ? `\n${lines.join(",\n")}\n  ` : ""}}\n}\n`;
}

/** One writer at a time, across processes. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; ; attempt++) {
    try {
      await (await open(path, "wx")).close();
      return () => removePatiently(path);
    } catch (error) {
      // Windows refuses for an instant what another has just removed.
      const patience = (error as NodeJS.ErrnoException).code === "EEXIST" ? 1000 : isInUse(error) ? 20 : 0;
      if (attempt >= patience) throw error;
    }
    const held = await stat(path).catch(() => null);
    if (held && Date.now() - held.mtimeMs > staleLock) await removePatiently(path);
    else await pause(20);
  }
}

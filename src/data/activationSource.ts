// The contract of a stream of activations, and the cursor that lets it go on after a break.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";

/** Rows of activations at one hook, mixed. */
export interface ActivationSource {
  /** Width d. */
  readonly d_in: number;
  /**
   * Exactly `rows` activations [rows, d] float32, or fewer at the end of the last pass and then null for good.
   * The array is the caller's to keep.
   */
  next(rows: number): Promise<{ x: Float32Array; rows: number } | null>;
  /** Where the source stands, as JSON: a source opened with it goes on with the same bits. */
  cursor(): Promise<ActivationCursor>;
  close(): Promise<void>;
}

/** JSON; its content belongs to the source that made it. Large buffers go to files that it names. */
export type ActivationCursor = Readonly<Record<string, unknown>>;

/**
 * A cursor that came back, of the source's own shape and with what decides the order as it is now (`fixed`). Throws
 * InputError naming `folder` and the field.
 */
export function parseCursor<T extends object>(
  folder: string,
  cursor: ActivationCursor,
  schema: z.ZodType<T>,
  start: T,
  fixed: readonly (keyof T & string)[],
): T {
  const parsed = z.object({ cursor: schema }).safeParse({ cursor });
  if (!parsed.success) throw schemaError(folder, { cursor }, parsed.error, "a cursor of this source");
  for (const key of fixed) {
    if (parsed.data.cursor[key] === start[key]) continue;
    const expected = `${start[key]}: the order would not be the one that was interrupted`;
    throw new InputError({ file: folder, where: `cursor.${key}`, found: `${parsed.data.cursor[key]}`, expected });
  }
  return parsed.data.cursor;
}

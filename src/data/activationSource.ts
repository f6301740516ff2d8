// The contract of a stream of activations, and the cursor that lets it go on after a break.

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

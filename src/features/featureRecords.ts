// What is stored of features and windows as blobs: tokens, histogram, sequences, logits, nearest features. Both directions side by side, so that they can't drift apart.
import { RecordReader, RecordWriter } from "./byteRecords.ts";
import type { Histogram, NearestFeature } from "./featureIndex.ts";
import type { IndexRow, IndexWindow } from "./indexWindows.ts";

const writer = new RecordWriter();

/** A ranked token as stored; its text and occurrences stand in the vocabulary. */
export interface StoredToken {
  readonly id: number;
  readonly count: number;
  readonly sum: number;
  readonly max: number;
}

export function packTokens(tokens: readonly StoredToken[]): Uint8Array {
  writer.integer(tokens.length);
  for (const { id, count, sum, max } of tokens) {
    writer.integer(id);
    writer.integer(count);
    writer.float64(sum);
    writer.float32(max);
  }
  return writer.take();
}

/** The first `limit` tokens. */
export function unpackTokens(bytes: Uint8Array, limit = Number.POSITIVE_INFINITY): StoredToken[] {
  const reader = new RecordReader(bytes);
  return Array.from({ length: Math.min(limit, reader.integer()) }, () => ({
    id: reader.integer(),
    count: reader.integer(),
    sum: reader.float64(),
    max: reader.float32(),
  }));
}

export function packHistogram(histogram: { exponent: number; counts: Uint32Array }): Uint8Array {
  writer.signed(histogram.exponent);
  writer.integer(histogram.counts.length);
  for (const count of histogram.counts) writer.integer(count);
  return writer.take();
}

export function unpackHistogram(bytes: Uint8Array): Histogram {
  const reader = new RecordReader(bytes);
  const width = 2 ** reader.signed();
  return { width, counts: Array.from({ length: reader.integer() }, () => reader.integer()) };
}

/** A sequence as stored: its window, and the places in it at which the feature was active. */
export interface StoredSequence {
  readonly window: number;
  readonly peak: number;
  readonly places: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

export interface StoredBand {
  readonly kind: "top" | "quantile";
  readonly quantiles: readonly [number, number];
  readonly range: readonly [number, number];
  readonly sequences: readonly StoredSequence[];
}

export function packBands(bands: readonly StoredBand[]): Uint8Array {
  writer.integer(bands.length);
  for (const band of bands) {
    writer.integer(band.kind === "top" ? 0 : 1);
    for (const quantile of band.quantiles) writer.float64(quantile);
    for (const end of band.range) writer.float32(end);
    writer.integer(band.sequences.length);
    for (const { window, peak, places, values } of band.sequences) {
      writer.integer(window);
      writer.integer(peak);
      writer.integer(places.length);
      for (let e = 0; e < places.length; e++) {
        writer.integer(places[e]! - (e === 0 ? 0 : places[e - 1]!));
        writer.float32(values[e]!);
      }
    }
  }
  return writer.take();
}

export function unpackBands(bytes: Uint8Array): StoredBand[] {
  const reader = new RecordReader(bytes);
  return Array.from({ length: reader.integer() }, () => ({
    kind: reader.integer() === 0 ? ("top" as const) : ("quantile" as const),
    quantiles: [reader.float64(), reader.float64()] as const,
    range: [reader.float32(), reader.float32()] as const,
    sequences: Array.from({ length: reader.integer() }, () => unpackSequence(reader)),
  }));
}

function unpackSequence(reader: RecordReader): StoredSequence {
  const window = reader.integer();
  const peak = reader.integer();
  const places: number[] = [];
  const values: number[] = [];
  for (let left = reader.integer(), place = 0; left > 0; left--) {
    place += reader.integer();
    places.push(place);
    values.push(reader.float32());
  }
  return { window, peak, places, values };
}

export interface StoredLogit {
  readonly id: number;
  readonly logit: number;
}

export function packLogits(logits: { top: readonly StoredLogit[]; bottom: readonly StoredLogit[] }): Uint8Array {
  for (const list of [logits.top, logits.bottom]) {
    writer.integer(list.length);
    for (const { id, logit } of list) {
      writer.integer(id);
      writer.float32(logit);
    }
  }
  return writer.take();
}

export function unpackLogits(bytes: Uint8Array): { top: StoredLogit[]; bottom: StoredLogit[] } {
  const reader = new RecordReader(bytes);
  const list = () =>
    Array.from({ length: reader.integer() }, () => ({ id: reader.integer(), logit: reader.float32() }));
  return { top: list(), bottom: list() };
}

/** One list a member. */
export function packNearest(nearest: readonly (readonly NearestFeature[])[]): Uint8Array {
  writer.integer(nearest.length);
  for (const list of nearest) {
    writer.integer(list.length);
    for (const { id, cosine } of list) {
      writer.integer(id);
      writer.float32(cosine);
    }
  }
  return writer.take();
}

export function unpackNearest(bytes: Uint8Array): NearestFeature[][] {
  const reader = new RecordReader(bytes);
  return Array.from({ length: reader.integer() }, () =>
    Array.from({ length: reader.integer() }, () => ({ id: reader.integer(), cosine: reader.float32() })),
  );
}

/** A token of a window: its id and where in which document it stood (null: in none). */
export interface StoredWindowToken {
  readonly id: number;
  readonly document: number | null;
  readonly start: number;
  readonly end: number;
}

/** About five bytes a token: documents and offsets are written as differences. */
export function packWindow(row: IndexRow, window: IndexWindow): Uint8Array {
  let document = 0;
  let end = 0;
  writer.integer(window.to - window.from);
  for (let t = window.from; t < window.to; t++) {
    const next = Math.max(-1, row.documents[t]!);
    writer.integer(row.ids[t]!);
    writer.signed(next - document);
    writer.signed(row.starts[t]! - end);
    writer.integer(row.ends[t]! - row.starts[t]!);
    document = next;
    end = row.ends[t]!;
  }
  return writer.take();
}

export function unpackWindow(bytes: Uint8Array): StoredWindowToken[] {
  const reader = new RecordReader(bytes);
  let document = 0;
  let end = 0;
  return Array.from({ length: reader.integer() }, () => {
    const id = reader.integer();
    document += reader.signed();
    const start = end + reader.signed();
    end = start + reader.integer();
    return { id, document: document < 0 ? null : document, start, end };
  });
}

// Runs and deltas in a Parquet page, walked without writing a value: hyparquet writes a run as long as it says that it is, and follows deltas anywhere.

/** Values that a writer may put behind the last, to fill a run that is packed by bits. */
const PADDING = 512;

/** An unsigned number of variable length. Without wrapping: one that is too large stays so. */
export function varint(view: DataView, at: number): { value: number; end: number } {
  let value = 0;
  for (let [i, scale] = [at, 1]; ; scale *= 128) {
    const byte = view.getUint8(i++);
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: i };
  }
}

/**
 * Walks runs, of one value each or packed by bits, that hold `count` values of so many bits; how many of those are 1 where they
 * have one bit. Throws RangeError for a run of more, and where the page ends before.
 */
export function checkRuns(view: DataView, at: number, width: number, count: number): number {
  let ones = 0;
  for (let [seen, place] = [0, at]; seen < count; ) {
    const { value: head, end } = varint(view, place);
    const isPacked = head % 2 === 1;
    const length = Math.floor(head / 2) * (isPacked ? 8 : 1);
    const left = count - seen;
    if (length > left + (isPacked ? PADDING : 0))
      throw new RangeError(`a run of ${length} values where ${left} are left`);
    if (width === 1) {
      if (isPacked)
        for (let i = 0; i < Math.min(length, left); i++) ones += (view.getUint8(end + (i >> 3)) >> (i & 7)) & 1;
      else if (view.getUint8(end) === 1) ones += length;
    }
    place = end + (isPacked ? (length / 8) * width : Math.ceil(width / 8));
    seen += length;
  }
  return ones;
}

/** Walks `count` numbers that stand as differences in blocks; where they end, and the sum of those that are positive. */
export function checkDeltas(view: DataView, at: number, count: number): { end: number; sum: number } {
  const block = varint(view, at);
  const parts = varint(view, block.end);
  const total = varint(view, parts.end);
  const each = block.value / parts.value;
  if (!(each >= 8 && each % 8 === 0)) throw new RangeError(`blocks of ${block.value} in ${parts.value} parts`);
  let { value, end } = zigzag(view, total.end);
  let sum = Math.max(0, value);
  for (let seen = 1; seen < count; ) {
    const least = zigzag(view, end);
    const widths = least.end;
    end = widths + parts.value;
    for (let part = 0; part < parts.value && seen < count; part++) {
      const width = view.getUint8(widths + part);
      for (let i = 0; i < each && seen < count; i++, seen++) {
        value += least.value + bits(view, end, i * width, width);
        sum += Math.max(0, value);
      }
      end += (each / 8) * width;
    }
  }
  return { end, sum };
}

function zigzag(view: DataView, at: number): { value: number; end: number } {
  const { value, end } = varint(view, at);
  return { value: value % 2 === 0 ? value / 2 : -(value + 1) / 2, end };
}

function bits(view: DataView, at: number, from: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) {
    const bit = from + i;
    value += ((view.getUint8(at + (bit >> 3)) >> (bit & 7)) & 1) * 2 ** i;
  }
  return value;
}

// Compact byte records: numbers in and out of a blob, little-endian. Knows nothing of what they mean (featureRecords.ts does).

/** Appends numbers to a buffer that grows. */
export class RecordWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** A non-negative integer below 2^53, seven bits a byte. */
  integer(value: number): void {
    this.#reserve(8);
    while (value >= 128) {
      this.#bytes[this.#length++] = (value % 128) + 128;
      value = Math.floor(value / 128);
    }
    this.#bytes[this.#length++] = value;
  }

  /** An integer of either sign. */
  signed(value: number): void {
    this.integer(value < 0 ? -2 * value - 1 : 2 * value);
  }

  float32(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** What was written since the last call, as a copy. */
  take(): Uint8Array {
    const result = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return result;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * this.#bytes.length);
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads what RecordWriter wrote. Reading past the end throws RangeError. */
export class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  integer(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw new RangeError("record ends too early");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  signed(): number {
    const value = this.integer();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  float32(): number {
    this.#position += 4;
    return this.#view.getFloat32(this.#position - 4, true);
  }

  float64(): number {
    this.#position += 8;
    return this.#view.getFloat64(this.#position - 8, true);
  }
}

/** A typed array's bytes, little-endian, without a copy where the machine is little-endian (all that Node 24 runs on are). */
export function bytesOf(values: Uint32Array | Float32Array | Float64Array | Uint16Array): Uint8Array {
  // Node before 24.16 takes an empty view of an empty buffer for NULL.
  return values.byteLength === 0
    ? new Uint8Array(0)
    : new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

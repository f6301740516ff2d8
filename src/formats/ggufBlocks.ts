// GGUF's tensor types: their block sizes, and blocks of quantised values back to float32. Layouts are ggml's.
import { bfloat16ToFloat32, float16ToFloat32 } from "./halfFloats.ts";

export interface GgufType {
  readonly name: string;
  /** Values a block. */
  readonly values: number;
  /** Bytes a block. */
  readonly bytes: number;
  /** Fills out[0…n) from the n / values blocks in `bytes`. Absent: the type can be carried but not converted. */
  readonly decode?: (bytes: Uint8Array, out: Float32Array) => void;
}

/** Values of a super-block of the K types. */
const QK = 256;

/** By the type number in the file. */
export const GGUF_TYPES: ReadonlyMap<number, GgufType> = new Map([
  [0, { name: "F32", values: 1, bytes: 4, decode: (b, out) => out.set(new Float32Array(aligned(b, 4))) }],
  [1, { name: "F16", values: 1, bytes: 2, decode: (b, out) => out.set(float16ToFloat32(words(b))) }],
  [2, { name: "Q4_0", values: 32, bytes: 18, decode: decodeQ4_0 }],
  [3, { name: "Q4_1", values: 32, bytes: 20, decode: decodeQ4_1 }],
  [6, { name: "Q5_0", values: 32, bytes: 22, decode: decodeQ5_0 }],
  [7, { name: "Q5_1", values: 32, bytes: 24, decode: decodeQ5_1 }],
  [8, { name: "Q8_0", values: 32, bytes: 34, decode: decodeQ8_0 }],
  [9, { name: "Q8_1", values: 32, bytes: 36 }],
  [10, { name: "Q2_K", values: QK, bytes: 84, decode: decodeQ2_K }],
  [11, { name: "Q3_K", values: QK, bytes: 110, decode: decodeQ3_K }],
  [12, { name: "Q4_K", values: QK, bytes: 144, decode: decodeQ4_K }],
  [13, { name: "Q5_K", values: QK, bytes: 176, decode: decodeQ5_K }],
  [14, { name: "Q6_K", values: QK, bytes: 210, decode: decodeQ6_K }],
  [15, { name: "Q8_K", values: QK, bytes: 292 }],
  [16, { name: "IQ2_XXS", values: QK, bytes: 66 }],
  [17, { name: "IQ2_XS", values: QK, bytes: 74 }],
  [18, { name: "IQ3_XXS", values: QK, bytes: 98 }],
  [19, { name: "IQ1_S", values: QK, bytes: 50 }],
  [20, { name: "IQ4_NL", values: 32, bytes: 18, decode: decodeIQ4_NL }],
  [21, { name: "IQ3_S", values: QK, bytes: 110 }],
  [22, { name: "IQ2_S", values: QK, bytes: 82 }],
  [23, { name: "IQ4_XS", values: QK, bytes: 136, decode: decodeIQ4_XS }],
  [24, { name: "I8", values: 1, bytes: 1 }],
  [25, { name: "I16", values: 1, bytes: 2 }],
  [26, { name: "I32", values: 1, bytes: 4 }],
  [27, { name: "I64", values: 1, bytes: 8 }],
  [28, { name: "F64", values: 1, bytes: 8 }],
  [29, { name: "IQ1_M", values: QK, bytes: 56 }],
  [30, { name: "BF16", values: 1, bytes: 2, decode: (b, out) => out.set(bfloat16ToFloat32(words(b))) }],
  [34, { name: "TQ1_0", values: QK, bytes: 54 }],
  [35, { name: "TQ2_0", values: QK, bytes: 66 }],
] satisfies [number, GgufType][]);

/** Names of the types that can be converted. */
export const CONVERTIBLE: readonly string[] = [...GGUF_TYPES.values()].filter((type) => type.decode).map((t) => t.name);

/** The bytes' own buffer, copied if they don't begin at a multiple of `alignment`. */
function aligned(bytes: Uint8Array, alignment: number): ArrayBuffer {
  if (bytes.byteOffset % alignment === 0 && bytes.byteLength === bytes.buffer.byteLength)
    return bytes.buffer as ArrayBuffer;
  return bytes.slice().buffer as ArrayBuffer;
}

function words(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(aligned(bytes, 2));
}

/** A table, as a conversion a block would otherwise cost a typed array each. */
let halves: Float32Array | undefined;

/** The float16 at byte `at`. */
function half(bytes: Uint8Array, at: number): number {
  halves ??= float16ToFloat32(Uint16Array.from({ length: 65536 }, (_, i) => i));
  return halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** d, then 32 nibbles: low ones are values 0…15, high ones 16…31. value = d·(q − 8) */
function decodeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 18, o += 32) {
    const d = half(bytes, at);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 2 + i]!;
      out[o + i] = d * ((q & 15) - 8);
      out[o + i + 16] = d * ((q >> 4) - 8);
    }
  }
}

/** d, m, nibbles as in Q4_0. value = d·q + m */
function decodeQ4_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 20, o += 32) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 4 + i]!;
      out[o + i] = Math.fround(d * (q & 15)) + m;
      out[o + i + 16] = Math.fround(d * (q >> 4)) + m;
    }
  }
}

/** d, 32 fifth bits, nibbles. value = d·(q − 16) */
function decodeQ5_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 22, o += 32) {
    const d = half(bytes, at);
    for (let i = 0; i < 32; i++) out[o + i] = d * (fiveBits(bytes, at + 2, i) - 16);
  }
}

/** d, m, 32 fifth bits, nibbles. value = d·q + m */
function decodeQ5_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 24, o += 32) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    for (let i = 0; i < 32; i++) out[o + i] = Math.fround(d * fiveBits(bytes, at + 4, i)) + m;
  }
}

/** Value i of 4 bytes of fifth bits followed by 16 bytes of nibbles. */
function fiveBits(bytes: Uint8Array, at: number, i: number): number {
  const nibbles = bytes[at + 4 + (i & 15)]!;
  const high = (bytes[at + (i >> 3)]! >> (i & 7)) & 1;
  return (i < 16 ? nibbles & 15 : nibbles >> 4) | (high << 4);
}

/** d, 32 signed bytes. value = d·q */
function decodeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 34, o += 32) {
    const d = half(bytes, at);
    for (let i = 0; i < 32; i++) out[o + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
  }
}

/** 16 bytes of scale (low nibble) and minimum (high), 64 bytes of pairs of bits, d, dmin. value = d·scale·q − dmin·min, 16 values a scale. */
function decodeQ2_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 84, o += QK) {
    const d = half(bytes, at + 80);
    const dmin = half(bytes, at + 82);
    for (let i = 0; i < QK; i++) {
      const scale = bytes[at + (i >> 4)]!;
      const value = Math.fround(Math.fround(d * (scale & 15)) * pairOfBits(bytes, at + 16, i));
      out[o + i] = value - Math.fround(dmin * (scale >> 4));
    }
  }
}

/** 32 bytes of third bits, 64 of pairs of bits, 16 six-bit scales in 12 bytes, d. value = d·(scale − 32)·(q − 4), 16 values a scale. */
function decodeQ3_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 110, o += QK) {
    const d = half(bytes, at + 108);
    const packed = at + 96;
    for (let i = 0; i < QK; i++) {
      const group = i >> 4;
      const low = group < 8 ? bytes[packed + group]! & 15 : bytes[packed + group - 8]! >> 4;
      const high = (bytes[packed + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3;
      const third = (bytes[at + (i & 31)]! >> (i >> 5)) & 1;
      const q = pairOfBits(bytes, at + 32, i) | (third << 2);
      out[o + i] = Math.fround(d * ((low | (high << 4)) - 32)) * (q - 4);
    }
  }
}

/** Value i of 64 bytes that hold four runs of 32 pairs of bits each half, the first run lowest. */
function pairOfBits(bytes: Uint8Array, at: number, i: number): number {
  return (bytes[at + (i >> 7) * 32 + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
}

/** What the sixteen nibbles of the IQ4 types stand for. */
const IQ4_VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** d, nibbles as in Q4_0. value = d·table[q] */
function decodeIQ4_NL(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 18, o += 32) fromTable(bytes, at + 2, half(bytes, at), out, o);
}

/** d, upper pairs of bits of 8 scales, their lower nibbles in 4 bytes, nibbles. value = d·(scale − 32)·table[q], 32 values a scale. */
function decodeIQ4_XS(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 136, o += QK) {
    const d = half(bytes, at);
    const upper = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let group = 0; group < 8; group++) {
      const low = (bytes[at + 4 + (group >> 1)]! >> (4 * (group & 1))) & 15;
      const scale = Math.fround(d * ((low | (((upper >> (2 * group)) & 3) << 4)) - 32));
      fromTable(bytes, at + 8 + group * 16, scale, out, o + group * 32);
    }
  }
}

function fromTable(bytes: Uint8Array, at: number, scale: number, out: Float32Array, o: number): void {
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + i]!;
    out[o + i] = scale * IQ4_VALUES[q & 15]!;
    out[o + i + 16] = scale * IQ4_VALUES[q >> 4]!;
  }
}

/** d, dmin, 8 pairs of six-bit scale and minimum in 12 bytes, nibbles. value = d·scale·q − dmin·min, 32 values a scale. */
function decodeQ4_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 144, o += QK) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = scaleAndMin(bytes, at, group);
      const q = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) out[o + group * 32 + i] = Math.fround(scale * ((bytes[q + i]! >> shift) & 15)) - min;
    }
  }
}

/** As Q4_K, with a fifth bit for each value in 32 bytes before the nibbles: bit `group` of byte i. */
function decodeQ5_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 176, o += QK) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = scaleAndMin(bytes, at, group);
      const q = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const high = (bytes[at + 16 + i]! >> group) & 1;
        const value = ((bytes[q + i]! >> shift) & 15) | (high << 4);
        out[o + group * 32 + i] = Math.fround(scale * value) - min;
      }
    }
  }
}

/** Scale and minimum of a group, from a K block's first 16 bytes: groups 0…3 in the low six bits, 4…7 in what is left. */
function scaleAndMin(bytes: Uint8Array, at: number, group: number): { scale: number; min: number } {
  const packed = at + 4;
  let scale: number;
  let min: number;
  if (group < 4) {
    scale = bytes[packed + group]! & 63;
    min = bytes[packed + group + 4]! & 63;
  } else {
    const low = bytes[packed + group + 4]!;
    scale = (low & 15) | ((bytes[packed + group - 4]! >> 6) << 4);
    min = (low >> 4) | ((bytes[packed + group]! >> 6) << 4);
  }
  return { scale: Math.fround(half(bytes, at) * scale), min: Math.fround(half(bytes, at + 2) * min) };
}

/** 128 bytes of low nibbles, 64 of upper pairs of bits, 16 signed scales, d. value = d·scale·(q − 32), 16 values a scale. */
function decodeQ6_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 210, o += QK) {
    const d = half(bytes, at + 208);
    for (let i = 0; i < QK; i++) {
      // Two halves of 128 values; in each, four runs of 32 share their bytes: runs 0, 1 are low nibbles, 2, 3 high ones.
      const side = i >> 7;
      const run = (i >> 5) & 3;
      const column = i & 31;
      const nibbles = bytes[at + side * 64 + (run & 1) * 32 + column]!;
      const low = run < 2 ? nibbles & 15 : nibbles >> 4;
      const high = (bytes[at + 128 + side * 32 + column]! >> (run * 2)) & 3;
      const scale = (bytes[at + 192 + (i >> 4)]! << 24) >> 24;
      out[o + i] = Math.fround(d * scale) * ((low | (high << 4)) - 32);
    }
  }
}

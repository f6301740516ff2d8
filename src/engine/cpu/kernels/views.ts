// Raw, unchecked views of the shared memory, and the few SIMD operations that all kernels use.

/** A plain address of float32 values (`@unmanaged`: no header, no garbage collector), so it is an i32 in an export. */
@unmanaged
export class Floats {
  [key: number]: f32;
  @inline @operator("[]") get(i: u32): f32 { return load<f32>(changetype<usize>(this) + (i << 2)); }
  @inline @operator("[]=") set(i: u32, value: f32): void { store<f32>(changetype<usize>(this) + (i << 2), value); }
  /** The four floats from index i. */
  @inline four(i: u32): v128 { return v128.load(changetype<usize>(this) + (i << 2)); }
  @inline setFour(i: u32, value: v128): void { v128.store(changetype<usize>(this) + (i << 2), value); }
  /** The float at index i, four times. */
  @inline all(i: u32): v128 { return v128.load32_splat(changetype<usize>(this) + (i << 2)); }
  /** The view from index i on. */
  @inline at(i: u32): Floats { return changetype<Floats>(changetype<usize>(this) + (i << 2)); }
  @inline get none(): bool { return changetype<usize>(this) == 0; }
}

/** A plain address of uint32 values. */
@unmanaged
export class Ints {
  [key: number]: u32;
  @inline @operator("[]") get(i: u32): u32 { return load<u32>(changetype<usize>(this) + (i << 2)); }
  @inline @operator("[]=") set(i: u32, value: u32): void { store<u32>(changetype<usize>(this) + (i << 2), value); }
  @inline at(i: u32): Ints { return changetype<Ints>(changetype<usize>(this) + (i << 2)); }
}

/** A plain address of float64 values. */
@unmanaged
export class Doubles {
  [key: number]: f64;
  @inline @operator("[]") get(i: u32): f64 { return load<f64>(changetype<usize>(this) + (i << 3)); }
  @inline @operator("[]=") set(i: u32, value: f64): void { store<f64>(changetype<usize>(this) + (i << 3), value); }
}

/** Columns of a tile: matrices that are walked by latent are stored as [d / 32][rows][32], so that a tile stays in cache. */
export const TILE: u32 = 32;

/** a * b + c; one fused instruction where relaxed SIMD is on. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/** Sum of the four lanes, as (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
export function sum(a: v128): f32 {
  const b = f32x4.add(a, i32x4.shuffle(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(b, 0) + f32x4.extract_lane(b, 1);
}

/** base ** n by squaring. */
export function power(base: f32, n: u32): f32 {
  let result: f32 = 1;
  while (n) {
    if (n & 1) result *= base;
    base *= base;
    n >>= 1;
  }
  return result;
}

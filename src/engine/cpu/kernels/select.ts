// Which latents of a row are active: exact top-k, thresholds, and the k-th largest of a whole batch. key = (u + bias) · norm, u = x·W_enc.
import { Floats, Ints } from "./views";

/** The k-th largest of values[0..count), 1 ≤ k ≤ count; reorders values. */
export function kthLargest(values: Floats, count: i32, k: i32): f32 {
  let left = 0, right = count - 1;
  while (left < right) {
    const pivot = values[(left + right) >> 1];
    let i = left, j = right;
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i <= j) {
        const value = values[i];
        values[i] = values[j];
        values[j] = value;
        i++; j--;
      }
    }
    if (k - 1 <= j) right = j;
    else if (k - 1 >= i) left = i;
    else break;
  }
  return values[k - 1];
}

/** Keeps the k largest of (ids, keys)[0..count) in their order, ties to the first; returns the least kept. */
function keepLargest(ids: Ints, keys: Floats, count: u32, k: u32, copy: Floats): f32 {
  memory.copy(changetype<usize>(copy), changetype<usize>(keys), count << 2);
  const least = kthLargest(copy, count, k);
  let greater: u32 = 0;
  for (let q: u32 = 0; q < count; q++) greater += u32(keys[q] > least);
  let ties = k - greater, kept: u32 = 0;
  for (let q: u32 = 0; q < count; q++) {
    const key = keys[q];
    if (key > least || (key == least && ties > 0)) {
      if (key == least) ties--;
      keys[kept] = key;
      ids[kept++] = ids[q];
    }
  }
  return least;
}

/** Bits of the lanes of keys i..i+16 that exceed limit; 0 quickly where none does. */
// @ts-ignore: decorator
@inline
function above(u: Floats, bias: Floats, norm: Floats, i: u32, limit: v128): u32 {
  const a = f32x4.mul(f32x4.add(u.four(i), bias.four(i)), norm.four(i));
  const b = f32x4.mul(f32x4.add(u.four(i + 4), bias.four(i + 4)), norm.four(i + 4));
  const c = f32x4.mul(f32x4.add(u.four(i + 8), bias.four(i + 8)), norm.four(i + 8));
  const d = f32x4.mul(f32x4.add(u.four(i + 12), bias.four(i + 12)), norm.four(i + 12));
  const most = f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
  if (!v128.any_true(f32x4.gt(most, limit))) return 0;
  return i32x4.bitmask(f32x4.gt(a, limit)) | (i32x4.bitmask(f32x4.gt(b, limit)) << 4)
    | (i32x4.bitmask(f32x4.gt(c, limit)) << 8) | (i32x4.bitmask(f32x4.gt(d, limit)) << 12);
}

/**
 * For each of `rows` rows of u [rows, n]: the k largest positive keys, ties to the lowest index, ascending by index.
 * Row t writes keys and idx at t·k and its number to counts[t]. scale[t] is ‖x_t‖: guess[0]·scale[t] is a first bound
 * that most rows pass (any guess gives the same result); ids, keys and copy are scratch of cap > k + 16.
 */
export function topk(
  u: Floats, rows: u32, n: u32, k: u32, bias: Floats, norm: Floats, scale: Floats, guess: Floats,
  idx: Ints, val: Floats, counts: Ints, ids: Ints, keys: Floats, copy: Floats, cap: u32,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    let limit = max<f32>(0, guess[0] * scale[t]);
    let count = collect(row, n, k, bias, norm, limit, ids, keys, copy, cap);
    if (count < k && limit > 0) count = collect(row, n, k, bias, norm, 0, ids, keys, copy, cap);
    if (count > k) {
      keepLargest(ids, keys, count, k, copy);
      count = k;
    }
    let least = count == k ? keys[0] : 0;
    const to = idx.at(t * k), values = val.at(t * k);
    for (let q: u32 = 0; q < count; q++) {
      to[q] = ids[q];
      values[q] = keys[q];
      least = min(least, keys[q]);
    }
    counts[t] = count;
    if (scale[t] > 0) {
      const ratio = least * <f32>0.93 / scale[t];
      guess[0] = guess[0] > 0 ? guess[0] * <f32>0.95 + ratio * <f32>0.05 : ratio;
    }
  }
}

/** Candidates of one row above limit, at most cap: when they grow too many, the k largest are kept and the limit rises. */
function collect(row: Floats, n: u32, k: u32, bias: Floats, norm: Floats, least: f32, ids: Ints, keys: Floats, copy: Floats, cap: u32): u32 {
  let count: u32 = 0, limit = f32x4.splat(least);
  for (let i: u32 = 0; i < n; i += 16) {
    let mask = above(row, bias, norm, i, limit);
    if (!mask) continue;
    do {
      const at = i + ctz(mask);
      keys[count] = (row[at] + bias[at]) * norm[at];
      ids[count++] = at;
      mask &= mask - 1;
    } while (mask);
    if (count + 16 > cap) {
      limit = f32x4.splat(keepLargest(ids, keys, count, k, copy));
      count = k;
    }
  }
  return count;
}

/** Keys above limit in each row of u [rows, n], to counts; returns their sum. */
export function countAbove(u: Floats, rows: u32, n: u32, bias: Floats, norm: Floats, limit: f32, counts: Ints): u32 {
  let total: u32 = 0;
  const limits = f32x4.splat(limit);
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    let count: u32 = 0;
    for (let i: u32 = 0; i < n; i += 16) count += popcnt(above(row, bias, norm, i, limits));
    counts[t] = count;
    total += count;
  }
  return total;
}

/** The same latents with the values (u + valueBias)·norm, row after row from idx[0]; starts[t] = first + what came before. */
export function emitAbove(
  u: Floats, rows: u32, n: u32, bias: Floats, norm: Floats, limit: f32, valueBias: Floats, idx: Ints, val: Floats, starts: Ints, first: u32,
): void {
  const limits = f32x4.splat(limit);
  let count: u32 = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    starts[t] = first + count;
    for (let i: u32 = 0; i < n; i += 16) {
      let mask = above(row, bias, norm, i, limits);
      while (mask) {
        const at = i + ctz(mask);
        val[count] = (row[at] + valueBias[at]) * norm[at];
        idx[count++] = at;
        mask &= mask - 1;
      }
    }
  }
}

/**
 * The k largest keys among n chosen latents (ids ascending), of any sign, in each row of u [rows, width]; ties to the lowest.
 * positive: values ≤ 0 are dropped afterwards. Row t writes at t·k; keys and copy are scratch of n.
 */
export function topkAmong(
  u: Floats, rows: u32, width: u32, k: u32, among: Ints, n: u32, bias: Floats, norm: Floats, positive: bool,
  idx: Ints, val: Floats, counts: Ints, ids: Ints, keys: Floats, copy: Floats,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * width);
    for (let q: u32 = 0; q < n; q++) {
      const at = among[q];
      ids[q] = at;
      keys[q] = (row[at] + bias[at]) * norm[at];
    }
    if (n > k) keepLargest(ids, keys, n, k, copy);
    const to = idx.at(t * k), values = val.at(t * k);
    let count: u32 = 0;
    for (let q: u32 = 0; q < min(n, k); q++) {
      if (positive && !(keys[q] > 0)) continue;
      to[count] = ids[q];
      values[count++] = keys[q];
    }
    counts[t] = count;
  }
}

/** Gathers the keys of rows [0, rows) of a list into `to`, one after another; returns how many. */
export function gatherKeys(val: Floats, starts: Ints, counts: Ints, rows: u32, to: Floats): u32 {
  let at: u32 = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const count = counts[t];
    memory.copy(changetype<usize>(to.at(at)), changetype<usize>(val.at(starts[t])), count << 2);
    at += count;
  }
  return at;
}

/** Number of keys of rows [0, rows) greater than (equal = false) or equal to the limit. */
export function countKeys(val: Floats, starts: Ints, counts: Ints, rows: u32, limit: f32, equal: bool): u32 {
  let total: u32 = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const row = val.at(starts[t]);
    for (let q: u32 = 0; q < counts[t]; q++) total += u32(equal ? row[q] == limit : row[q] > limit);
  }
  return total;
}

/** Keeps, in rows [0, rows), keys above limit and the first `ties` keys equal to it, in order; returns the ties left. */
export function keepAbove(idx: Ints, val: Floats, starts: Ints, counts: Ints, rows: u32, limit: f32, ties: u32): u32 {
  for (let t: u32 = 0; t < rows; t++) {
    const ids = idx.at(starts[t]), keys = val.at(starts[t]), count = counts[t];
    let kept: u32 = 0;
    for (let q: u32 = 0; q < count; q++) {
      const key = keys[q];
      if (!(key > limit) && !(key == limit && ties > 0)) continue;
      if (key == limit) ties--;
      keys[kept] = key;
      ids[kept++] = ids[q];
    }
    counts[t] = kept;
  }
  return ties;
}

/** JumpReLU on candidates: keeps f = pre where pre > θ, and f = 0 with bit 31 set where pre is only in the band |pre − θ| < ε/2; both get bit 31. */
export function jumpRelu(idx: Ints, val: Floats, starts: Ints, counts: Ints, rows: u32, theta: Floats, bandwidth: f32): void {
  for (let t: u32 = 0; t < rows; t++) {
    const ids = idx.at(starts[t]), values = val.at(starts[t]), count = counts[t];
    let kept: u32 = 0;
    for (let q: u32 = 0; q < count; q++) {
      const i = ids[q], pre = values[q], limit = theta[i], z = (pre - limit) / bandwidth;
      const band = z > -0.5 && z < 0.5;
      if (!(pre > limit) && !band) continue;
      values[kept] = pre > limit ? pre : 0;
      ids[kept++] = i | (u32(band) << 31);
    }
    counts[t] = kept;
  }
}

/** Gated SAE: from gates π = u + b_gate > 0 (idx, gates), the latents whose magnitude u·e^r + b_mag is positive, to (idxTo, to) at the same starts. */
export function magnitudes(
  idx: Ints, gates: Floats, starts: Ints, counts: Ints, rows: u32, bGate: Floats, expR: Floats, bMag: Floats,
  idxTo: Ints, to: Floats, countsTo: Ints,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const first = starts[t], count = counts[t];
    let kept: u32 = 0;
    for (let q = first; q < first + count; q++) {
      const i = idx[q], magnitude = (gates[q] - bGate[i]) * expR[i] + bMag[i];
      if (!(magnitude > 0)) continue;
      idxTo[first + kept] = i;
      to[first + kept++] = magnitude;
    }
    countsTo[t] = kept;
  }
}

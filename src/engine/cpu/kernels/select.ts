// Which latents of a row are active: exact top-k, thresholds, and the k-th largest of a whole batch. key = (u + bias) · norm, u = x·W_enc.
import { Floats, Ints } from "./views";

/** Bins of a histogram in kthLargest, and the words of its `table`. */
const BINS: u32 = 256;
/** Values among which the k-th largest is found by comparing each with all. */
const FEW: u32 = 12;

/** Bits of a float that compare as unsigned numbers like the floats themselves; and back. */
// @ts-ignore: decorator
@inline
function ordered(bits: u32): u32 {
  return bits ^ (u32(i32(bits) >> 31) | 0x80000000);
}

// @ts-ignore: decorator
@inline
function unordered(bits: u32): f32 {
  return reinterpret<f32>(bits >> 31 ? bits ^ 0x80000000 : ~bits);
}

/**
 * The k-th largest of values[0..count), 1 ≤ k ≤ count; overwrites values. By a histogram between least and largest, and again in the bin
 * where the k-th lies: no branch depends on a value.
 */
export function kthLargest(values: Floats, count: u32, k: u32, table: Ints): f32 {
  const bits = changetype<Ints>(values);
  for (let q: u32 = 0; q < count; q++) bits[q] = ordered(bits[q]);
  while (count > FEW) {
    let low: u32 = u32.MAX_VALUE, high: u32 = 0;
    for (let q: u32 = 0; q < count; q++) {
      low = min(low, bits[q]);
      high = max(high, bits[q]);
    }
    if (low == high) return unordered(low);
    const shift = u32(max(0, 24 - i32(clz(high - low))));
    memory.fill(changetype<usize>(table), 0, BINS << 2);
    for (let q: u32 = 0; q < count; q++) {
      const bin = (bits[q] - low) >> shift;
      table[bin] = table[bin] + 1;
    }
    let bin: u32 = 0, before = table[0];
    while (before <= count - k) before += table[++bin];
    if (shift == 0) return unordered(low + bin);
    k -= count - before;
    let kept: u32 = 0;
    for (let q: u32 = 0; q < count; q++) {
      const value = bits[q];
      bits[kept] = value;
      kept += u32((value - low) >> shift == bin);
    }
    count = kept;
  }
  return kthOfFew(bits, count, k);
}

function kthOfFew(bits: Ints, count: u32, k: u32): f32 {
  for (let q: u32 = 0; q < count; q++) {
    const value = bits[q];
    let greater: u32 = 0, same: u32 = 0;
    for (let r: u32 = 0; r < count; r++) {
      greater += u32(bits[r] > value);
      same += u32(bits[r] == value);
    }
    if (greater < k && k <= greater + same) return unordered(value);
  }
  return NaN;
}

/** Keeps the k largest of (ids, keys)[0..count) in their order, ties to the first; returns the least kept. */
function keepLargest(ids: Ints, keys: Floats, count: u32, k: u32, copy: Floats, table: Ints): f32 {
  memory.copy(changetype<usize>(copy), changetype<usize>(keys), count << 2);
  const least = kthLargest(copy, count, k, table);
  let greater: u32 = 0;
  for (let q: u32 = 0; q < count; q++) greater += u32(keys[q] > least);
  let ties = k - greater, kept: u32 = 0;
  for (let q: u32 = 0; q < count; q++) {
    const key = keys[q], id = ids[q], tie = u32(key == least) & u32(ties > 0);
    keys[kept] = key;
    ids[kept] = id;
    kept += u32(key > least) | tie;
    ties -= tie;
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
 * that most rows pass (any guess gives the same result); ids, keys and copy are scratch of cap > k + 16, table of BINS.
 */
export function topk(
  u: Floats, rows: u32, n: u32, k: u32, bias: Floats, norm: Floats, scale: Floats, guess: Floats,
  idx: Ints, val: Floats, counts: Ints, ids: Ints, keys: Floats, copy: Floats, table: Ints, cap: u32,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    let limit = max<f32>(0, guess[0] * scale[t]);
    let count = collect(row, n, k, bias, norm, limit, ids, keys, copy, table, cap);
    if (count < k && limit > 0) {
      limit = boundOfBlocks(row, n, k, bias, norm, copy, table);
      count = collect(row, n, k, bias, norm, limit, ids, keys, copy, table, cap);
    }
    let least: f32 = 0;
    if (count > k) {
      least = keepLargest(ids, keys, count, k, copy, table);
      count = k;
    } else if (count == k) {
      least = keys[0];
      for (let q: u32 = 1; q < count; q++) least = keys[q] < least ? keys[q] : least;
    }
    memory.copy(changetype<usize>(idx.at(t * k)), changetype<usize>(ids), count << 2);
    memory.copy(changetype<usize>(val.at(t * k)), changetype<usize>(keys), count << 2);
    counts[t] = count;
    if (scale[t] > 0) {
      const ratio = least * <f32>0.93 / scale[t];
      guess[0] = guess[0] > 0 ? guess[0] * <f32>0.95 + ratio * <f32>0.05 : ratio;
    }
  }
}

/**
 * A bound that at least k keys of a row exceed, or 0: just under the k-th largest of the maxima of disjoint blocks of 16 keys, since each
 * of the k largest blocks has a key of that size.
 */
function boundOfBlocks(row: Floats, n: u32, k: u32, bias: Floats, norm: Floats, maxima: Floats, table: Ints): f32 {
  if (n < 16 * k) return 0;
  let blocks: u32 = 0;
  for (let i: u32 = 0; i < n; i += 64) {
    let most = f32x4.splat(0);
    for (let j = i; j < min(n, i + 64); j += 4) most = f32x4.pmax(most, f32x4.mul(f32x4.add(row.four(j), bias.four(j)), norm.four(j)));
    maxima.setFour(blocks, most);
    blocks += 4;
  }
  const bound = kthLargest(maxima, blocks, k, table);
  return bound > 0 ? reinterpret<f32>(reinterpret<u32>(bound) - 1) : 0;
}

/** Candidates of one row above limit, at most cap: when they grow too many, the k largest are kept and the limit rises. */
function collect(
  row: Floats, n: u32, k: u32, bias: Floats, norm: Floats, least: f32, ids: Ints, keys: Floats, copy: Floats, table: Ints, cap: u32,
): u32 {
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
      limit = f32x4.splat(keepLargest(ids, keys, count, k, copy, table));
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

/** Adds to bins[b] how many keys have bits in [lowest + b·2^shift, lowest + (b + 1)·2^shift), for all bins below lowest + span. limit: a float just under `lowest`, from 0. */
export function countBits(
  u: Floats, rows: u32, n: u32, bias: Floats, norm: Floats, limit: f32, lowest: u32, span: u32, shift: u32, bins: Ints,
): void {
  const limits = f32x4.splat(limit);
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    for (let i: u32 = 0; i < n; i += 16) {
      let mask = above(row, bias, norm, i, limits);
      while (mask) {
        const at = i + ctz(mask);
        const over = reinterpret<u32>((row[at] + bias[at]) * norm[at]) - lowest;
        if (over < span) {
          const bin = over >> shift;
          bins[bin] = bins[bin] + 1;
        }
        mask &= mask - 1;
      }
    }
  }
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
  idx: Ints, val: Floats, counts: Ints, ids: Ints, keys: Floats, copy: Floats, table: Ints,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * width);
    for (let q: u32 = 0; q < n; q++) {
      const at = among[q];
      ids[q] = at;
      keys[q] = (row[at] + bias[at]) * norm[at];
    }
    if (n > k) keepLargest(ids, keys, n, k, copy, table);
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

// Gradients of both weight rows of each latent from its active pairs, tile by tile. Two lists of pairs may contribute: the codes', and AuxK's or the gates'.
import { Floats, Ints, madd, sum, TILE } from "./views";

// @ts-ignore: decorator
@inline
function has(off: Ints, i: u32): bool {
  return changetype<usize>(off) != 0 && off[i] != off[i + 1];
}

/**
 * For latents [i0, i1): GD[i] = Σ v·factor·G[row] + pen[i]·W[i], on top of what an earlier list left, and codes[q] (+)= factor·⟨G[row], W[i]⟩.
 * All of GD, W [n, 32] and G [B, 32] are tiles. Returns Σ GD² of the latents that no later list touches. Two loops over a latent's pairs,
 * as sums and products together don't fit in the registers.
 */
export function decoderGradient(
  GD: Floats, W: Floats, G: Floats, off: Ints, rowOf: Ints, valueOf: Floats, codes: Floats,
  i0: u32, i1: u32, pen: Floats, earlier: Ints, later: Ints, factor: f32, first: bool,
): f64 {
  let squares: f64 = 0;
  for (let i = i0; i < i1; i++) {
    const begin = off[i], end = off[i + 1];
    if (begin == end) continue;
    const w = W.at(i * TILE);
    squares += decoderRow(GD.at(i * TILE), w, G, rowOf, valueOf, begin, end, pen, i, has(earlier, i), !has(later, i), factor);
    productsWithRow(w, G, rowOf, codes, begin, end, factor, first);
  }
  return squares;
}

// @ts-ignore: decorator
@inline
function decoderRow(
  to: Floats, w: Floats, G: Floats, rowOf: Ints, valueOf: Floats, begin: u32, end: u32, pen: Floats, i: u32, more: bool, last: bool, factor: f32,
): f64 {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  if (more) {
    a0 = to.four(0); a1 = to.four(4); a2 = to.four(8); a3 = to.four(12);
    a4 = to.four(16); a5 = to.four(20); a6 = to.four(24); a7 = to.four(28);
  }
  if (!pen.none) {
    const p = pen.all(i);
    a0 = madd(p, w.four(0), a0); a1 = madd(p, w.four(4), a1); a2 = madd(p, w.four(8), a2); a3 = madd(p, w.four(12), a3);
    a4 = madd(p, w.four(16), a4); a5 = madd(p, w.four(20), a5); a6 = madd(p, w.four(24), a6); a7 = madd(p, w.four(28), a7);
  }
  let q = begin;
  do {
    const g = G.at((rowOf[q] & 0x7fffffff) * TILE), v = f32x4.splat(valueOf[q] * factor);
    a0 = madd(v, g.four(0), a0); a1 = madd(v, g.four(4), a1); a2 = madd(v, g.four(8), a2); a3 = madd(v, g.four(12), a3);
    a4 = madd(v, g.four(16), a4); a5 = madd(v, g.four(20), a5); a6 = madd(v, g.four(24), a6); a7 = madd(v, g.four(28), a7);
  } while (++q < end);
  to.setFour(0, a0); to.setFour(4, a1); to.setFour(8, a2); to.setFour(12, a3);
  to.setFour(16, a4); to.setFour(20, a5); to.setFour(24, a6); to.setFour(28, a7);
  if (!last) return 0;
  let s = f32x4.mul(a0, a0), r = f32x4.mul(a1, a1);
  s = madd(a2, a2, s); r = madd(a3, a3, r); s = madd(a4, a4, s); r = madd(a5, a5, r); s = madd(a6, a6, s); r = madd(a7, a7, r);
  return sum(f32x4.add(s, r));
}

/** codes[q] (+)= factor·⟨G[row], w⟩ of pairs [begin, end) of one latent. */
// @ts-ignore: decorator
@inline
function productsWithRow(w: Floats, G: Floats, rowOf: Ints, codes: Floats, begin: u32, end: u32, factor: f32, first: bool): void {
  const w0 = w.four(0), w1 = w.four(4), w2 = w.four(8), w3 = w.four(12), w4 = w.four(16), w5 = w.four(20), w6 = w.four(24), w7 = w.four(28);
  let q = begin;
  do {
    const g = G.at((rowOf[q] & 0x7fffffff) * TILE);
    let s = f32x4.mul(g.four(0), w0), r = f32x4.mul(g.four(4), w1);
    s = madd(g.four(8), w2, s); r = madd(g.four(12), w3, r); s = madd(g.four(16), w4, s); r = madd(g.four(20), w5, r);
    s = madd(g.four(24), w6, s); r = madd(g.four(28), w7, r);
    const dot = sum(f32x4.add(s, r)) * factor;
    codes[q] = first ? dot : codes[q] + dot;
  } while (++q < end);
}

/** For latents [i0, i1): GE[i] = Σ c·X[row], on top of an earlier list; X is a tile, GE points at the tile's first column of rows of width d. Returns Σ GE². */
export function encoderGradient(
  GE: Floats, d: u32, X: Floats, off: Ints, rowOf: Ints, codes: Floats, i0: u32, i1: u32, earlier: Ints, later: Ints,
): f64 {
  let squares: f64 = 0;
  for (let i = i0; i < i1; i++) {
    let q = off[i];
    const end = off[i + 1];
    if (q == end) continue;
    const to = GE.at(i * d);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    if (has(earlier, i)) {
      a0 = to.four(0); a1 = to.four(4); a2 = to.four(8); a3 = to.four(12);
      a4 = to.four(16); a5 = to.four(20); a6 = to.four(24); a7 = to.four(28);
    }
    do {
      const x = X.at((rowOf[q] & 0x7fffffff) * TILE), c = codes.all(q);
      a0 = madd(c, x.four(0), a0); a1 = madd(c, x.four(4), a1); a2 = madd(c, x.four(8), a2); a3 = madd(c, x.four(12), a3);
      a4 = madd(c, x.four(16), a4); a5 = madd(c, x.four(20), a5); a6 = madd(c, x.four(24), a6); a7 = madd(c, x.four(28), a7);
    } while (++q < end);
    to.setFour(0, a0); to.setFour(4, a1); to.setFour(8, a2); to.setFour(12, a3);
    to.setFour(16, a4); to.setFour(20, a5); to.setFour(24, a6); to.setFour(28, a7);
    if (!has(later, i)) {
      let s = f32x4.mul(a0, a0), r = f32x4.mul(a1, a1);
      s = madd(a2, a2, s); r = madd(a3, a3, r); s = madd(a4, a4, s); r = madd(a5, a5, r); s = madd(a6, a6, s); r = madd(a7, a7, r);
      squares += sum(f32x4.add(s, r));
    }
  }
  return squares;
}

/** out [d] = Σ sumCodes[i]·W_enc[i] over latents [i0, i1): what centring the input by b_dec gives b_dec's gradient. */
export function biasGradient(W: Floats, sumCodes: Floats, i0: u32, i1: u32, d: u32, out: Floats): void {
  for (let j: u32 = 0; j < d; j += 4) out.setFour(j, f32x4.splat(0));
  for (let i = i0; i < i1; i++) {
    const c = sumCodes[i];
    if (c == 0) continue;
    const w = W.at(i * d), factor = f32x4.splat(c);
    for (let j: u32 = 0; j < d; j += 4) out.setFour(j, madd(factor, w.four(j), out.four(j)));
  }
}

/** out[i] = Σ of list values over the latent's pairs, 0 where there are none. */
export function sumByLatent(off: Ints, values: Floats, i0: u32, i1: u32, out: Floats): void {
  for (let i = i0; i < i1; i++) {
    let total: f32 = 0;
    for (let q = off[i]; q < off[i + 1]; q++) total += values[q];
    out[i] = total;
  }
}

/** fired[i] = 1 where one of the latent's codes is positive. */
export function firedLatents(off: Ints, valueOf: Floats, i0: u32, i1: u32, fired: Ints): void {
  for (let i = i0; i < i1; i++) {
    let any: u32 = 0;
    for (let q = off[i]; q < off[i + 1] && !any; q++) any = u32(valueOf[q] > 0);
    fired[i] = any;
  }
}

/** Σ (v·norm)^p of each row's pairs (idx, val as listed), to powers[t]. */
export function rowPowers(idx: Ints, val: Floats, starts: Ints, counts: Ints, rows: u32, norm: Floats, p: f32, powers: Floats): void {
  for (let t: u32 = 0; t < rows; t++) {
    let total: f64 = 0;
    for (let q = starts[t]; q < starts[t] + counts[t]; q++) {
      const a = val[q] * norm[idx[q]];
      total += p == 1 ? a : Math.pow(a, p);
    }
    powers[t] = f32(total);
  }
}

/** Slope of the penalty λ/B·(Σ (f n)^p)^(1/p) by f·n at one pair; rowFactor[t] = (Σ (f n)^p)^(1/p − 1). */
// @ts-ignore: decorator
@inline
function slope(weight: f32, a: f32, row: u32, p: f32, rowFactor: Floats): f32 {
  return p == 1 ? weight : weight * rowFactor[row] * f32(Math.pow(a, p - 1));
}

/** pen[i] = Σ slope·v / norm[i]: the penalty's gradient by ‖W_dec,i‖, as a multiple of W_dec,i. */
export function penalties(
  off: Ints, rowOf: Ints, valueOf: Floats, i0: u32, i1: u32, norm: Floats, weight: f32, p: f32, rowFactor: Floats, pen: Floats,
): void {
  for (let i = i0; i < i1; i++) {
    const n = norm[i];
    let total: f32 = 0;
    for (let q = off[i]; q < off[i + 1]; q++) total += valueOf[q] * slope(weight, valueOf[q] * n, rowOf[q], p, rowFactor);
    pen[i] = n > 0 ? total / n : 0;
  }
}

/** codes[q] += slope·norm[i]: the penalty's part of a code's gradient. */
export function addPenalty(
  off: Ints, rowOf: Ints, valueOf: Floats, codes: Floats, i0: u32, i1: u32, norm: Floats, weight: f32, p: f32, rowFactor: Floats,
): void {
  for (let i = i0; i < i1; i++) {
    const n = norm[i];
    for (let q = off[i]; q < off[i + 1]; q++) codes[q] += n * slope(weight, valueOf[q] * n, rowOf[q], p, rowFactor);
  }
}

/**
 * JumpReLU: the straight-through gradient of θ from pairs in the band, −(θ/ε)·∂L/∂f − λ/(ε·B), and codes[q] = 0 where the code is 0.
 * perBand = λ/(ε·B).
 */
export function thresholdGradient(
  off: Ints, rowOf: Ints, valueOf: Floats, codes: Floats, i0: u32, i1: u32, theta: Floats, bandwidth: f32, perBand: f32, out: Floats,
): void {
  for (let i = i0; i < i1; i++) {
    let total: f32 = 0;
    for (let q = off[i]; q < off[i + 1]; q++) {
      if (rowOf[q] >> 31) total -= theta[i] / bandwidth * codes[q] + perBand;
      if (!(valueOf[q] > 0)) codes[q] = 0;
    }
    out[i] = total;
  }
}

/**
 * Gated: codes of the magnitudes become gradients of u = x·W_enc (times e^r); gradients of b_mag and r_mag on the way:
 * gMag = Σ ∂L/∂f, gR = Σ ∂L/∂f·(f − b_mag).
 */
export function magnitudeGradient(
  off: Ints, valueOf: Floats, codes: Floats, i0: u32, i1: u32, expR: Floats, bMag: Floats, gMag: Floats, gR: Floats,
): void {
  for (let i = i0; i < i1; i++) {
    let mag: f32 = 0, r: f32 = 0;
    for (let q = off[i]; q < off[i + 1]; q++) {
      const c = codes[q];
      mag += c;
      r += c * (valueOf[q] - bMag[i]);
      codes[q] = c * expR[i];
    }
    gMag[i] = mag;
    gR[i] = r;
  }
}

/** Removes from GD (all tiles, [d/32][n][32]) the part parallel to W of each touched latent; returns Σ GD² after it. eps is added to the norm. */
export function removeParallel(GD: Floats, W: Floats, n: u32, d: u32, norm: Floats, a: Ints, b: Ints, i0: u32, i1: u32, eps: f32): f64 {
  let squares: f64 = 0;
  for (let i = i0; i < i1; i++) {
    if (!has(a, i) && !has(b, i)) continue;
    let dot: f32 = 0;
    for (let j: u32 = 0; j < d; j += TILE) {
      const g = GD.at(j * n + i * TILE), w = W.at(j * n + i * TILE);
      let s = f32x4.splat(0);
      for (let q: u32 = 0; q < TILE; q += 4) s = madd(g.four(q), w.four(q), s);
      dot += sum(s);
    }
    const length = norm[i] + eps, factor = f32x4.splat(-dot / (length * length));
    for (let j: u32 = 0; j < d; j += TILE) {
      const g = GD.at(j * n + i * TILE), w = W.at(j * n + i * TILE);
      let s = f32x4.splat(0);
      for (let q: u32 = 0; q < TILE; q += 4) {
        const value = madd(factor, w.four(q), g.four(q));
        g.setFour(q, value);
        s = madd(value, value, s);
      }
      squares += sum(s);
    }
  }
  return squares;
}

/** Σ values², for vectors, in float64. */
export function squaresOf(values: Floats, n: u32): f64 {
  let total: f64 = 0;
  for (let i: u32 = 0; i < n; i++) total += f64(values[i]) * f64(values[i]);
  return total;
}

// Work on rows of the batch: normalise, centre, copy into tiles; and grouping of the active (row, latent) pairs by latent.
import { Doubles, Floats, Ints, madd, sum, TILE } from "./views";

/**
 * Rows [r0, r0 + rows) of x [B, d]: xc = (x − mu)·inScale − b_dec, to `block` [rows, d] (for the matrix product), to tiles XT,
 * and length[t] = ‖xc‖. width is the true number of columns: those beyond it stay 0.
 */
export function center(
  x: Floats,
  bDec: Floats,
  inScale: Floats,
  inShift: Floats,
  block: Floats,
  XT: Floats,
  length: Floats,
  r0: u32,
  rows: u32,
  B: u32,
  d: u32,
  width: u32,
): void {
  for (let t: u32 = 0; t < rows; t++) {
    const from = x.at((r0 + t) * d),
      to = block.at(t * d);
    const scale = f32x4.splat(inScale[r0 + t]),
      shift = f32x4.splat(inShift[r0 + t]);
    let squares = f32x4.splat(0);
    for (let j: u32 = 0; j < d; j += 4) {
      to.setFour(j, f32x4.sub(f32x4.mul(f32x4.sub(from.four(j), shift), scale), bDec.four(j)));
    }
    for (let j = width; j < d; j++) to[j] = 0;
    for (let j: u32 = 0; j < d; j += TILE) {
      const tile = XT.at(j * B + (r0 + t) * TILE);
      for (let q: u32 = 0; q < TILE; q += 4) {
        const value = to.four(j + q);
        squares = madd(value, value, squares);
        tile.setFour(q, value);
      }
    }
    length[t] = sqrt<f32>(sum(squares));
  }
}

/**
 * Pairs of latents [i0, i1) sorted by latent (rows ascending): off[i0 + 1 .. i1], and for each pair its row and value.
 * Bit 31 of an index is carried over to its row. norm, where given, turns keys into codes of the plain decoder, key / norm, so that
 * x̂ = Σ code·W_dec whether or not keys were scaled. cursor is scratch [n].
 */
export function group(
  idx: Ints,
  val: Floats,
  starts: Ints,
  counts: Ints,
  rows: u32,
  i0: u32,
  i1: u32,
  norm: Floats,
  off: Ints,
  cursor: Ints,
  rowOf: Ints,
  valueOf: Floats,
): void {
  for (let i = i0; i < i1; i++) cursor[i] = 0;
  let before: u32 = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const end = starts[t] + counts[t];
    for (let q = starts[t]; q < end; q++) {
      const i = idx[q] & 0x7fffffff;
      if (i < i0) before++;
      else if (i < i1) cursor[i]++;
    }
  }
  if (i0 == 0) off[0] = 0;
  for (let i = i0; i < i1; i++) {
    const count = cursor[i];
    cursor[i] = before;
    before += count;
    off[i + 1] = before;
  }
  for (let t: u32 = 0; t < rows; t++) {
    const end = starts[t] + counts[t];
    for (let q = starts[t]; q < end; q++) {
      const flagged = idx[q],
        i = flagged & 0x7fffffff;
      if (i < i0 || i >= i1) continue;
      const to = cursor[i]++;
      rowOf[to] = t | (flagged & 0x80000000);
      valueOf[to] = !norm.none && norm[i] > 0 ? val[q] / norm[i] : val[q];
    }
  }
}

/** Every row of a tile [rows, 32] becomes bias[0..32). */
export function fillTile(out: Floats, bias: Floats, rows: u32): void {
  for (let q: u32 = 0; q < TILE; q += 4) {
    const value = bias.four(q);
    for (let t: u32 = 0; t < rows; t++) out.at(t * TILE).setFour(q, value);
  }
}

/** out [rows, 32] += v · W[i] over the pairs of latents [i0, i1); W is a tile [n, 32]. */
export function scatter(out: Floats, W: Floats, off: Ints, rowOf: Ints, valueOf: Floats, i0: u32, i1: u32): void {
  for (let i = i0; i < i1; i++) {
    let q = off[i];
    const end = off[i + 1];
    if (q == end) continue;
    const w = W.at(i * TILE);
    const w0 = w.four(0),
      w1 = w.four(4),
      w2 = w.four(8),
      w3 = w.four(12),
      w4 = w.four(16),
      w5 = w.four(20),
      w6 = w.four(24),
      w7 = w.four(28);
    do {
      const v = valueOf.all(q),
        to = out.at((rowOf[q] & 0x7fffffff) * TILE);
      to.setFour(0, madd(v, w0, to.four(0)));
      to.setFour(4, madd(v, w1, to.four(4)));
      to.setFour(8, madd(v, w2, to.four(8)));
      to.setFour(12, madd(v, w3, to.four(12)));
      to.setFour(16, madd(v, w4, to.four(16)));
      to.setFour(20, madd(v, w5, to.four(20)));
      to.setFour(24, madd(v, w6, to.four(24)));
      to.setFour(28, madd(v, w7, to.four(28)));
    } while (++q < end);
  }
}

/** to += from, n floats. */
export function addInto(to: Floats, from: Floats, n: u32): void {
  for (let j: u32 = 0; j < n; j += 4) to.setFour(j, f32x4.add(to.four(j), from.four(j)));
}

/**
 * From a decoded tile: e = decoded·outScale + outShift − x, then tile ← factor·e·outScale (the gradient of the decoded values).
 * x points at the tile's first column of x [B, d]. sums[0..32) ← Σ_t of what was written; returns Σ e² over `columns` columns.
 */
export function residual(
  tile: Floats,
  x: Floats,
  d: u32,
  columns: u32,
  rows: u32,
  outScale: Floats,
  outShift: Floats,
  factor: f32,
  sums: Floats,
): f64 {
  let squares: f64 = 0;
  for (let q: u32 = 0; q < TILE; q += 4) sums.setFour(q, f32x4.splat(0));
  for (let t: u32 = 0; t < rows; t++) {
    const e = tile.at(t * TILE),
      from = x.at(t * d);
    const scale = f32x4.splat(outScale[t]),
      shift = f32x4.splat(outShift[t]),
      f = f32x4.splat(factor);
    let s = f32x4.splat(0);
    for (let q: u32 = 0; q < TILE; q += 4) {
      const value = q < columns ? f32x4.sub(madd(e.four(q), scale, shift), from.four(q)) : f32x4.splat(0);
      e.setFour(q, value);
    }
    for (let q = columns; q < TILE; q++) e[q] = 0;
    for (let q: u32 = 0; q < TILE; q += 4) {
      const value = e.four(q),
        gradient = f32x4.mul(f32x4.mul(value, f), scale);
      s = madd(value, value, s);
      e.setFour(q, gradient);
      sums.setFour(q, f32x4.add(sums.four(q), gradient));
    }
    squares += sum(s);
  }
  return squares;
}

/** The same for AuxK: with G = factor·(x̂ − x) the residual is −G/factor; aux ← factor·(ê − e). Returns Σ (ê − e)². */
export function auxResidual(aux: Floats, G: Floats, rows: u32, factor: f32): f64 {
  let squares: f64 = 0;
  const f = f32x4.splat(factor),
    inverse = f32x4.splat(1 / factor);
  for (let t: u32 = 0; t < rows; t++) {
    const e = aux.at(t * TILE),
      g = G.at(t * TILE);
    let s = f32x4.splat(0);
    for (let q: u32 = 0; q < TILE; q += 4) {
      const value = madd(g.four(q), inverse, e.four(q));
      s = madd(value, value, s);
      e.setFour(q, f32x4.mul(value, f));
    }
    squares += sum(s);
  }
  return squares;
}

/** Copies a decoded tile [rows, 32] into columns of out [rows, d]: out = tile·outScale + outShift. */
export function untile(tile: Floats, out: Floats, d: u32, rows: u32, outScale: Floats, outShift: Floats): void {
  for (let t: u32 = 0; t < rows; t++) {
    const e = tile.at(t * TILE),
      to = out.at(t * d),
      scale = f32x4.splat(outScale[t]),
      shift = f32x4.splat(outShift[t]);
    for (let q: u32 = 0; q < TILE; q += 4) to.setFour(q, madd(e.four(q), scale, shift));
  }
}

/** Column sums of rows [0, rows) of x [rows, d] to sums [d], float64; returns Σ x². */
export function moments(x: Floats, d: u32, rows: u32, sums: Doubles): f64 {
  let squares: f64 = 0;
  for (let j: u32 = 0; j < d; j++) sums[j] = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const row = x.at(t * d);
    let s = f64x2.splat(0);
    for (let j: u32 = 0; j < d; j += 4) {
      const value = row.four(j),
        low = f64x2.promote_low_f32x4(value),
        high = f64x2.promote_low_f32x4(i32x4.shuffle(value, value, 2, 3, 0, 1));
      const at = changetype<usize>(sums) + (j << 3);
      v128.store(at, f64x2.add(v128.load(at), low));
      v128.store(at, f64x2.add(v128.load(at, 16), high), 16);
      s = f64x2.add(s, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
    }
    squares += f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
  }
  return squares;
}

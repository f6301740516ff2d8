// Adam on rows of latents: those with a gradient, those coasting on their momentum, and those at rest, whose decay is made up for when they next have a gradient.
import { Floats, Ints, madd, power, TILE } from "./views";

const SKIP: u32 = 0,
  ACTIVE: u32 = 1,
  COAST: u32 = 2;
/** Momentum over root of the second moment below which a coasting row is at rest: what is left to move is under lr·1e-9. */
const REST: f32 = 1e-10;

/**
 * What each latent of [i0, i1) needs at this step (the count of steps after it), and the decay of its moments since last[i].
 * Bit 31 of last[i] says that the row is at rest.
 */
export function modes(
  a: Ints,
  b: Ints,
  last: Ints,
  step: u32,
  i0: u32,
  i1: u32,
  beta1: f32,
  beta2: f32,
  mode: Ints,
  decayM: Floats,
  decayV: Floats,
  largest: Floats,
): void {
  for (let i = i0; i < i1; i++) {
    const active = a[i] != a[i + 1] || (changetype<usize>(b) != 0 && b[i] != b[i + 1]);
    mode[i] = active ? ACTIVE : beta1 > 0 && !(last[i] >> 31) ? COAST : SKIP;
    if (mode[i] == SKIP) continue;
    const gap = step - (last[i] & 0x7fffffff);
    decayM[i] = power(beta1, gap);
    decayV[i] = power(beta2, gap);
    largest[i] = 0;
  }
}

/**
 * One Adam step on slices [i·stride, i·stride + width) of latents [i0, i1). oneM = (1 − beta1)·clip, oneV = (1 − beta2)·clip²;
 * lr and eps carry the bias corrections. M is 0 for beta1 = 0. squares[i] (+)= Σ p² after the step, where given.
 */
export function adamRows(
  P: Floats,
  M: Floats,
  V: Floats,
  G: Floats,
  stride: u32,
  width: u32,
  i0: u32,
  i1: u32,
  mode: Ints,
  decayM: Floats,
  decayV: Floats,
  oneM: f32,
  oneV: f32,
  lr: f32,
  eps: f32,
  squares: Floats,
  first: bool,
  largest: Floats,
): void {
  const O1 = f32x4.splat(oneM),
    O2 = f32x4.splat(oneV),
    L = f32x4.splat(lr),
    E = f32x4.splat(eps);
  for (let i = i0; i < i1; i++) {
    const kind = mode[i];
    if (kind == SKIP) continue;
    const p = P.at(i * stride),
      m = M.at(i * stride),
      v = V.at(i * stride),
      g = G.at(i * stride),
      B1 = decayM.all(i),
      B2 = decayV.all(i);
    let s = f32x4.splat(0);
    if (kind == COAST) {
      let most = f32x4.splat(0);
      for (let j: u32 = 0; j < width; j += 4) {
        const mj = f32x4.mul(m.four(j), B1),
          vj = f32x4.mul(v.four(j), B2);
        m.setFour(j, mj);
        v.setFour(j, vj);
        const move = f32x4.div(mj, f32x4.add(f32x4.sqrt(vj), E)),
          pj = f32x4.sub(p.four(j), f32x4.mul(L, move));
        most = f32x4.pmax(most, f32x4.abs(move));
        p.setFour(j, pj);
        s = madd(pj, pj, s);
      }
      largest[i] = max(
        largest[i],
        max(
          max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
          max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
        ),
      );
    } else if (M.none) {
      for (let j: u32 = 0; j < width; j += 4) {
        const gj = g.four(j),
          vj = madd(f32x4.mul(gj, gj), O2, f32x4.mul(v.four(j), B2));
        v.setFour(j, vj);
        const pj = f32x4.sub(p.four(j), f32x4.mul(L, f32x4.div(f32x4.mul(gj, O1), f32x4.add(f32x4.sqrt(vj), E))));
        p.setFour(j, pj);
        s = madd(pj, pj, s);
      }
    } else {
      for (let j: u32 = 0; j < width; j += 4) {
        const gj = g.four(j),
          mj = madd(gj, O1, f32x4.mul(m.four(j), B1)),
          vj = madd(f32x4.mul(gj, gj), O2, f32x4.mul(v.four(j), B2));
        m.setFour(j, mj);
        v.setFour(j, vj);
        const pj = f32x4.sub(p.four(j), f32x4.mul(L, f32x4.div(mj, f32x4.add(f32x4.sqrt(vj), E))));
        p.setFour(j, pj);
        s = madd(pj, pj, s);
      }
    }
    if (!squares.none) {
      const total =
        f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2) + (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
      squares[i] = first ? total : squares[i] + total;
    }
  }
}

/** After both matrices: norms, when last updated, whether at rest, and the counters of silent steps. */
export function finishRows(
  i0: u32,
  i1: u32,
  mode: Ints,
  squares: Floats,
  norm: Floats,
  last: Ints,
  step: u32,
  largest: Floats,
  fired: Ints,
  silent: Ints,
): void {
  for (let i = i0; i < i1; i++) {
    silent[i] = fired[i] ? 0 : silent[i] + 1;
    if (mode[i] == SKIP) continue;
    norm[i] = sqrt<f32>(squares[i]);
    last[i] = step | (u32(mode[i] == COAST && largest[i] < REST) << 31);
  }
}

/** ‖W_i‖ of all latents [i0, i1) from tiles. */
export function rowNorms(W: Floats, n: u32, d: u32, i0: u32, i1: u32, norm: Floats): void {
  for (let i = i0; i < i1; i++) {
    let total: f32 = 0;
    for (let j: u32 = 0; j < d; j += TILE) {
      const w = W.at(j * n + i * TILE);
      let s = f32x4.splat(0);
      for (let q: u32 = 0; q < TILE; q += 4) s = madd(w.four(q), w.four(q), s);
      total +=
        f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2) + (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
    }
    norm[i] = sqrt<f32>(total);
  }
}

/** Decoder rows that moved go back to norm 1: W_i / (‖W_i‖ + eps). */
export function unitRows(W: Floats, n: u32, d: u32, i0: u32, i1: u32, mode: Ints, norm: Floats, eps: f32): void {
  for (let i = i0; i < i1; i++) {
    if (mode[i] == SKIP) continue;
    const factor = f32x4.splat(1 / (norm[i] + eps));
    for (let j: u32 = 0; j < d; j += TILE) {
      const w = W.at(j * n + i * TILE);
      for (let q: u32 = 0; q < TILE; q += 4) w.setFour(q, f32x4.mul(w.four(q), factor));
    }
  }
}

/** Adam on a vector, every entry every step. M is 0 for beta1 = 0. */
export function adamVector(
  P: Floats,
  M: Floats,
  V: Floats,
  G: Floats,
  i0: u32,
  i1: u32,
  beta1: f32,
  oneM: f32,
  beta2: f32,
  oneV: f32,
  lr: f32,
  eps: f32,
): void {
  for (let i = i0; i < i1; i++) {
    const g = G[i],
      v = V[i] * beta2 + oneV * g * g;
    let m = oneM * g;
    if (!M.none) {
      m += M[i] * beta1;
      M[i] = m;
    }
    V[i] = v;
    P[i] -= lr * (m / (sqrt<f32>(v) + eps));
  }
}

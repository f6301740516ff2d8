// Element-wise work of dense steps: activations of whole blocks, and masks with column sums on the way back.
import { Floats, madd, sum } from "./views";

/** u [rows, n] += bias. */
export function addBias(u: Floats, rows: u32, n: u32, bias: Floats): void {
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    for (let i: u32 = 0; i < n; i += 4) row.setFour(i, f32x4.add(row.four(i), bias.four(i)));
  }
}

/** u [rows, n] ← u where u > theta, else 0; powers[t] = Σ u·norm of what is left. Returns how many are left. */
export function threshold(u: Floats, rows: u32, n: u32, theta: Floats, norm: Floats, powers: Floats): u32 {
  let active: u32 = 0;
  for (let t: u32 = 0; t < rows; t++) {
    const row = u.at(t * n);
    let power = f32x4.splat(0), count = i32x4.splat(0);
    for (let i: u32 = 0; i < n; i += 4) {
      const value = row.four(i), on = f32x4.gt(value, theta.four(i)), kept = v128.and(value, on);
      count = i32x4.sub(count, on);
      power = madd(kept, norm.four(i), power);
      row.setFour(i, kept);
    }
    powers[t] = sum(power);
    active += i32x4.extract_lane(count, 0) + i32x4.extract_lane(count, 1) + i32x4.extract_lane(count, 2) + i32x4.extract_lane(count, 3);
  }
  return active;
}

/**
 * Gradients by codes [rows, width] become gradients by pre-activations: where the code is positive, plus perNorm·norm. Adds to the
 * column sums of those and of the codes. With z (jumprelu: pre-activations) also the threshold's straight-through gradient.
 * width is a multiple of 4 nowhere guaranteed: the rest of each row goes one by one.
 */
export function maskCodes(
  codes: Floats, values: Floats, z: Floats, rows: u32, width: u32, norm: Floats, perNorm: f32,
  theta: Floats, bandwidth: f32, perBand: f32, sums: Floats, valueSums: Floats, thetaSums: Floats,
): void {
  const half = f32x4.splat(0.5), minus = f32x4.splat(-0.5), zero = f32x4.splat(0), eps = f32x4.splat(bandwidth), band4 = f32x4.splat(perBand), per = f32x4.splat(perNorm);
  const even = width & ~3;
  for (let t: u32 = 0; t < rows; t++) {
    const g = codes.at(t * width), f = values.at(t * width), pre = z.at(t * width);
    for (let i: u32 = 0; i < even; i += 4) {
      const value = f.four(i), gradient = g.four(i);
      if (!z.none) {
        const limit = theta.four(i), u = f32x4.div(f32x4.sub(pre.four(i), limit), eps);
        const band = v128.and(f32x4.gt(u, minus), f32x4.lt(u, half));
        const move = f32x4.add(f32x4.mul(f32x4.div(limit, eps), gradient), band4);
        thetaSums.setFour(i, f32x4.sub(thetaSums.four(i), v128.and(band, move)));
      }
      const c = v128.and(f32x4.gt(value, zero), madd(per, norm.four(i), gradient));
      g.setFour(i, c);
      sums.setFour(i, f32x4.add(sums.four(i), c));
      valueSums.setFour(i, f32x4.add(valueSums.four(i), value));
    }
    for (let i = even; i < width; i++) {
      const value = f[i], gradient = g[i];
      if (!z.none) {
        const u = (pre[i] - theta[i]) / bandwidth;
        if (u > -0.5 && u < 0.5) thetaSums[i] -= theta[i] / bandwidth * gradient + perBand;
      }
      const c = value > 0 ? gradient + perNorm * norm[i] : <f32>0;
      g[i] = c;
      sums[i] += c;
      valueSums[i] += value;
    }
  }
}

// The encoder's matrix product without the native library: pre = X · W_encᵀ for a block of rows.
import { Floats, madd } from "./views";

/** C [m, n] = A [m, d] · W [n, d]ᵀ, n a multiple of 8, d of 4; panel is scratch of 8 · d. Any m: the last rows may be computed twice. */
export function gemm(A: Floats, W: Floats, C: Floats, panel: Floats, m: u32, n: u32, d: u32): void {
  const last = m - 1;
  for (let i: u32 = 0; i < n; i += 8) {
    pack(W.at(i * d), panel, d);
    for (let t: u32 = 0; t < m; t += 6) {
      const t1 = min(t + 1, last),
        t2 = min(t + 2, last),
        t3 = min(t + 3, last),
        t4 = min(t + 4, last),
        t5 = min(t + 5, last);
      const a0 = A.at(t * d),
        a1 = A.at(t1 * d),
        a2 = A.at(t2 * d),
        a3 = A.at(t3 * d),
        a4 = A.at(t4 * d),
        a5 = A.at(t5 * d);
      const zero = f32x4.splat(0);
      let c00 = zero,
        c01 = zero,
        c10 = zero,
        c11 = zero,
        c20 = zero,
        c21 = zero,
        c30 = zero,
        c31 = zero,
        c40 = zero,
        c41 = zero,
        c50 = zero,
        c51 = zero;
      for (let j: u32 = 0; j < d; j++) {
        const x = panel.four(8 * j),
          y = panel.four(8 * j + 4);
        let s = a0.all(j);
        c00 = madd(s, x, c00);
        c01 = madd(s, y, c01);
        s = a1.all(j);
        c10 = madd(s, x, c10);
        c11 = madd(s, y, c11);
        s = a2.all(j);
        c20 = madd(s, x, c20);
        c21 = madd(s, y, c21);
        s = a3.all(j);
        c30 = madd(s, x, c30);
        c31 = madd(s, y, c31);
        s = a4.all(j);
        c40 = madd(s, x, c40);
        c41 = madd(s, y, c41);
        s = a5.all(j);
        c50 = madd(s, x, c50);
        c51 = madd(s, y, c51);
      }
      let o = C.at(t * n + i);
      o.setFour(0, c00);
      o.setFour(4, c01);
      o = C.at(t1 * n + i);
      o.setFour(0, c10);
      o.setFour(4, c11);
      o = C.at(t2 * n + i);
      o.setFour(0, c20);
      o.setFour(4, c21);
      o = C.at(t3 * n + i);
      o.setFour(0, c30);
      o.setFour(4, c31);
      o = C.at(t4 * n + i);
      o.setFour(0, c40);
      o.setFour(4, c41);
      o = C.at(t5 * n + i);
      o.setFour(0, c50);
      o.setFour(4, c51);
    }
  }
}

/** panel [d, 8] from 8 rows of W. */
function pack(W: Floats, panel: Floats, d: u32): void {
  for (let half: u32 = 0; half < 8; half += 4) {
    const w0 = W.at(half * d),
      w1 = w0.at(d),
      w2 = w1.at(d),
      w3 = w2.at(d);
    for (let j: u32 = 0; j < d; j += 4) {
      const a = w0.four(j),
        b = w1.four(j),
        c = w2.four(j),
        e = w3.four(j);
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5),
        AB = i32x4.shuffle(a, b, 2, 6, 3, 7);
      const ce = i32x4.shuffle(c, e, 0, 4, 1, 5),
        CE = i32x4.shuffle(c, e, 2, 6, 3, 7);
      panel.setFour(8 * j + half, i64x2.shuffle(ab, ce, 0, 2));
      panel.setFour(8 * (j + 1) + half, i64x2.shuffle(ab, ce, 1, 3));
      panel.setFour(8 * (j + 2) + half, i64x2.shuffle(AB, CE, 0, 2));
      panel.setFour(8 * (j + 3) + half, i64x2.shuffle(AB, CE, 1, 3));
    }
  }
}

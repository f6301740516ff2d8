// Which pairs of a token and a latent are active, and with what coefficient their decoder row counts. The one place that knows; every kernel asks here, so none can disagree.
// p is the stored pre-activation (gated: x W_enc alone), v the latent's vectors: (b_enc, threshold) or (b_gate, b_mag, r_mag).

// Order-preserving bits of a positive value; 0 for all others, −0 among them.
fn positiveKey(s: f32) -> u32 {
  return select(0u, bitcast<u32>(s), s > 0.0);
}

// Order-preserving bits of any value; −0 as 0, by its bits, since a compiler may take `s == 0 ? 0 : s` for s.
fn signedKey(s: f32) -> u32 {
  let own = bitcast<u32>(s);
  let bits = select(own, 0u, own == 0x80000000u);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn auxKey(s: f32) -> u32 {
  return select(signedKey(s), positiveKey(s), AUX_POSITIVE);
}

fn kept(key: u32, i: u32, cut: u32, limit: u32) -> bool {
  return key > cut || (key == cut && i < limit);
}

// The code as the decoder's row gets it: topk's norms cancel, pre·‖W‖ · W/‖W‖.
fn mainCode(p: f32, v: vec4f, norm: f32, i: u32, row: Row) -> f32 {
  switch ARCHITECTURE {
    case 0u: { return max(p, 0.0); }
    case 1u, 2u: {
      let key = positiveKey(p * norm);
      return select(0.0, p, key > 0u && kept(key, i, row.cut, row.limit));
    }
    case 3u: { return select(0.0, max(p, 0.0), p > v.y); }
    default: { return select(0.0, max(p * exp(v.z) + v.y, 0.0), p + v.x > 0.0); }
  }
}

// topk: chosen by AuxK; gated: open gate.
fn isSecond(p: f32, v: vec4f, norm: f32, dead: bool, i: u32, row: Row) -> bool {
  if (ARCHITECTURE == GATED) { return p + v.x > 0.0; }
  if (!AUX || !dead) { return false; }
  let key = auxKey(p * norm);
  return (key > 0u || !AUX_POSITIVE) && kept(key, i, row.auxCut, row.auxLimit);
}

// Its coefficient in the second reconstruction.
fn secondCode(p: f32, v: vec4f) -> f32 {
  return select(p, p + v.x, ARCHITECTURE == GATED);
}

// jumprelu: whether the rectangle kernel sees it.
fn inBand(p: f32, v: vec4f) -> bool {
  return abs((p - v.y) / numbers.bandwidth) < 0.5;
}

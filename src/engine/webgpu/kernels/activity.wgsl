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

// Where the selections of a row end: a pair is kept above the cut, and at it below the limit.
struct Cuts { cut: u32, limit: u32, auxCut: u32, auxLimit: u32 }

// The code of an active pair as the decoder's row gets it; topk's norms cancel, pre·‖W‖ · W/‖W‖.
fn mainCode(p: f32, v: vec4f) -> f32 {
  switch ARCHITECTURE {
    case 1u, 2u: { return p; }
    case 4u: { return max(p * exp(v.z) + v.y, 0.0); }
    default: { return max(p, 0.0); }
  }
}

fn isMain(p: f32, v: vec4f, norm: f32, i: u32, cuts: Cuts) -> bool {
  switch ARCHITECTURE {
    case 1u, 2u: {
      let key = positiveKey(p * norm);
      return key > 0u && kept(key, i, cuts.cut, cuts.limit);
    }
    case 3u: { return p > v.y && mainCode(p, v) != 0.0; }
    case 4u: { return p + v.x > 0.0 && mainCode(p, v) != 0.0; }
    default: { return mainCode(p, v) != 0.0; }
  }
}

// topk: chosen by AuxK; gated: open gate; jumprelu: seen by the rectangle kernel.
fn isSecond(p: f32, v: vec4f, norm: f32, dead: bool, i: u32, cuts: Cuts) -> bool {
  if (ARCHITECTURE == GATED) { return p + v.x > 0.0; }
  if (ARCHITECTURE == JUMPRELU) { return abs((p - v.y) / numbers.bandwidth) < 0.5; }
  if (!AUX || !dead) { return false; }
  let key = auxKey(p * norm);
  return (key > 0u || !AUX_POSITIVE) && kept(key, i, cuts.auxCut, cuts.auxLimit);
}

// Its coefficient in the second reconstruction.
fn secondCode(p: f32, v: vec4f) -> f32 {
  return select(p, p + v.x, ARCHITECTURE == GATED);
}

// 0 where the pair is not active.
fn kindOf(p: f32, v: vec4f, norm: f32, dead: bool, i: u32, cuts: Cuts) -> u32 {
  var kind = select(0u, MAIN_KIND, isMain(p, v, norm, i, cuts));
  if ((SECOND || (TRAINING && ARCHITECTURE == JUMPRELU)) && isSecond(p, v, norm, dead, i, cuts)) { kind |= SECOND_KIND; }
  return kind;
}

// How far a latent can reach: its key where there is a selection, else whether it is active; 0 where it can't be. What AuxK takes is not asked.
fn reachOf(p: f32, v: vec4f, norm: f32) -> u32 {
  if (ARCHITECTURE == TOPK || ARCHITECTURE == BATCHTOPK) { return positiveKey(p * norm); }
  return u32(kindOf(p, v, norm, false, 0u, Cuts(0u, numbers.F, 0u, numbers.F)) != 0u);
}

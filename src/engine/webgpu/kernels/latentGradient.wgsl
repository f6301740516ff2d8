// A workgroup goes through LATENTS_EACH latents: gradients of both weight rows and of the latent's vectors from its pairs, without atomics. Then (FUSED) Adam at once, or the gradient is kept until the norm of all is known.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> activations: array<vec4f>;
@group(0) @binding(4) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> latents: array<Latent>;
@group(0) @binding(6) var<storage, read_write> bias: array<vec4f>;
// The gradient of both matrices; fused: their first moments.
@group(0) @binding(7) var<storage, read_write> rowsA: array<vec4f>;
// Fused: second moments.
@group(0) @binding(8) var<storage, read_write> rowsB: array<vec4f>;

const THREADS = WIDTH;
const LANES = 32u;
const SLICES = WIDTH / LANES;
// pairs done together
const BATCH = 32u;
const PROJECTION_EPS = 1e-6;
const RENORMALISE_EPS = 1.1920929e-7;
var<workgroup> partial: array<f32, BATCH * (LANES + 1u)>;
var<workgroup> partialSecond: array<f32, select(1u, BATCH * (LANES + 1u), SECOND)>;
var<workgroup> tokens: array<u32, BATCH>;
var<workgroup> byGradient: array<f32, BATCH>;
var<workgroup> bySecond: array<f32, BATCH>;
var<workgroup> byInput: array<f32, BATCH>;
var<workgroup> vectorSums: array<vec4f, BATCH>;
var<workgroup> normSums: array<f32, BATCH>;
var<workgroup> shared_: Latent;

// Coefficients of a pair: how G, the second gradient and the centred input enter the latent's rows; what it adds to the vectors' gradient (w: the sum for b_dec) and to the norm's.
struct Pair { gradient: f32, second: f32, input: f32, vectors: vec4f, norm: f32 }

fn coefficients(own: Own, entry: vec2u, vector: vec4f, norm: f32, dots: vec2f, auxFactor: f32) -> Pair {
  let p = bitcast<f32>(entry.y);
  let isMain = (entry.x >> 31u) == 1u;
  let isOther = ((entry.x >> 30u) & 1u) == 1u;
  var pair = Pair(0.0, 0.0, 0.0, vec4f(0.0), 0.0);
  switch ARCHITECTURE {
    case 0u: {
      var slope = 1.0;
      if (!LP_IS_ONE) {
        let t = entry.x & 0x3fffffffu;
        slope = pow(p * norm, numbers.lpNorm - 1.0) * activations[sectionOf(own, SECOND_GRADIENT) + t * numbers.V].x;
        if (!(p * norm > 0.0)) { slope = 0.0; }
      }
      pair.gradient = p;
      pair.input = dots.x + numbers.lambda * slope * norm;
      pair.norm = numbers.lambda * slope * p;
      pair.vectors = vec4f(pair.input, 0.0, 0.0, pair.input);
    }
    // The norm enters the selection alone: what comes back through encoding and decoding with it cancels.
    case 1u, 2u: {
      if (isMain) { pair.gradient = p; pair.input = dots.x; }
      if (isOther) { pair.second = p * auxFactor; pair.input += dots.y * auxFactor; }
      pair.vectors = vec4f(pair.input, 0.0, 0.0, pair.input);
    }
    case 3u: {
      if (isMain) { pair.gradient = p; pair.input = dots.x; }
      var byThreshold = 0.0;
      if (isOther) { byThreshold = -(vector.y * dots.x + numbers.lambda) / numbers.bandwidth; }
      pair.vectors = vec4f(pair.input, byThreshold, 0.0, pair.input);
    }
    default: {
      let gate = p + vector.x;
      let gain = exp(vector.z);
      let magnitude = p * gain + vector.y;
      let byGate = dots.y + numbers.lambda * norm;
      var byMagnitude = 0.0;
      if (isMain) { pair.gradient = magnitude; byMagnitude = dots.x; }
      pair.second = gate;
      pair.input = byGate + byMagnitude * gain;
      pair.vectors = vec4f(byGate, byMagnitude, byMagnitude * p * gain, pair.input);
      pair.norm = numbers.lambda * gate;
    }
  }
  return pair;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let block = flat(group, groups);
  if (block * LATENTS_EACH >= numbers.F) { return; }
  let V = numbers.V;
  let F = numbers.F;
  let lane = me % LANES;
  let slice = me / LANES;
  let centred = sectionOf(own, CENTRED);
  let seconds = sectionOf(own, SECOND_GRADIENT);
  let auxFactor = bias[own.bias + AUX_FACTOR / 4u][AUX_FACTOR % 4u];
  // Σ_i (sum of its pairs' encoder gradients) W_enc,i: what passes back to b_dec through the encoder's input.
  var back: array<vec4f, VECS>;

  for (var l = 0u; l < LATENTS_EACH; l++) {
    let i = block * LATENTS_EACH + l;
    if (i >= F) { break; }
    if (me == 0u) { shared_ = latents[own.latents + i]; }
    let latent = workgroupUniformLoad(&shared_);
    if (latent.count == 0u && numbers.isLast == 0u) { continue; }
    let vector = vectors[own.vectors + i];
    let gradients = gradientOf(own, latent.level);
    var enc: array<vec4f, VECS>;
    var dec: array<vec4f, VECS>;
    for (var v = 0u; v < VECS; v++) { enc[v] = vec4f(0.0); dec[v] = vec4f(0.0); }
    var ownVectors = vec4f(0.0);
    var ownNorm = 0.0;
    for (var q0 = 0u; q0 < latent.count; q0 += BATCH) {
      let some = min(BATCH, latent.count - q0);
      for (var r = slice; r < some; r += SLICES) {
        let entry = pairs[own.pairs + latent.start + q0 + r];
        let origin = (entry.x & 0x3fffffffu) * V;
        var a = 0.0;
        var b = 0.0;
        for (var c = lane; c < V; c += LANES) {
          let w = parameters[own.parameters + (F + i) * V + c];
          a += dot(activations[gradients + origin + c], w);
          if (SECOND) { b += dot(activations[seconds + origin + c], w); }
        }
        partial[r * (LANES + 1u) + lane] = a;
        if (SECOND) { partialSecond[r * (LANES + 1u) + lane] = b; }
      }
      workgroupBarrier();
      if (me < some) {
        let entry = pairs[own.pairs + latent.start + q0 + me];
        var dots = vec2f(0.0);
        for (var k = 0u; k < LANES; k++) {
          dots.x += partial[me * (LANES + 1u) + k];
          if (SECOND) { dots.y += partialSecond[me * (LANES + 1u) + k]; }
        }
        let pair = coefficients(own, entry, vector, latent.norm, dots, auxFactor);
        tokens[me] = entry.x & 0x3fffffffu;
        byGradient[me] = pair.gradient;
        bySecond[me] = pair.second;
        byInput[me] = pair.input;
        ownVectors += pair.vectors;
        ownNorm += pair.norm;
        // All that set it set the same.
        if ((entry.x >> 31u) == 1u) { latents[own.latents + i].since = 0u; }
      }
      workgroupBarrier();
      for (var q = 0u; q < some; q++) {
        let origin = tokens[q] * V;
        let a = byGradient[q];
        let b = bySecond[q];
        let e = byInput[q];
        for (var v = 0u; v < VECS; v++) {
          let c = me + v * WIDTH;
          if (c >= V) { continue; }
          enc[v] += e * activations[centred + origin + c];
          dec[v] += a * activations[gradients + origin + c];
          if (SECOND) { dec[v] += b * activations[seconds + origin + c]; }
        }
      }
    }
    workgroupBarrier();
    if (me < BATCH) { vectorSums[me] = ownVectors; normSums[me] = ownNorm; }
    workgroupBarrier();
    var gradient = vec4f(0.0);
    var byNorm = 0.0;
    for (var k = 0u; k < BATCH; k++) { gradient += vectorSums[k]; byNorm += normSums[k]; }
    // The norm's subgradient at a row of zeros is 0.
    let along = select(0.0, byNorm / latent.norm, latent.norm > 0.0);
    if (latent.touched == 1u) { gradient += vectors[own.vectors + 3u * F + i]; }

    var ofRow = 0.0;
    var projection = 0.0;
    for (var v = 0u; v < VECS; v++) {
      let c = me + v * WIDTH;
      if (c >= V) { continue; }
      let w = parameters[own.parameters + (F + i) * V + c];
      dec[v] += along * w;
      if (!FUSED && latent.touched == 1u) {
        enc[v] += rowsA[own.gradients + i * V + c];
        dec[v] += rowsA[own.gradients + (F + i) * V + c];
      }
      if (UNIT && numbers.isLast == 1u) { ofRow += squareOf(w); projection += dot(dec[v], w); }
      if (APPLY_B_DEC && numbers.isLast == 1u) { back[v] += gradient.w * parameters[own.parameters + i * V + c]; }
    }
    if (UNIT && numbers.isLast == 1u) {
      // Only what turns the decoder's row, nothing that makes it longer.
      let length = sqrt(totalOf(ofRow, me)) + PROJECTION_EPS;
      let part = totalOf(projection, me) / length / length;
      for (var v = 0u; v < VECS; v++) {
        let c = me + v * WIDTH;
        if (c < V) { dec[v] -= part * parameters[own.parameters + (F + i) * V + c]; }
      }
    }
    if (!FUSED) {
      var squares = 0.0;
      for (var v = 0u; v < VECS; v++) {
        let c = me + v * WIDTH;
        if (c >= V) { continue; }
        squares += squareOf(enc[v]) + squareOf(dec[v]);
        rowsA[own.gradients + i * V + c] = enc[v];
        rowsA[own.gradients + (F + i) * V + c] = dec[v];
      }
      let all = totalOf(squares, me);
      if (me == 0u) {
        vectors[own.vectors + 3u * F + i] = gradient;
        latents[own.latents + i].touched = 1u;
        latents[own.latents + i].squares = all + squareOf(vec4f(gradient.xyz, 0.0));
      }
      continue;
    }
    ofRow = 0.0;
    for (var v = 0u; v < VECS; v++) {
      let c = me + v * WIDTH;
      if (c >= V) { continue; }
      let e = own.parameters + i * V + c;
      let f = own.parameters + (F + i) * V + c;
      let encSecond = secondMoment(rowsB[e], enc[v]);
      let decSecond = secondMoment(rowsB[f], dec[v]);
      rowsB[e] = encSecond;
      rowsB[f] = decSecond;
      if (MOMENTUM) {
        enc[v] = firstMoment(rowsA[e], enc[v]);
        dec[v] = firstMoment(rowsA[f], dec[v]);
        rowsA[e] = enc[v];
        rowsA[f] = dec[v];
      }
      parameters[e] = adamStep(parameters[e], enc[v], encSecond);
      dec[v] = adamStep(parameters[f], dec[v], decSecond);
      ofRow += squareOf(dec[v]);
      parameters[f] = dec[v];
    }
    if (UNIT) {
      let length = sqrt(totalOf(ofRow, me)) + RENORMALISE_EPS;
      for (var v = 0u; v < VECS; v++) {
        let c = me + v * WIDTH;
        if (c < V) { parameters[own.parameters + (F + i) * V + c] = dec[v] / length; }
      }
    }
    if (me == 0u) { stepVectors(own, i, vec4f(gradient.xyz, 0.0)); }
  }

  if (numbers.isLast == 0u) { return; }
  for (var v = 0u; v < VECS; v++) {
    let c = me + v * WIDTH;
    if (c < V) { bias[own.bias + HEADER + (6u + block) * V + c] = back[v]; }
  }
}

fn stepVectors(own: Own, i: u32, g: vec4f) {
  let F = numbers.F;
  let second = secondMoment(vectors[own.vectors + 2u * F + i], g);
  vectors[own.vectors + 2u * F + i] = second;
  var m = g;
  if (MOMENTUM) { m = firstMoment(vectors[own.vectors + F + i], g); vectors[own.vectors + F + i] = m; }
  vectors[own.vectors + i] = adamStep(vectors[own.vectors + i], m, second);
}

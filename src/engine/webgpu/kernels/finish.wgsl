// One workgroup each: the weight of AuxK before the latents' gradients; after them the norm of all gradients with the clip's factor, and Adam on b_dec.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> latents: array<Latent>;
@group(0) @binding(2) var<storage, read_write> bias: array<vec4f>;

const CLIP_EPS = 1e-6;
const THREADS = WIDTH;

@compute @workgroup_size(WIDTH)
fn auxFactor(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  var sum = 0.0;
  if (AUX_POSITIVE) {
    for (var c = me; c < numbers.V; c += WIDTH) { sum += dot(bias[own.bias + HEADER + 5u * numbers.V + c], vec4f(1.0)); }
  }
  let variance = totalOf(sum, me) / f32(numbers.rows);
  // Counted anew: the header's count is a whole number, which this kernel, for which the header is floats, might read as 0.
  var silent = 0.0;
  for (var i = me; i < numbers.F; i += WIDTH) { silent += f32(latents[own.latents + i].dead); }
  let dead = totalOf(silent, me);
  if (me != 0u) { return; }
  var factor = numbers.auxCoefficient;
  if (AUX_POSITIVE) {
    // A residual without variance gives 0/0; dictionary_learning takes the loss as 0 there.
    factor = select(0.0, factor / variance, variance > 0.0);
  } else {
    factor *= min(dead / f32(numbers.d / 2u), 1.0);
  }
  bias[own.bias + AUX_FACTOR / 4u][AUX_FACTOR % 4u] = select(0.0, factor, dead > 0.0);
}

@compute @workgroup_size(WIDTH)
fn clip(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  var sum = 0.0;
  for (var i = me; i < numbers.F; i += WIDTH) { if (latents[own.latents + i].touched == 1u) { sum += latents[own.latents + i].squares; } }
  for (var c = me; c < numbers.V; c += WIDTH) { sum += squareOf(bias[own.bias + HEADER + 3u * numbers.V + c]); }
  let norm = sqrt(totalOf(sum, me));
  if (me != 0u) { return; }
  bias[own.bias + GRADIENT_NORM / 4u][GRADIENT_NORM % 4u] = norm;
  // torch adds the ε to the norm that it divides by.
  bias[own.bias + CLIP / 4u][CLIP % 4u] = select(1.0, min(1.0, numbers.maxNorm / (norm + CLIP_EPS)), numbers.maxNorm > 0.0);
}

@compute @workgroup_size(WIDTH)
fn stepBias(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let V = numbers.V;
  let factor = bias[own.bias + CLIP / 4u][CLIP % 4u];
  for (var c = me; c < V; c += WIDTH) {
    let at = own.bias + HEADER + c;
    let g = factor * bias[at + 3u * V];
    let second = secondMoment(bias[at + 2u * V], g);
    bias[at + 2u * V] = second;
    var m = g;
    if (MOMENTUM) { m = firstMoment(bias[at + V], g); bias[at + V] = m; }
    bias[at] = adamStep(bias[at], m, second);
  }
}

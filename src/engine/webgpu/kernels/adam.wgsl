// After clipping, a workgroup a latent: Adam on both rows and the vectors, and the decoder's row back to length 1 where it is kept there. Latents without a gradient coast.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> latents: array<Latent>;
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> firsts: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> seconds: array<vec4f>;

const RENORMALISE_EPS = 1.1920929e-7;
const THREADS = WIDTH;

fn step(at: u32, g: vec4f) -> vec4f {
  let second = secondMoment(seconds[at], g);
  seconds[at] = second;
  var m = g;
  if (MOMENTUM) { m = firstMoment(firsts[at], g); firsts[at] = m; }
  return adamStep(parameters[at], m, second);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let i = flat(group, groups);
  if (i >= numbers.F) { return; }
  let V = numbers.V;
  let F = numbers.F;
  let clip = bias[own.bias + CLIP / 4u][CLIP % 4u];
  let has = latents[own.latents + i].touched == 1u;
  var sum = 0.0;
  for (var c = me; c < V; c += WIDTH) {
    let e = own.parameters + i * V + c;
    let f = own.parameters + (F + i) * V + c;
    var enc = vec4f(0.0);
    var dec = vec4f(0.0);
    if (has) { enc = clip * gradients[own.gradients + i * V + c]; dec = clip * gradients[own.gradients + (F + i) * V + c]; }
    parameters[e] = step(e, enc);
    let after = step(f, dec);
    parameters[f] = after;
    sum += squareOf(after);
  }
  if (UNIT) {
    let length = sqrt(totalOf(sum, me)) + RENORMALISE_EPS;
    for (var c = me; c < V; c += WIDTH) { parameters[own.parameters + (F + i) * V + c] /= length; }
  }
  if (me != 0u) { return; }
  var g = vec4f(0.0);
  if (has) { g = clip * vec4f(vectors[own.vectors + 3u * F + i].xyz, 0.0); }
  let second = secondMoment(vectors[own.vectors + 2u * F + i], g);
  vectors[own.vectors + 2u * F + i] = second;
  var m = g;
  if (MOMENTUM) { m = firstMoment(vectors[own.vectors + F + i], g); vectors[own.vectors + F + i] = m; }
  vectors[own.vectors + i] = adamStep(vectors[own.vectors + i], m, second);
}

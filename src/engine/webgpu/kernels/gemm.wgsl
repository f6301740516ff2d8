// Pre-activations of a micro-batch: pre[t, i] = Σ_j centred[t, j] W_enc[i, j] + b_enc[i]. A tile of TILE_ROWS × TILE_LATENTS a workgroup, ROWS × LATENTS registers a thread, vec4s along j. Beside it how far each group of GROUP latents of a row reaches, by which selections know where they needn't look.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> activations: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> latents: array<Latent>;
@group(0) @binding(5) var<storage, read_write> pre: array<f32>;
@group(0) @binding(6) var<storage, read_write> reach: array<u32>;

const TILE_ROWS = SIDE * ROWS;
const TILE_LATENTS = SIDE * LATENTS;
// vec4s along j at a time; one more between rows keeps threads off each other's banks
const STRIDE = DEPTH + 1u;
// vec4f, or four float16 with autocast
var<workgroup> left: array<OPERAND, TILE_ROWS * STRIDE>;
var<workgroup> right: array<OPERAND, TILE_LATENTS * STRIDE>;
const TILE_GROUPS = TILE_LATENTS / GROUP;
var<workgroup> tileReach: array<atomic<u32>, TILE_ROWS * TILE_GROUPS>;

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row0 = group.y * TILE_ROWS;
  let latent0 = group.x * TILE_LATENTS;
  let V = numbers.V;
  let base = sectionOf(own, CENTRED) + numbers.first * V;
  var sums: array<array<f32, LATENTS>, ROWS>;
  for (var c0 = 0u; c0 < V; c0 += DEPTH) {
    for (var at = me; at < TILE_ROWS * DEPTH; at += SIDE * SIDE) {
      let r = at / DEPTH;
      let c = at % DEPTH;
      var value = vec4f(0.0);
      if (row0 + r < numbers.count && c0 + c < V) { value = activations[base + (row0 + r) * V + c0 + c]; }
      left[r * STRIDE + c] = OPERAND(value);
    }
    for (var at = me; at < TILE_LATENTS * DEPTH; at += SIDE * SIDE) {
      let r = at / DEPTH;
      let c = at % DEPTH;
      var value = vec4f(0.0);
      if (latent0 + r < numbers.F && c0 + c < V) { value = parameters[own.parameters + (latent0 + r) * V + c0 + c]; }
      right[r * STRIDE + c] = OPERAND(value);
    }
    workgroupBarrier();
    for (var c = 0u; c < DEPTH; c++) {
      var b: array<vec4f, LATENTS>;
      for (var n = 0u; n < LATENTS; n++) { b[n] = vec4f(right[(at.x + n * SIDE) * STRIDE + c]); }
      for (var m = 0u; m < ROWS; m++) {
        let a = vec4f(left[(at.y + m * SIDE) * STRIDE + c]);
        for (var n = 0u; n < LATENTS; n++) { sums[m][n] += dot(a, b[n]); }
      }
    }
    workgroupBarrier();
  }
  for (var at = me; at < TILE_ROWS * TILE_GROUPS; at += SIDE * SIDE) { atomicStore(&tileReach[at], 0u); }
  workgroupBarrier();
  for (var m = 0u; m < ROWS; m++) {
    let r = at.y + m * SIDE;
    for (var n = 0u; n < LATENTS; n++) {
      let c = at.x + n * SIDE;
      let i = latent0 + c;
      if (row0 + r >= numbers.count || i >= numbers.F) { continue; }
      // A gate and its magnitude have biases of their own.
      let vector = vectors[own.vectors + i];
      let p = sums[m][n] + select(0.0, vector.x, ENCODER_BIAS);
      pre[own.pre + (row0 + r) * numbers.F + i] = p;
      let its = reachOf(p, vector, latents[own.latents + i].norm);
      if (its > 0u) { atomicMax(&tileReach[r * TILE_GROUPS + c / GROUP], its); }
    }
  }
  workgroupBarrier();
  for (var at = me; at < TILE_ROWS * TILE_GROUPS; at += SIDE * SIDE) {
    let r = row0 + at / TILE_GROUPS;
    let g = latent0 / GROUP + at % TILE_GROUPS;
    if (r < numbers.count && g < numbers.groups) { reach[own.reach + r * numbers.groups + g] = atomicLoad(&tileReach[at]); }
  }
}

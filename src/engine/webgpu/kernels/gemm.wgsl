// Pre-activations of a micro-batch: pre[t, i] = Σ_j centred[t, j] W_enc[i, j] + b_enc[i]. A tile of TILE_ROWS × TILE_LATENTS a workgroup, ROWS × LATENTS registers a thread, vec4s along j.
const TILE_ROWS = SIDE * ROWS;
const TILE_LATENTS = SIDE * LATENTS;
const THREADS = SIDE * SIDE;
// vec4s along j at a time; one more between rows keeps threads off each other's banks
const STRIDE = DEPTH + 1u;
// vec4f, or four float16 with autocast
var<workgroup> left: array<OPERAND, TILE_ROWS * STRIDE>;
var<workgroup> right: array<OPERAND, TILE_LATENTS * STRIDE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row0 = group.y * TILE_ROWS;
  let latent0 = group.x * TILE_LATENTS;
  let V = numbers.V;
  let base = sectionOf(own, CENTRED) + numbers.first * V;
  var sums: array<array<f32, LATENTS>, ROWS>;
  for (var c0 = 0u; c0 < V; c0 += DEPTH) {
    for (var at = me; at < TILE_ROWS * DEPTH; at += THREADS) {
      let r = at / DEPTH;
      let c = at % DEPTH;
      var value = vec4f(0.0);
      if (row0 + r < numbers.count && c0 + c < V) { value = activations[base + (row0 + r) * V + c0 + c]; }
      left[r * STRIDE + c] = OPERAND(value);
    }
    for (var at = me; at < TILE_LATENTS * DEPTH; at += THREADS) {
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
  beginTile(me);
  for (var m = 0u; m < ROWS; m++) {
    for (var n = 0u; n < LATENTS; n++) { putSum(own, row0, latent0, at.y + m * SIDE, at.x + n * SIDE, sums[m][n]); }
  }
  endTile(own, row0, latent0, me);
}

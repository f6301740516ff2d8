// The product of gemm.wgsl on the GPU's matrix units (Dawn's experimental subgroup matrices): a subgroup a block of FRAGMENTS_DOWN × FRAGMENTS_ACROSS fragments of M × N, SUBGROUPS_DOWN × SUBGROUPS_ACROSS subgroups a workgroup.
// Units that multiply float16 alone give float32's digits all the same (SPLIT): an operand is high + low / 2048, and high·high + (high·low + low·high) / 2048 leaves out 2^-22 of it.
const TILE_ROWS = SUBGROUPS_DOWN * FRAGMENTS_DOWN * M;
const TILE_LATENTS = SUBGROUPS_ACROSS * FRAGMENTS_ACROSS * N;
const WORKERS = SUBGROUPS_DOWN * SUBGROUPS_ACROSS;
const THREADS = WORKERS * LANES;
// floats along j at a time, and how far rows of a tile are apart
const DEPTH = 4u * VECS_DEEP;
const LOW_SCALE = 2048.0;
var<workgroup> left: array<OPERAND, TILE_ROWS * DEPTH>;
var<workgroup> right: array<OPERAND, TILE_LATENTS * DEPTH>;
var<workgroup> leftLow: array<OPERAND, select(M * DEPTH, TILE_ROWS * DEPTH, SPLIT)>;
var<workgroup> rightLow: array<OPERAND, select(N * DEPTH, TILE_LATENTS * DEPTH, SPLIT)>;
var<workgroup> result: array<f32, WORKERS * M * N>;

alias Left = subgroup_matrix_left<OPERAND, K, M>;
alias Right = subgroup_matrix_right<OPERAND, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;

// The nearest value of 11 bits. By its own bits, since compilers take a conversion to float16 and back for nothing.
fn highOf(value: vec4f) -> vec4f {
  if (!SPLIT) { return value; }
  return bitcast<vec4f>((bitcast<vec4u>(value) + 0x1000u) & vec4u(0xffffe000u));
}

fn putLeft(at: u32, value: vec4f) {
  let high = highOf(value);
  for (var e = 0u; e < 4u; e++) {
    left[at + e] = OPERAND(high[e]);
    if (SPLIT) { leftLow[at + e] = OPERAND((value[e] - high[e]) * LOW_SCALE); }
  }
}

fn putRight(at: u32, value: vec4f) {
  let high = highOf(value);
  for (var e = 0u; e < 4u; e++) {
    right[at + e] = OPERAND(high[e]);
    if (SPLIT) { rightLow[at + e] = OPERAND((value[e] - high[e]) * LOW_SCALE); }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row0 = group.y * TILE_ROWS;
  let latent0 = group.x * TILE_LATENTS;
  let V = numbers.V;
  let base = sectionOf(own, CENTRED) + numbers.first * V;
  let subgroup = me / LANES;
  let down = subgroup / SUBGROUPS_ACROSS * FRAGMENTS_DOWN * M;
  let across = subgroup % SUBGROUPS_ACROSS * FRAGMENTS_ACROSS * N;
  var sums: array<array<Result, FRAGMENTS_ACROSS>, FRAGMENTS_DOWN>;
  var lows: array<array<Result, FRAGMENTS_ACROSS>, FRAGMENTS_DOWN>;
  for (var c0 = 0u; c0 < V; c0 += VECS_DEEP) {
    for (var at = me; at < TILE_ROWS * VECS_DEEP; at += THREADS) {
      let r = at / VECS_DEEP;
      let c = at % VECS_DEEP;
      var value = vec4f(0.0);
      if (row0 + r < numbers.count && c0 + c < V) { value = activations[base + (row0 + r) * V + c0 + c]; }
      putLeft(r * DEPTH + 4u * c, value);
    }
    for (var at = me; at < TILE_LATENTS * VECS_DEEP; at += THREADS) {
      let r = at / VECS_DEEP;
      let c = at % VECS_DEEP;
      var value = vec4f(0.0);
      if (latent0 + r < numbers.F && c0 + c < V) { value = parameters[own.parameters + (latent0 + r) * V + c0 + c]; }
      putRight(r * DEPTH + 4u * c, value);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k += K) {
      var b: array<Right, FRAGMENTS_ACROSS>;
      var bLow: array<Right, FRAGMENTS_ACROSS>;
      for (var n = 0u; n < FRAGMENTS_ACROSS; n++) {
        let at = (across + n * N) * DEPTH + k;
        b[n] = subgroupMatrixLoad<Right, col_major>(&right, at, DEPTH);
        if (SPLIT) { bLow[n] = subgroupMatrixLoad<Right, col_major>(&rightLow, at, DEPTH); }
      }
      for (var m = 0u; m < FRAGMENTS_DOWN; m++) {
        let at = (down + m * M) * DEPTH + k;
        let a = subgroupMatrixLoad<Left, row_major>(&left, at, DEPTH);
        for (var n = 0u; n < FRAGMENTS_ACROSS; n++) { sums[m][n] = subgroupMatrixMultiplyAccumulate(a, b[n], sums[m][n]); }
        if (SPLIT) {
          let aLow = subgroupMatrixLoad<Left, row_major>(&leftLow, at, DEPTH);
          for (var n = 0u; n < FRAGMENTS_ACROSS; n++) {
            lows[m][n] = subgroupMatrixMultiplyAccumulate(a, bLow[n], lows[m][n]);
            lows[m][n] = subgroupMatrixMultiplyAccumulate(aLow, b[n], lows[m][n]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  // Fragment by fragment through workgroup memory.
  beginTile(me);
  let lane = me % LANES;
  let scratch = subgroup * M * N;
  for (var m = 0u; m < FRAGMENTS_DOWN; m++) {
    for (var n = 0u; n < FRAGMENTS_ACROSS; n++) {
      var corrections: array<f32, M * N / LANES>;
      if (SPLIT) {
        subgroupMatrixStore<row_major>(&result, scratch, lows[m][n], N);
        workgroupBarrier();
        for (var e = 0u; e < M * N / LANES; e++) { corrections[e] = result[scratch + e * LANES + lane] / LOW_SCALE; }
        workgroupBarrier();
      }
      subgroupMatrixStore<row_major>(&result, scratch, sums[m][n], N);
      workgroupBarrier();
      for (var e = 0u; e < M * N / LANES; e++) {
        let at = e * LANES + lane;
        putSum(own, row0, latent0, down + m * M + at / N, across + n * N + at % N, result[scratch + at] + corrections[e]);
      }
      workgroupBarrier();
    }
  }
  endTile(own, row0, latent0, me);
}

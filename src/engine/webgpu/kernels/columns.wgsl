// Sums down the columns, COLUMNS vec4s a workgroup by LANES threads each: Σ(x − x̄)² of the targets or of the residuals, and the gradient of b_dec.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> activations: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> bias: array<vec4f>;

const COLUMNS = 4u;
const LANES = WIDTH / COLUMNS;
var<workgroup> sums: array<vec4f, COLUMNS * LANES>;

fn totalOf(value: vec4f, column: u32, lane: u32) -> vec4f {
  workgroupBarrier();
  sums[lane * COLUMNS + column] = value;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var k = 0u; k < LANES; k++) { sum += sums[k * COLUMNS + column]; }
  return sum;
}

// Σ(x − x̄)² of a section, about the mean, so that no digits are lost to a large one.
fn deviations(origin: u32, c: u32, column: u32, lane: u32) -> vec4f {
  let within = c < numbers.V;
  var sum = vec4f(0.0);
  if (within) {
    for (var t = lane; t < numbers.rows; t += LANES) { sum += activations[origin + t * numbers.V + c]; }
  }
  let mean = totalOf(sum, column, lane) / f32(numbers.rows);
  sum = vec4f(0.0);
  if (within) {
    for (var t = lane; t < numbers.rows; t += LANES) {
      let off = activations[origin + t * numbers.V + c] - mean;
      sum += off * off;
    }
  }
  return totalOf(sum, column, lane);
}

@compute @workgroup_size(COLUMNS, LANES)
fn ofTarget(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let own = ownOf(group);
  let c = group.x * COLUMNS + at.x;
  let sum = deviations(sectionOf(own, TARGET), c, at.x, at.y);
  if (at.y == 0u && c < numbers.V) { bias[own.bias + HEADER + 4u * numbers.V + c] = sum; }
}

// Of the residual's gradient 2/B·(x̂ − x), scaled back to the residual.
@compute @workgroup_size(COLUMNS, LANES)
fn ofResidual(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let own = ownOf(group);
  let c = group.x * COLUMNS + at.x;
  let sum = deviations(sectionOf(own, GRADIENT), c, at.x, at.y);
  let back = f32(numbers.rows) / 2.0;
  if (at.y == 0u && c < numbers.V) { bias[own.bias + HEADER + 5u * numbers.V + c] = sum * back * back; }
}

// Through the reconstruction Σ_t G_t, and where the encoder subtracts b_dec, back through its input.
@compute @workgroup_size(COLUMNS, LANES)
fn ofBias(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let own = ownOf(group);
  let c = group.x * COLUMNS + at.x;
  let V = numbers.V;
  var sum = vec4f(0.0);
  if (c < V) {
    for (var t = at.y; t < numbers.rows; t += LANES) {
      // The one that reaches the first latents is of all widths, and b_dec is in each.
      sum += activations[gradientOf(own, 0u) + t * V + c];
      if (ARCHITECTURE == GATED) { sum += activations[sectionOf(own, SECOND_GRADIENT) + t * V + c]; }
    }
    if (APPLY_B_DEC) {
      let blocks = (numbers.F + LATENTS_EACH - 1u) / LATENTS_EACH;
      for (var b = at.y; b < blocks; b += LANES) { sum -= bias[own.bias + HEADER + (6u + b) * V + c]; }
    }
  }
  let gradient = totalOf(sum, at.x, at.y);
  if (at.y == 0u && c < V) { bias[own.bias + HEADER + 3u * V + c] = gradient; }
}

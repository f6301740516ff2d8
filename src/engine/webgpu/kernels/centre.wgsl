// What the encoder multiplies, a workgroup a row: the normalised activation, less b_dec where the SAE says so.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read_write> activations: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> rowsKnown: array<Row>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;

const THREADS = WIDTH;

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let t = flat(group, groups);
  if (t >= numbers.rows) { return; }
  let origin = sectionOf(own, TARGET) + t * numbers.V;
  var scale = 1.0;
  var shift = 0.0;
  var factor = 1.0;
  let d = f32(numbers.d);
  if (NORMALISE == 1u) {
    var sum = 0.0;
    for (var c = me; c < numbers.V; c += WIDTH) { sum += squareOf(activations[origin + c]); }
    let squares = totalOf(sum, me);
    // A row of zeros has no direction: it stays zero, and so does its reconstruction.
    factor = select(0.0, sqrt(d / squares), squares > 0.0);
    scale = sqrt(squares / d);
  }
  if (NORMALISE == 2u) {
    var sum = 0.0;
    for (var c = me; c < numbers.V; c += WIDTH) { sum += dot(activations[origin + c], vec4f(1.0)); }
    shift = totalOf(sum, me) / d;
    sum = 0.0;
    for (var c = me; c < numbers.V; c += WIDTH) {
      // The padding is not part of the row.
      let within = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u) < vec4u(numbers.d);
      sum += squareOf(select(vec4f(0.0), activations[origin + c] - shift, within));
    }
    scale = sqrt(totalOf(sum, me) / (d - 1.0));
    factor = 1.0 / (scale + 1e-5);
  }
  for (var c = me; c < numbers.V; c += WIDTH) {
    let within = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u) < vec4u(numbers.d);
    var value = (activations[origin + c] - shift) * factor;
    if (APPLY_B_DEC) { value -= bias[own.bias + HEADER + c]; }
    activations[sectionOf(own, CENTRED) + t * numbers.V + c] = select(vec4f(0.0), value, within);
  }
  if (me == 0u) {
    rowsKnown[own.rows + t].scale = scale;
    rowsKnown[own.rows + t].shift = shift;
  }
}

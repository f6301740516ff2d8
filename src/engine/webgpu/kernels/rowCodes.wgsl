// Codes of a micro-batch as compressed rows for the reader: where each row begins, then its codes with their latents in ascending order.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> rowsKnown: array<Row>;
@group(0) @binding(5) var<storage, read_write> starts: array<u32>;
@group(0) @binding(6) var<storage, read_write> codes: array<vec2u>;
@group(0) @binding(7) var<storage, read> lists: array<u32>;

const MANY = 256u;
const THREADS = MANY;

// One workgroup.
@compute @workgroup_size(MANY)
fn offsets(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let each = (numbers.count + MANY - 1u) / MANY;
  let origin = min(me * each, numbers.count);
  let to = min(origin + each, numbers.count);
  var sum = 0u;
  for (var row = origin; row < to; row++) { sum += rowsKnown[own.rows + numbers.first + row].listed; }
  var start = sumBefore(sum, me).x;
  for (var row = origin; row < to; row++) {
    starts[row] = start;
    start += rowsKnown[own.rows + numbers.first + row].listed;
  }
  if (me == MANY - 1u) { starts[numbers.count] = start; }
}

// A workgroup a row.
@compute @workgroup_size(WIDTH)
fn write(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let origin = starts[row];
  for (var e = me; e < starts[row + 1u] - origin; e += WIDTH) {
    let i = lists[own.lists + row * numbers.room + e] & ~KINDS;
    let p = pre[own.pre + row * numbers.F + i];
    var code = mainCode(p, vectors[own.vectors + i]);
    if (ARCHITECTURE == TOPK) { code = p * latents[own.latents + i].norm; }
    codes[origin + e] = vec2u(i, bitcast<u32>(numbers.weight * code));
  }
}

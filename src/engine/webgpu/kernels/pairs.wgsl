// The active pairs of a micro-batch, sorted by latent and within it by row, from the rows' lists: a bit for every row of a segment that has the latent (mark), where each segment's pairs begin (within, between), then every pair to its place, which the bits before its own tell. Bits come to the same in any order.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read_write> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> rowsKnown: array<Row>;
@group(0) @binding(4) var<storage, read> lists: array<u32>;
// By segment and latent. All 0 before a micro-batch.
@group(0) @binding(5) var<storage, read_write> marks: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> offsets: array<u32>;
@group(0) @binding(7) var<storage, read_write> pairs: array<vec2u>;

const MANY = 256u;
const THREADS = MANY;

// A workgroup a row.
@compute @workgroup_size(WIDTH)
fn mark(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let length = rowsKnown[own.rows + numbers.first + row].listed;
  for (var e = me; e < length; e += WIDTH) {
    let i = lists[own.lists + row * numbers.room + e] & ~KINDS;
    atomicOr(&marks[own.marks + row / SEGMENT_ROWS * numbers.F + i], 1u << (row % SEGMENT_ROWS));
  }
}

// A thread a latent: where each segment's pairs begin within the latent's.
@compute @workgroup_size(WIDTH)
fn within(@builtin(workgroup_id) group: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let own = ownOf(group);
  let i = id.x;
  if (i >= numbers.F) { return; }
  var sum = 0u;
  for (var segment = 0u; segment < numbers.segments; segment++) {
    let at = own.marks + segment * numbers.F + i;
    offsets[at] = sum;
    sum += countOneBits(atomicLoad(&marks[at]));
  }
  latents[own.latents + i].count = sum;
}

// One workgroup: where each latent's pairs begin.
@compute @workgroup_size(MANY)
fn between(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let each = (numbers.F + MANY - 1u) / MANY;
  let origin = min(me * each, numbers.F);
  let to = min(origin + each, numbers.F);
  var sum = 0u;
  for (var i = origin; i < to; i++) { sum += latents[own.latents + i].count; }
  var start = sumBefore(sum, me).x;
  for (var i = origin; i < to; i++) {
    latents[own.latents + i].start = start;
    start += latents[own.latents + i].count;
  }
}

// A workgroup a row.
@compute @workgroup_size(WIDTH)
fn place(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let length = rowsKnown[own.rows + numbers.first + row].listed;
  for (var e = me; e < length; e += WIDTH) {
    let entry = lists[own.lists + row * numbers.room + e];
    let i = entry & ~KINDS;
    let at = own.marks + row / SEGMENT_ROWS * numbers.F + i;
    let before = countOneBits(atomicLoad(&marks[at]) & ((1u << (row % SEGMENT_ROWS)) - 1u));
    let next = latents[own.latents + i].start + offsets[at] + before;
    pairs[own.pairs + next] = vec2u((numbers.first + row) | (entry & KINDS), bitcast<u32>(pre[own.pre + row * numbers.F + i]));
  }
}

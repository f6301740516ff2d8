// Codes of a micro-batch as compressed rows for the reader: where each row begins, then its positive codes with their latents in ascending order.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> rowsKnown: array<Row>;
@group(0) @binding(5) var<storage, read_write> starts: array<u32>;
@group(0) @binding(6) var<storage, read_write> codes: array<vec2u>;

const MANY = 256u;
const WORDS = WIDTH / 32u;
const THREADS = MANY;
var<workgroup> mask: array<atomic<u32>, WORDS>;

// One workgroup.
@compute @workgroup_size(MANY)
fn offsets(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let each = (numbers.count + MANY - 1u) / MANY;
  let origin = min(me * each, numbers.count);
  let to = min(origin + each, numbers.count);
  var sum = 0u;
  for (var row = origin; row < to; row++) { sum += u32(rowsKnown[own.rows + numbers.first + row].firing); }
  var start = sumBefore(sum, me).x;
  for (var row = origin; row < to; row++) {
    starts[row] = start;
    start += u32(rowsKnown[own.rows + numbers.first + row].firing);
  }
  if (me == MANY - 1u) { starts[numbers.count] = start; }
}

// A workgroup a row.
@compute @workgroup_size(WIDTH)
fn write(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let known = rowsKnown[own.rows + numbers.first + row];
  var next = starts[row];
  for (var base = 0u; base < numbers.F; base += WIDTH) {
    if (me < WORDS) { atomicStore(&mask[me], 0u); }
    workgroupBarrier();
    let i = base + me;
    var code = 0.0;
    if (i < numbers.F) {
      let p = pre[own.pre + row * numbers.F + i];
      let norm = latents[own.latents + i].norm;
      code = mainCode(p, vectors[own.vectors + i], norm, i, known);
      if (code != 0.0 && ARCHITECTURE == TOPK) { code = p * norm; }
    }
    if (code != 0.0) { atomicOr(&mask[me / 32u], 1u << (me % 32u)); }
    workgroupBarrier();
    var before = 0u;
    var all = 0u;
    for (var w = 0u; w < WORDS; w++) {
      let bits = countOneBits(atomicLoad(&mask[w]));
      if (w < me / 32u) { before += bits; }
      all += bits;
    }
    before += countOneBits(atomicLoad(&mask[me / 32u]) & ((1u << (me % 32u)) - 1u));
    if (code != 0.0) { codes[next + before] = vec2u(i, bitcast<u32>(numbers.weight * code)); }
    next += all;
    workgroupBarrier();
  }
}

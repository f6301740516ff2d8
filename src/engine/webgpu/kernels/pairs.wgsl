// The list of active pairs, sorted by latent without atomics: counts of each segment of rows, offsets, then every pair to its place. A thread goes down a column of a segment, so pairs of a latent are in the order of the rows.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read_write> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> rowsKnown: array<Row>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(6) var<storage, read_write> pairs: array<vec2u>;

const MANY = 256u;
const MAIN_PAIR = 0x80000000u;
const SECOND_PAIR = 0x40000000u;
const THREADS = MANY;

// 0 where the pair has no gradient.
fn kindOf(own: Own, row: u32, i: u32, latent: Latent, vector: vec4f) -> u32 {
  let p = pre[own.pre + row * numbers.F + i];
  let known = rowsKnown[own.rows + numbers.first + row];
  var kind = 0u;
  if (mainCode(p, vector, latent.norm, i, known) > 0.0) { kind |= MAIN_PAIR; }
  if (SECOND && isSecond(p, vector, latent.norm, latent.dead == 1u, i, known)) { kind |= SECOND_PAIR; }
  if (ARCHITECTURE == JUMPRELU && inBand(p, vector)) { kind |= SECOND_PAIR; }
  return kind;
}

@compute @workgroup_size(WIDTH)
fn count(@builtin(workgroup_id) group: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let own = ownOf(group);
  let i = id.x;
  if (i >= numbers.F) { return; }
  let latent = latents[own.latents + i];
  let vector = vectors[own.vectors + i];
  let origin = id.y * numbers.segmentRows;
  let to = min(origin + numbers.segmentRows, numbers.count);
  var found = 0u;
  for (var row = origin; row < to; row++) { found += u32(kindOf(own, row, i, latent, vector) != 0u); }
  counts[own.counts + id.y * numbers.F + i] = found;
}

// A thread a latent: where each segment's pairs begin within the latent's.
@compute @workgroup_size(WIDTH)
fn within(@builtin(workgroup_id) group: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let own = ownOf(group);
  let i = id.x;
  if (i >= numbers.F) { return; }
  var sum = 0u;
  for (var segment = 0u; segment < numbers.segments; segment++) {
    let at = own.counts + segment * numbers.F + i;
    let found = counts[at];
    counts[at] = sum;
    sum += found;
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

@compute @workgroup_size(WIDTH)
fn place(@builtin(workgroup_id) group: vec3u, @builtin(global_invocation_id) id: vec3u) {
  let own = ownOf(group);
  let i = id.x;
  if (i >= numbers.F) { return; }
  let latent = latents[own.latents + i];
  let vector = vectors[own.vectors + i];
  let origin = id.y * numbers.segmentRows;
  let to = min(origin + numbers.segmentRows, numbers.count);
  var next = latent.start + counts[own.counts + id.y * numbers.F + i];
  for (var row = origin; row < to; row++) {
    let kind = kindOf(own, row, i, latent, vector);
    if (kind == 0u) { continue; }
    pairs[own.pairs + next] = vec2u((numbers.first + row) | kind, bitcast<u32>(pre[own.pre + row * numbers.F + i]));
    next += 1u;
  }
}

// A workgroup a row: lists the row's active latents in ascending order. What comes after it reads the lists and no longer all pre-activations.
// Groups of latents that can't reach the row's selection are passed over: where k groups reach a value, so do k latents.
// topk and AuxK by exact radix select: the value that the k-th largest has, and where ties with it end. Byte by byte of the value, then of the index, lowest index first.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> rowsKnown: array<Row>;
// Of the bias' buffer the header alone, whose counts and cut are whole numbers: read as floats they would be subnormal, which a GPU may take for 0.
@group(0) @binding(5) var<storage, read> header: array<u32>;
@group(0) @binding(6) var<storage, read_write> lists: array<u32>;
@group(0) @binding(7) var<storage, read> reach: array<u32>;

const BINS = 256u;
const THREADS = WIDTH;
var<workgroup> histogram: array<atomic<u32>, BINS>;
var<workgroup> chosen: u32;
var<workgroup> remaining: u32;
var<workgroup> ending: u32;

// latents looked through together, by a thread and in all, and words of their mask
const EACH = 8u;
const SPAN = EACH * WIDTH;
const WORDS = SPAN / 32u;
var<workgroup> mask: array<atomic<u32>, WORDS>;

// Bytes 0 to 3 are the value's, 4 to 6 the index', inverted so that the lowest comes first.
fn byteOf(key: u32, i: u32, place: u32) -> u32 {
  return select((~i >> (48u - 8u * place)) & 255u, (key >> (24u - 8u * place)) & 255u, place < 4u);
}

// Whether the bytes before `place` are those that have been chosen.
fn goesOn(key: u32, i: u32, place: u32, cut: u32, index: u32) -> bool {
  if (place == 0u) { return true; }
  if (place < 4u) { return (key >> (32u - 8u * place)) == cut; }
  return key == cut && (place == 4u || ((~i & 0xffffffu) >> (56u - 8u * place)) == index);
}

// What is selected from: the latents, those that AuxK may take, or what the groups reach.
const OF_LATENTS = 0u;
const OF_DEAD = 1u;
const OF_GROUPS = 2u;

// 0 for what takes no part.
fn keyOf(own: Own, row: u32, i: u32, what: u32, least: u32) -> u32 {
  if (what == OF_GROUPS) { return reach[own.reach + row * numbers.groups + i]; }
  if (what == OF_LATENTS) { return latentKey(own, row, i, least); }
  let key = auxKey(pre[own.pre + row * numbers.F + i] * latents[own.latents + i].norm);
  return select(0u, key, latents[own.latents + i].dead == 1u);
}

// (cut, limit) of the `wanted` largest keys of a row; keys of 0 don't take part. Of groups the cut alone is looked for. From byte 4 on the cut is known and `wanted` of its ties are kept.
fn selectLargest(own: Own, row: u32, what: u32, least: u32, wanted: u32, me: u32, first: u32, knownCut: u32) -> vec2u {
  let all = select(numbers.F, numbers.groups, what == OF_GROUPS);
  var cut = knownCut;
  var index = 0u;
  var left = wanted;
  for (var place = first; place < select(7u, 4u, what == OF_GROUPS); place++) {
    for (var b = me; b < BINS; b += WIDTH) { atomicStore(&histogram[b], 0u); }
    workgroupBarrier();
    for (var i = me; i < all; i += WIDTH) {
      let key = keyOf(own, row, i, what, least);
      if (key > 0u && goesOn(key, i, place, cut, index)) { atomicAdd(&histogram[byteOf(key, i, place)], 1u); }
    }
    workgroupBarrier();
    const each = BINS / WIDTH;
    var sum = 0u;
    for (var b = me * each; b < (me + 1u) * each; b++) { sum += atomicLoad(&histogram[b]); }
    let at = sumBefore(sum, me);
    let above = at.y - at.x - sum;
    // Fewer than wanted in all, so everything stays; or nothing is wanted.
    if (me == 0u && (at.y < left || left == 0u)) { chosen = BINS - 1u; remaining = 0u; ending = select(1u, 0u, left == 0u); }
    if (above < left && left <= above + sum) {
      var rest = left - above;
      var bin = (me + 1u) * each;
      var count = 0u;
      loop {
        bin -= 1u;
        count = atomicLoad(&histogram[bin]);
        if (count >= rest) { break; }
        rest -= count;
      }
      chosen = bin;
      remaining = rest;
      // 2: all ties stay.
      ending = select(0u, 2u, place == 3u && count == rest);
    }
    let bin = workgroupUniformLoad(&chosen);
    left = workgroupUniformLoad(&remaining);
    let ended = workgroupUniformLoad(&ending);
    if (ended == 1u) { return vec2u(0u, numbers.F); }
    if (place < 4u) { cut = (cut << 8u) | bin; } else { index = (index << 8u) | bin; }
    if (ended == 2u) { return vec2u(cut, numbers.F); }
  }
  return vec2u(cut, (~index & 0xffffffu) + 1u);
}

// Where the row's selections end, what a group has to reach so that it is worth a look, and whether dead latents are, wherever they are.
struct Bounds { cuts: Cuts, least: u32, dead: bool }

fn boundsOf(own: Own, row: u32, me: u32) -> Bounds {
  // Nothing is bounded where nothing is selected.
  var bounds = Bounds(Cuts(0u, numbers.F, 0u, numbers.F), 1u, false);
  if (ARCHITECTURE == TOPK && numbers.k < numbers.F) {
    bounds.least = max(1u, selectLargest(own, row, OF_GROUPS, 0u, numbers.k, me, 0u, 0u).x);
    var largest = selectLargest(own, row, OF_LATENTS, bounds.least, numbers.k, me, 0u, 0u);
    // Fewer than k there: a driver that rounds the product's keys otherwise than these.
    if (largest.x == 0u && bounds.least > 1u) {
      bounds.least = 1u;
      largest = selectLargest(own, row, OF_LATENTS, 1u, numbers.k, me, 0u, 0u);
    }
    bounds.cuts.cut = largest.x;
    bounds.cuts.limit = largest.y;
  }
  if (TRAINING && ARCHITECTURE == BATCHTOPK) {
    // The batch's cut stands in the header, and how many of its ties this row keeps beside the row.
    let t = own.rows + numbers.first + row;
    if (me == 0u) { chosen = rowsKnown[t].keptTies; remaining = rowsKnown[t].ties; }
    let share = workgroupUniformLoad(&chosen);
    let ties = workgroupUniformLoad(&remaining);
    // Less than one in the whole batch: nothing is kept, and nothing is above the highest cut.
    let cut = select(header[4u * own.bias + CUT], 0xffffffffu, numbers.keep == 0u);
    bounds.least = max(1u, cut);
    bounds.cuts.cut = cut;
    bounds.cuts.limit = select(0u, numbers.F, share == ties && numbers.keep > 0u);
    if (numbers.keep > 0u && share > 0u && share < ties) {
      bounds.cuts.limit = selectLargest(own, row, OF_LATENTS, bounds.least, share, me, 4u, cut).y;
    }
  }
  if (AUX) {
    let dead = header[4u * own.bias + DEAD_COUNT];
    bounds.dead = dead > 0u;
    if (dead > numbers.d / 2u) {
      let largest = selectLargest(own, row, OF_DEAD, 0u, numbers.d / 2u, me, 0u, 0u);
      bounds.cuts.auxCut = largest.x;
      bounds.cuts.auxLimit = largest.y;
    }
  }
  return bounds;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let bounds = boundsOf(own, row, me);
  let origin = own.lists + row * numbers.room;
  var listed = 0u;
  for (var base = 0u; base < numbers.F; base += SPAN) {
    if (me < WORDS) { atomicStore(&mask[me], 0u); }
    workgroupBarrier();
    var kinds: array<u32, EACH>;
    for (var e = 0u; e < EACH; e++) {
      let i = base + e * WIDTH + me;
      kinds[e] = 0u;
      if (i >= numbers.F) { continue; }
      let reaches = reach[own.reach + row * numbers.groups + i / GROUP] >= bounds.least;
      if (!reaches && !bounds.dead) { continue; }
      let latent = latents[own.latents + i];
      if (!reaches && latent.dead == 0u) { continue; }
      kinds[e] = kindOf(pre[own.pre + row * numbers.F + i], vectors[own.vectors + i], latent.norm, latent.dead == 1u, i, bounds.cuts);
      if (kinds[e] != 0u) { atomicOr(&mask[e * (WIDTH / 32u) + me / 32u], 1u << (me % 32u)); }
    }
    workgroupBarrier();
    var before = listed;
    var word = 0u;
    for (var e = 0u; e < EACH; e++) {
      if (kinds[e] == 0u) { continue; }
      let its = e * (WIDTH / 32u) + me / 32u;
      for (; word < its; word++) { before += countOneBits(atomicLoad(&mask[word])); }
      let place = before + countOneBits(atomicLoad(&mask[its]) & ((1u << (me % 32u)) - 1u));
      if (place < numbers.room) { lists[origin + place] = (base + e * WIDTH + me) | kinds[e]; }
    }
    for (var w = 0u; w < WORDS; w++) { listed += countOneBits(atomicLoad(&mask[w])); }
    workgroupBarrier();
  }
  if (me == 0u) { rowsKnown[own.rows + numbers.first + row].listed = min(listed, numbers.room); }
}

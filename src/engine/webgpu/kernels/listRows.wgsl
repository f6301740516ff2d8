// A workgroup a row: lists the row's active latents in ascending order. What comes after it reads the lists and no longer all pre-activations.
// topk and AuxK by exact radix select: the value that the k-th largest has, and where ties with it end. Byte by byte of the value, then of the index, lowest index first.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read> latents: array<Latent>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> rowsKnown: array<Row>;
// Of the bias' buffer the header alone, whose counts and cut are whole numbers: read as floats they would be subnormal, which a GPU may take for 0.
@group(0) @binding(5) var<storage, read> header: array<u32>;
@group(0) @binding(6) var<storage, read_write> lists: array<u32>;

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

fn keyOf(own: Own, p: f32, i: u32, aux: bool) -> u32 {
  let s = p * latents[own.latents + i].norm;
  if (!aux) { return positiveKey(s); }
  return select(0u, auxKey(s), latents[own.latents + i].dead == 1u);
}

// (cut, limit) of the `wanted` largest keys of a row; keys of 0 don't take part. From byte 4 on the cut is known and `wanted` of its ties are kept.
fn selectLargest(own: Own, row: u32, aux: bool, wanted: u32, me: u32, first: u32, knownCut: u32) -> vec2u {
  var cut = knownCut;
  var index = 0u;
  var left = wanted;
  for (var place = first; place < 7u; place++) {
    for (var b = me; b < BINS; b += WIDTH) { atomicStore(&histogram[b], 0u); }
    workgroupBarrier();
    for (var i = me; i < numbers.F; i += WIDTH) {
      let key = keyOf(own, pre[own.pre + row * numbers.F + i], i, aux);
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

// Nothing is bounded where nothing is selected.
fn cutsOf(own: Own, row: u32, me: u32) -> Cuts {
  var cuts = Cuts(0u, numbers.F, 0u, numbers.F);
  if (ARCHITECTURE == TOPK && numbers.k < numbers.F) {
    let bounds = selectLargest(own, row, false, numbers.k, me, 0u, 0u);
    cuts.cut = bounds.x;
    cuts.limit = bounds.y;
  }
  if (TRAINING && ARCHITECTURE == BATCHTOPK) {
    // The batch's cut stands in the header, and how many of its ties this row keeps beside the row.
    let t = own.rows + numbers.first + row;
    if (me == 0u) { chosen = rowsKnown[t].keptTies; remaining = rowsKnown[t].ties; }
    let share = workgroupUniformLoad(&chosen);
    let ties = workgroupUniformLoad(&remaining);
    // Less than one in the whole batch: nothing is kept, and nothing is above the highest cut.
    cuts.cut = select(header[4u * own.bias + CUT], 0xffffffffu, numbers.keep == 0u);
    cuts.limit = select(0u, numbers.F, share == ties && numbers.keep > 0u);
    if (numbers.keep > 0u && share > 0u && share < ties) { cuts.limit = selectLargest(own, row, false, share, me, 4u, cuts.cut).y; }
  }
  if (AUX) {
    let dead = header[4u * own.bias + DEAD_COUNT];
    if (dead > numbers.d / 2u) {
      let bounds = selectLargest(own, row, true, numbers.d / 2u, me, 0u, 0u);
      cuts.auxCut = bounds.x;
      cuts.auxLimit = bounds.y;
    }
  }
  return cuts;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let cuts = cutsOf(own, row, me);
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
      let latent = latents[own.latents + i];
      kinds[e] = kindOf(pre[own.pre + row * numbers.F + i], vectors[own.vectors + i], latent.norm, latent.dead == 1u, i, cuts);
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
      lists[origin + place] = (base + e * WIDTH + me) | kinds[e];
    }
    for (var w = 0u; w < WORDS; w++) { listed += countOneBits(atomicLoad(&mask[w])); }
    workgroupBarrier();
  }
  if (me == 0u) { rowsKnown[own.rows + numbers.first + row].listed = listed; }
}

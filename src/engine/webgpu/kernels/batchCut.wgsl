// batchtopk over the whole batch: byte by byte the value of its keep-th largest pre-activation (histogram, then choose), then how many ties each row keeps (ties, then share), first rows first.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> pre: array<f32>;
@group(0) @binding(2) var<storage, read> latents: array<Latent>;
@group(0) @binding(3) var<storage, read_write> rowsKnown: array<Row>;
@group(0) @binding(4) var<storage, read_write> header: array<u32>;
@group(0) @binding(5) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read> reach: array<u32>;

const BINS = 256u;
var<workgroup> digits: array<atomic<u32>, BINS>;
const THREADS = WIDTH;

// A workgroup a row: adds the row's digits of this pass to the batch's bins.
@compute @workgroup_size(WIDTH)
fn histogram(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let cut = header[4u * own.bias + CUT];
  // What the bytes so far leave open: the cut is no smaller.
  let least = max(1u, select(0u, cut << (32u - 8u * max(1u, PASS)), PASS > 0u));
  for (var b = me; b < BINS; b += WIDTH) { atomicStore(&digits[b], 0u); }
  workgroupBarrier();
  for (var i = me; i < numbers.F; i += WIDTH) {
    let key = latentKey(own, row, i, least);
    if (key == 0u) { continue; }
    if (PASS == 0u || (key >> (32u - 8u * PASS)) == cut) { atomicAdd(&digits[(key >> (24u - 8u * PASS)) & 255u], 1u); }
  }
  workgroupBarrier();
  for (var b = me; b < BINS; b += WIDTH) {
    let count = atomicLoad(&digits[b]);
    if (count > 0u) { atomicAdd(&bins[own.bins + b], count); }
  }
}

// One workgroup: the bin in which the keep-th largest lies; empties the bins for the next pass.
@compute @workgroup_size(WIDTH)
fn choose(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  const each = BINS / WIDTH;
  var sum = 0u;
  for (var b = me * each; b < (me + 1u) * each; b++) { sum += atomicLoad(&bins[own.bins + b]); }
  let origin = 4u * own.bias;
  let wanted = select(header[origin + REMAINING], numbers.keep, PASS == 0u);
  let isTotal = PASS > 0u && header[origin + TOTAL] == 1u;
  let before = header[origin + CUT];
  storageBarrier();
  let place = sumBefore(sum, me);
  let above = place.y - place.x - sum;
  if (me == 0u && (isTotal || place.y < wanted)) {
    // Fewer positive ones than are kept: all stay, at a cut of 0.
    header[origin + TOTAL] = 1u;
    header[origin + REMAINING] = wanted;
    header[origin + CUT] = 0u;
  }
  if (!isTotal && above < wanted && wanted <= above + sum) {
    var rest = wanted - above;
    var bin = (me + 1u) * each;
    var count = 0u;
    loop {
      bin -= 1u;
      count = atomicLoad(&bins[own.bins + bin]);
      if (count >= rest) { break; }
      rest -= count;
    }
    header[origin + TOTAL] = 0u;
    header[origin + REMAINING] = rest;
    header[origin + CUT] = select(before << 8u, 0u, PASS == 0u) | bin;
  }
  storageBarrier();
  workgroupBarrier();
  for (var b = me * each; b < (me + 1u) * each; b++) { atomicStore(&bins[own.bins + b], 0u); }
}

// A workgroup a row: how many of its values equal the cut.
@compute @workgroup_size(WIDTH)
fn ties(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let cut = header[4u * own.bias + CUT];
  var count = 0u;
  for (var i = me; i < numbers.F; i += WIDTH) {
    let key = latentKey(own, row, i, max(1u, cut));
    if (key > 0u && key == cut) { count += 1u; }
  }
  let all = sumBefore(count, me).y;
  if (me != 0u) { return; }
  rowsKnown[own.rows + numbers.first + row].ties = all;
}

// One workgroup: the ties that each row keeps, into keptTies.
@compute @workgroup_size(WIDTH)
fn share(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let each = (numbers.rows + WIDTH - 1u) / WIDTH;
  let origin = min(me * each, numbers.rows);
  let to = min(origin + each, numbers.rows);
  var sum = 0u;
  for (var t = origin; t < to; t++) { sum += rowsKnown[own.rows + t].ties; }
  let before = sumBefore(sum, me).x;
  var rest = header[4u * own.bias + REMAINING] - min(header[4u * own.bias + REMAINING], before);
  for (var t = origin; t < to; t++) {
    let own_ties = min(rest, rowsKnown[own.rows + t].ties);
    rowsKnown[own.rows + t].keptTies = own_ties;
    rest -= own_ties;
  }
}

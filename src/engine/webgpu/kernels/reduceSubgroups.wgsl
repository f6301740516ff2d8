// The sums of reduceShared.wgsl by subgroups, then over the subgroups' own in their order. Threads of a subgroup follow each other (subgroupCheck.wgsl asks the adapter), so a device comes to the same bits every time.
var<workgroup> shares: array<vec4f, THREADS>;
var<workgroup> counted: array<u32, THREADS>;

// Lanes of this subgroup, this one's place among them, subgroups of the workgroup, this one's.
struct Place { lanes: u32, lane: u32, groups: u32, group: u32 }

fn placeOf(me: u32) -> Place {
  let lanes = subgroupAdd(1u);
  return Place(lanes, subgroupExclusiveAdd(1u), (THREADS + lanes - 1u) / lanes, me / lanes);
}

fn totalOf4(value: vec4f, me: u32) -> vec4f {
  let place = placeOf(me);
  let own = subgroupAdd(value);
  workgroupBarrier();
  if (place.lane == 0u) { shares[place.group] = own; }
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var k = 0u; k < place.groups; k++) { sum += shares[k]; }
  return sum;
}

fn totalOf(value: f32, me: u32) -> f32 {
  let place = placeOf(me);
  let own = subgroupAdd(value);
  workgroupBarrier();
  if (place.lane == 0u) { shares[place.group].x = own; }
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < place.groups; k++) { sum += shares[k].x; }
  return sum;
}

fn leastOf(value: f32, me: u32) -> f32 {
  let place = placeOf(me);
  let own = subgroupMin(value);
  workgroupBarrier();
  if (place.lane == 0u) { shares[place.group].x = own; }
  workgroupBarrier();
  var least = own;
  for (var k = 0u; k < place.groups; k++) { least = min(least, shares[k].x); }
  return least;
}

// Σ over the threads before this one, and over all.
fn sumBefore(value: u32, me: u32) -> vec2u {
  let place = placeOf(me);
  let own = subgroupAdd(value);
  var before = subgroupExclusiveAdd(value);
  workgroupBarrier();
  if (place.lane == 0u) { counted[place.group] = own; }
  workgroupBarrier();
  var all = 0u;
  for (var k = 0u; k < place.groups; k++) {
    if (k < place.group) { before += counted[k]; }
    all += counted[k];
  }
  return vec2u(before, all);
}

// Sums over a workgroup of THREADS through workgroup memory, in the order of the threads.
var<workgroup> shares: array<vec4f, THREADS>;
var<workgroup> counted: array<u32, THREADS>;

fn totalOf4(value: vec4f, me: u32) -> vec4f {
  workgroupBarrier();
  shares[me] = value;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var k = 0u; k < THREADS; k++) { sum += shares[k]; }
  return sum;
}

fn totalOf(value: f32, me: u32) -> f32 {
  workgroupBarrier();
  shares[me].x = value;
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < THREADS; k++) { sum += shares[k].x; }
  return sum;
}

fn leastOf(value: f32, me: u32) -> f32 {
  workgroupBarrier();
  shares[me].x = value;
  workgroupBarrier();
  var least = value;
  for (var k = 0u; k < THREADS; k++) { least = min(least, shares[k].x); }
  return least;
}

// Σ over the threads before this one, and over all.
fn sumBefore(value: u32, me: u32) -> vec2u {
  workgroupBarrier();
  counted[me] = value;
  workgroupBarrier();
  var before = 0u;
  var all = 0u;
  for (var k = 0u; k < THREADS; k++) {
    if (k < me) { before += counted[k]; }
    all += counted[k];
  }
  return vec2u(before, all);
}

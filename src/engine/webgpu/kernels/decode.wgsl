// A workgroup a row: adds up the decoder rows of its list's latents, in order, and leaves the residual's gradient (training) or the reconstruction (encoding), and the row's sums.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> activations: array<vec4f>;
@group(0) @binding(3) var<storage, read> pre: array<f32>;
@group(0) @binding(4) var<storage, read> latents: array<Latent>;
@group(0) @binding(5) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> rowsKnown: array<Row>;
@group(0) @binding(7) var<storage, read> bias: array<vec4f>;
@group(0) @binding(8) var<storage, read> lists: array<u32>;

// What is done together: a latent a thread.
var<workgroup> total: u32;
var<workgroup> listed: array<u32, WIDTH>;
var<workgroup> listedMain: array<f32, WIDTH>;
var<workgroup> listedSecond: array<f32, select(1u, WIDTH, SECOND)>;
const THREADS = WIDTH;
const INNER_SLOTS = select(1u, INNER, INNER > 0u);

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let row = flat(group, groups);
  if (row >= numbers.count) { return; }
  let t = numbers.first + row;
  let V = numbers.V;
  let known = rowsKnown[own.rows + t];
  var out: array<vec4f, VECS>;
  var second: array<vec4f, VECS>;
  for (var v = 0u; v < VECS; v++) {
    let c = me + v * WIDTH;
    if (c < V) { out[v] = bias[own.bias + HEADER + c]; }
    if (ARCHITECTURE == GATED) { second[v] = out[v]; }
  }
  var firing = 0.0;
  var penalty = 0.0;
  var smallest = 3.0e38;
  // The inner width that is being filled, and the thread's part of the errors of those that are full.
  var level = 0u;
  var innerErrors: array<f32, INNER_SLOTS>;
  if (me == 0u) { total = known.listed; }
  let all = workgroupUniformLoad(&total);
  for (var base = 0u; base < all; base += WIDTH) {
    if (base + me < all) {
      let entry = lists[own.lists + row * numbers.room + base + me];
      let i = entry & ~KINDS;
      let p = pre[own.pre + row * numbers.F + i];
      let norm = latents[own.latents + i].norm;
      let vector = vectors[own.vectors + i];
      let code = select(0.0, mainCode(p, vector), (entry & MAIN_KIND) != 0u);
      listed[me] = i;
      listedMain[me] = code;
      if ((entry & MAIN_KIND) != 0u) {
        firing += 1.0;
        if (ARCHITECTURE == BATCHTOPK) { smallest = min(smallest, p * norm); }
        if (ARCHITECTURE == STANDARD) {
          let weighted = code * norm;
          if (LP_IS_ONE) { penalty += weighted; } else if (weighted > 0.0) { penalty += pow(weighted, numbers.lpNorm); }
        }
      }
      if (SECOND) {
        let other = select(0.0, secondCode(p, vector), (entry & SECOND_KIND) != 0u);
        listedSecond[me] = other;
        if (ARCHITECTURE == GATED) { penalty += other * norm; }
      }
    }
    workgroupBarrier();
    for (var q = 0u; q < min(WIDTH, all - base); q++) {
      if (INNER > 0u) {
        for (let its = latents[own.latents + listed[q]].level; level < its; level++) {
          innerErrors[level] = endInner(own, level, t, me, &out, known);
        }
      }
      let origin = (numbers.F + listed[q]) * V;
      let a = listedMain[q];
      var b = 0.0;
      if (SECOND) { b = listedSecond[q]; }
      for (var v = 0u; v < VECS; v++) {
        let c = me + v * WIDTH;
        if (c >= V) { continue; }
        let w = parameters[own.parameters + origin + c];
        out[v] += a * w;
        if (SECOND) { second[v] += b * w; }
      }
    }
    workgroupBarrier();
  }

  for (; level < INNER; level++) { innerErrors[level] = endInner(own, level, t, me, &out, known); }
  for (var one = 0u; one < INNER; one++) {
    let ofRow = totalOf(innerErrors[one], me);
    if (me == 0u) {
      activations[sectionOf(own, INNER_GRADIENT + INNER) + t * INNER_VECS + one / 4u][one % 4u] = ofRow;
    }
  }

  var error = 0.0;
  var otherError = 0.0;
  let doubled = 2.0 / f32(numbers.rows);
  for (var v = 0u; v < VECS; v++) {
    let c = me + v * WIDTH;
    if (c >= V) { continue; }
    let at = t * V + c;
    let x = activations[sectionOf(own, TARGET) + at];
    let within = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u) < vec4u(numbers.d);
    let restored = select(vec4f(0.0), out[v] * known.scale + known.shift, within);
    if (!TRAINING) {
      activations[sectionOf(own, GRADIENT) + at] += numbers.weight * restored;
      // Boosting: the next member sees what this one leaves over.
      if (CHAIN) { activations[sectionOf(own, TARGET) + at] = x - restored; }
      continue;
    }
    let e = restored - x;
    error += squareOf(e);
    activations[sectionOf(own, GRADIENT) + at] = doubled * known.scale * e;
    // What is in an inner reconstruction is in all wider ones as well.
    var wider = doubled * known.scale * e;
    for (var back = 0u; back < INNER; back++) {
      let inner = sectionOf(own, INNER_GRADIENT + INNER - 1u - back) + at;
      wider += activations[inner];
      activations[inner] = wider;
    }
    if (!SECOND) { continue; }
    // AuxK reconstructs the residual x − x̂, a gate x itself.
    var f = second[v] + e;
    if (ARCHITECTURE == GATED) { f = select(vec4f(0.0), second[v] * known.scale + known.shift, within) - x; }
    otherError += squareOf(f);
    activations[sectionOf(own, SECOND_GRADIENT) + at] = doubled * known.scale * f;
  }
  let sums = totalOf4(vec4f(firing, error, penalty, otherError), me);
  if (ARCHITECTURE == BATCHTOPK) { smallest = leastOf(smallest, me); }
  if (me != 0u) { return; }
  rowsKnown[own.rows + t].firing = sums.x;
  rowsKnown[own.rows + t].error = sums.y;
  rowsKnown[own.rows + t].penalty = sums.z;
  rowsKnown[own.rows + t].auxError = sums.w;
  rowsKnown[own.rows + t].least = smallest;
  if (ARCHITECTURE == STANDARD && !LP_IS_ONE) {
    rowsKnown[own.rows + t].penalty = select(0.0, pow(sums.z, 1.0 / numbers.lpNorm), sums.z > 0.0);
    if (TRAINING) {
      // The p-norm's derivative by the row's own norm, where the gradient of the latents will look for it: this architecture has no second gradient.
      let factor = select(1.0, pow(sums.z, 1.0 / numbers.lpNorm - 1.0), sums.z > 0.0);
      activations[sectionOf(own, SECOND_GRADIENT) + t * V] = vec4f(factor);
    }
  }
}

// A matryoshka's row, decoded up to an inner width: leaves the gradient by it alone, returns the thread's part of its error.
fn endInner(own: Own, level: u32, t: u32, me: u32, out: ptr<function, array<vec4f, VECS>>, known: Row) -> f32 {
  let V = numbers.V;
  var error = 0.0;
  for (var v = 0u; v < VECS; v++) {
    let c = me + v * WIDTH;
    if (c >= V) { continue; }
    let at = t * V + c;
    let within = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u) < vec4u(numbers.d);
    let restored = select(vec4f(0.0), (*out)[v] * known.scale + known.shift, within);
    let e = restored - activations[sectionOf(own, TARGET) + at];
    error += squareOf(e);
    activations[sectionOf(own, INNER_GRADIENT + level) + at] = 2.0 / f32(numbers.rows) * known.scale * e;
  }
  return error;
}

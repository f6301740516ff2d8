// What every kernel starts with: its numbers, where things lie in the shared buffers, and small reductions. Constants in capitals are put before it by pipelines.ts.
// The definitions that these kernels follow are engine/reference/ and sae/encode.ts.

struct Numbers {
  // rows of the whole batch, and those of this micro-batch: [first, first + count)
  rows: u32, first: u32, count: u32,
  // latents F; vec4s V of a row of d floats (padded by zeros); d
  F: u32, V: u32, d: u32,
  // topk: latents kept in a row; batchtopk: latents kept in the batch
  k: u32, keep: u32,
  // latents counting as dead have been silent for more steps
  window: u32,
  // latents that a row's list has room for; segments of rows of the counting sort
  room: u32, segments: u32,
  // groups of GROUP latents
  groups: u32,
  // 1 where the first, the last micro-batch
  isFirst: u32, isLast: u32,
  // Adam, bias corrections folded into lr and eps
  lr: f32, eps: f32, beta1: f32, beta2: f32,
  // 1 − β, which float32's β doesn't give
  rest1: f32, rest2: f32,
  // λ over the rows of the batch
  lambda: f32,
  lpNorm: f32, bandwidth: f32, maxNorm: f32, auxCoefficient: f32,
  // encoding: α of the member
  weight: f32,
  // members before those of this pass, and room for each one's pairs
  firstMember: u32, pairs: u32,
}

struct Latent {
  norm: f32,
  since: u32,
  dead: u32,
  // 1 where the gradient buffer holds this latent's gradient
  touched: u32,
  // its pairs in the list
  start: u32,
  count: u32,
  // Σ gradient²
  squares: f32,
  // inner widths of a matryoshka that it lies beyond
  level: u32,
}

// What is known of a row: of the batch's ties at its cut those that the row has and keeps, what undoes the normalisation, sums, and how many latents its list has.
struct Row {
  ties: u32, keptTies: u32,
  scale: f32, shift: f32,
  error: f32, auxError: f32,
  firing: f32, penalty: f32,
  least: f32,
  listed: u32,
}

// Members that are trained together lie one behind the other in every buffer, and are the third direction of every grid: where the own one's part of each begins.
struct Own {
  // of the buffers that hold the SAEs
  parameters: u32, vectors: u32, latents: u32, bias: u32,
  // of the batch's
  rows: u32, sections: u32, pre: u32, reach: u32, lists: u32, pairs: u32, marks: u32, bins: u32, gradients: u32,
}

fn ownOf(group: vec3u) -> Own {
  let z = group.z;
  let m = numbers.firstMember + z;
  let blocks = (numbers.F + LATENTS_EACH - 1u) / LATENTS_EACH;
  var own: Own;
  own.parameters = m * 2u * numbers.F * numbers.V;
  own.vectors = m * 4u * numbers.F;
  own.latents = m * numbers.F;
  own.bias = m * (HEADER + (6u + blocks) * numbers.V);
  own.rows = z * numbers.rows;
  own.sections = z * numbers.rows * ((3u + INNER) * numbers.V + INNER_VECS);
  own.pre = z * numbers.count * numbers.F;
  own.reach = z * numbers.count * numbers.groups;
  own.lists = z * numbers.count * numbers.room;
  own.pairs = z * numbers.pairs;
  own.marks = z * numbers.segments * numbers.F;
  own.bins = z * 256u;
  own.gradients = z * 2u * numbers.F * numbers.V;
  return own;
}

// Sections of the activations' buffer, each [rows, V]: the batch, which all members share, then three of each; of a matryoshka also
// a gradient for each inner width, and then the rows' errors there, [rows, INNER_VECS].
const TARGET = 0u;
const CENTRED = 1u;
const GRADIENT = 2u;
const SECOND_GRADIENT = 3u;
const INNER_GRADIENT = 4u;

// The bias' buffer: a header of single numbers, then b_dec, its moments and its gradient, sums by column, and partial sums.
const HEADER = 4u;
const DEAD_COUNT = 0u;
const CLIP = 1u;
const GRADIENT_NORM = 2u;
const AUX_FACTOR = 3u;
const CUT = 4u;
const REMAINING = 5u;
const TOTAL = 6u;

// Rows of a segment of the counting sort: a bit each of a word.
const SEGMENT_ROWS = 32u;

// An entry of a row's list, and the first word of a pair: a latent, or a row, and what is active there. SECOND: chosen by AuxK, within the band of a jumprelu's threshold, an open gate.
const MAIN_KIND = 0x80000000u;
const SECOND_KIND = 0x40000000u;
const KINDS = MAIN_KIND | SECOND_KIND;

const STANDARD = 0u;
const TOPK = 1u;
const BATCHTOPK = 2u;
const JUMPRELU = 3u;
const GATED = 4u;

fn sectionOf(own: Own, which: u32) -> u32 {
  return select(own.sections + which * numbers.rows * numbers.V, 0u, which == TARGET);
}

// Of a level's latents: a matryoshka's below an inner width are in that reconstruction too, and get the sum of all that they are in.
fn gradientOf(own: Own, level: u32) -> u32 {
  return sectionOf(own, select(INNER_GRADIENT + level, GRADIENT, level == INNER));
}

fn flat(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}

fn squareOf(v: vec4f) -> f32 {
  return dot(v, v);
}

// What every product of a tile of TILE_ROWS × TILE_LATENTS by THREADS threads binds, and how its sums become pre-activations: with their bias, and beside them how far each group of GROUP latents of a row reaches, by which selections know where they needn't look.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> activations: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> latents: array<Latent>;
@group(0) @binding(5) var<storage, read_write> pre: array<f32>;
@group(0) @binding(6) var<storage, read_write> reach: array<u32>;

const TILE_GROUPS = TILE_LATENTS / GROUP;
var<workgroup> tileReach: array<atomic<u32>, TILE_ROWS * TILE_GROUPS>;

fn beginTile(me: u32) {
  for (var at = me; at < TILE_ROWS * TILE_GROUPS; at += THREADS) { atomicStore(&tileReach[at], 0u); }
  workgroupBarrier();
}

// The sum of row r and latent c of the tile that begins at row0 and latent0; rows and latents beyond the ends are left out.
fn putSum(own: Own, row0: u32, latent0: u32, r: u32, c: u32, sum: f32) {
  let i = latent0 + c;
  if (row0 + r >= numbers.count || i >= numbers.F) { return; }
  // A gate and its magnitude have biases of their own.
  let vector = vectors[own.vectors + i];
  let p = sum + select(0.0, vector.x, ENCODER_BIAS);
  pre[own.pre + (row0 + r) * numbers.F + i] = p;
  let its = reachOf(p, vector, latents[own.latents + i].norm);
  if (its > 0u) { atomicMax(&tileReach[r * TILE_GROUPS + c / GROUP], its); }
}

fn endTile(own: Own, row0: u32, latent0: u32, me: u32) {
  workgroupBarrier();
  for (var at = me; at < TILE_ROWS * TILE_GROUPS; at += THREADS) {
    let r = row0 + at / TILE_GROUPS;
    let g = latent0 / GROUP + at % TILE_GROUPS;
    if (r < numbers.count && g < numbers.groups) { reach[own.reach + r * numbers.groups + g] = atomicLoad(&tileReach[at]); }
  }
}

// Before a step, a workgroup a latent: ‖W_dec,i‖, thresholds clamped to ≥ 0, which latents are dead, one more step since each fired.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> latents: array<Latent>;
@group(0) @binding(3) var<storage, read_write> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> header: array<atomic<u32>>;

const THREADS = WIDTH;

@compute @workgroup_size(WIDTH)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) me: u32) {
  let own = ownOf(group);
  let i = flat(group, groups);
  if (i >= numbers.F) { return; }
  var sum = 0.0;
  for (var c = me; c < numbers.V; c += WIDTH) { sum += squareOf(parameters[own.parameters + (numbers.F + i) * numbers.V + c]); }
  let squares = totalOf(sum, me);
  if (me != 0u) { return; }
  // 1 where a topk does not rescale: then the selection is by the pre-activation itself.
  latents[own.latents + i].norm = select(sqrt(squares), 1.0, NORM_IS_ONE);
  if (!TRAINING) { return; }
  let isDead = latents[own.latents + i].since > numbers.window;
  latents[own.latents + i].dead = u32(isDead);
  latents[own.latents + i].since += 1u;
  latents[own.latents + i].touched = 0u;
  if (isDead) { atomicAdd(&header[4u * own.bias + DEAD_COUNT], 1u); }
  if (ARCHITECTURE == JUMPRELU) { vectors[own.vectors + i].y = max(vectors[own.vectors + i].y, 0.0); }
}

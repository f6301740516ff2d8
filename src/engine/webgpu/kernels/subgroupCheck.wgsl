// Whether threads of a subgroup follow each other and subgroups are all of one size, which reduceSubgroups.wgsl takes for granted: 1 for each thread that finds it so.
@group(0) @binding(0) var<uniform> numbers: Numbers;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;

const THREADS = WIDTH;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) me: u32) {
  let lanes = subgroupAdd(1u);
  let first = subgroupMin(me);
  let last = subgroupMax(me);
  let lane = subgroupExclusiveAdd(1u);
  let fits = last == first + lanes - 1u && first % lanes == 0u && me == first + lane;
  found[me] = u32(fits && (THREADS % lanes == 0u));
}

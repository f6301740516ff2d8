// A latent's key in the selections of topk and batchtopk; 0 where it, or its whole group, doesn't reach `least`.
fn latentKey(own: Own, row: u32, i: u32, least: u32) -> u32 {
  if (reach[own.reach + row * numbers.groups + i / GROUP] < least) { return 0u; }
  let key = positiveKey(pre[own.pre + row * numbers.F + i] * latents[own.latents + i].norm);
  return select(0u, key, key >= least);
}

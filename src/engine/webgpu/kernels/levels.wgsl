// Which gradient reaches a latent: a matryoshka's below an inner width is in that reconstruction too, and gets the sum of all that it is in. Apart from shared.wgsl, so that other kernels aren't compiled anew for every list of widths.
fn gradientOf(own: Own, latent: u32) -> u32 {
  for (var level = 0u; level < INNER; level++) {
    if (latent < INNER_WIDTHS[level]) { return sectionOf(own, INNER_GRADIENT + level); }
  }
  return sectionOf(own, GRADIENT);
}

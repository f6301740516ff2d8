// torch's Adam without weight decay on four parameters; bias corrections are folded into lr and eps.
fn adamStep(value: vec4f, m: vec4f, v: vec4f) -> vec4f {
  return value - numbers.lr * m / (sqrt(v) + numbers.eps);
}
fn firstMoment(before: vec4f, g: vec4f) -> vec4f {
  return numbers.beta1 * before + numbers.rest1 * g;
}
fn secondMoment(before: vec4f, g: vec4f) -> vec4f {
  return numbers.beta2 * before + numbers.rest2 * g * g;
}

// A kernel's numbers: `Numbers` of shared.wgsl as bytes.

/** In the order of the struct; true for floats. */
const FIELDS = {
  rows: false,
  first: false,
  count: false,
  F: false,
  V: false,
  d: false,
  k: false,
  keep: false,
  window: false,
  room: false,
  segments: false,
  groups: false,
  isFirst: false,
  isLast: false,
  lr: true,
  eps: true,
  beta1: true,
  beta2: true,
  rest1: true,
  rest2: true,
  lambda: true,
  lpNorm: true,
  bandwidth: true,
  maxNorm: true,
  auxCoefficient: true,
  weight: true,
  firstMember: false,
  pairs: false,
} as const;

export type Numbers = Partial<Record<keyof typeof FIELDS, number>>;

export const NUMBERS_BYTES = Object.keys(FIELDS).length * 4;

/** What is not given is 0. */
export function packNumbers(numbers: Numbers): Uint8Array {
  const view = new DataView(new ArrayBuffer(NUMBERS_BYTES));
  for (const [at, [name, isFloat]] of Object.entries(FIELDS).entries()) {
    const value = numbers[name as keyof Numbers] ?? 0;
    if (isFloat) view.setFloat32(at * 4, value, true);
    else view.setUint32(at * 4, value, true);
  }
  return new Uint8Array(view.buffer);
}

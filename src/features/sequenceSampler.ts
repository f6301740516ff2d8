// Which windows of text stand for a feature: the strongest ones and a uniform sample, chosen in one pass, with the feature's activations on them.

/** A chosen window. */
export interface SampledWindow {
  readonly window: number;
  /** Largest activation, and its place in the window. */
  readonly maximum: number;
  readonly peak: number;
  /** By which `activations` finds the rest. */
  readonly slot: number;
}

/** One feature's activations on one window; an object that is filled anew for every window, since there are millions. */
export interface WindowActivations {
  /** Global number of the window. */
  window: number;
  /** Largest activation, and its place in the window. */
  maximum: number;
  peak: number;
  /** Entries [from, to) of the two arrays: position of the token in the chunk, and activation. */
  positions: Uint32Array;
  values: Float32Array;
  from: number;
  to: number;
  /** Place in the row of each position of the chunk, and the place in the row at which the window begins. */
  places: Uint32Array;
  origin: number;
}

/**
 * Keeps, for every feature, the `top` windows with the largest maxima (ties: the earlier window) and the `sample` windows
 * with the least hash of (seed, feature, window): a uniform sample without replacement that depends on neither the order
 * nor the batches in which windows come. Slots are flat arrays; activations lie in one log that is compacted when half of it is garbage.
 */
export class SequenceSampler {
  readonly top: number;
  readonly sample: number;
  readonly #seed: number;
  readonly #features: number;
  /** Slots a feature: first the top ones, then the sample. */
  readonly #slots: number;
  readonly #topUsed: Uint16Array;
  readonly #sampleUsed: Uint16Array;
  /** The slot to be replaced next, and what a newcomer must beat. */
  readonly #topWorst: Uint16Array;
  readonly #topFloor: Float32Array;
  readonly #sampleWorst: Uint16Array;
  readonly #sampleCeiling: Uint32Array;
  readonly #windows: Uint32Array;
  readonly #maxima: Float32Array;
  readonly #peaks: Uint16Array;
  readonly #hashes: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #lengths: Uint16Array;
  #places = new Uint16Array(1 << 16);
  #values = new Float32Array(1 << 16);
  #logged = 0;
  #live = 0;

  constructor(features: number, options: { top: number; sample: number; seed: number }) {
    this.top = options.top;
    this.sample = options.sample;
    this.#seed = mixed(options.seed | 0, Math.floor(options.seed / 2 ** 32) | 0);
    this.#features = features;
    this.#slots = options.top + options.sample;
    const slots = features * this.#slots;
    this.#topUsed = new Uint16Array(features);
    this.#sampleUsed = new Uint16Array(features);
    this.#topWorst = new Uint16Array(features);
    this.#topFloor = new Float32Array(features).fill(-1);
    this.#sampleWorst = new Uint16Array(features);
    this.#sampleCeiling = new Uint32Array(features).fill(0xffffffff);
    this.#windows = new Uint32Array(slots);
    this.#maxima = new Float32Array(slots);
    this.#peaks = new Uint16Array(slots);
    this.#hashes = new Uint32Array(slots);
    this.#starts = new Uint32Array(slots);
    this.#lengths = new Uint16Array(slots);
  }

  /** Hash by which a window is sampled for a feature. */
  hash(feature: number, window: number): number {
    return mixed(mixed(this.#seed, feature), window);
  }

  /** Offers one window; a feature's windows come in ascending order. */
  offer(feature: number, on: WindowActivations): void {
    if (on.maximum > this.#topFloor[feature]!) {
      const base = feature * this.#slots;
      const used = this.#topUsed[feature]!;
      const free = used < this.top;
      if (free) this.#topUsed[feature] = used + 1;
      this.#store(base + (free ? used : this.#topWorst[feature]!), on);
      if (used + 1 >= this.top) this.#findTopWorst(feature);
    }
    const used = this.#sampleUsed[feature]!;
    const free = used < this.sample;
    const hash = this.hash(feature, on.window);
    // At equal hashes the earlier window stays, and they come in order.
    if (free || hash < this.#sampleCeiling[feature]!) {
      const slot = feature * this.#slots + this.top + (free ? used : this.#sampleWorst[feature]!);
      if (free) this.#sampleUsed[feature] = used + 1;
      this.#hashes[slot] = hash;
      this.#store(slot, on);
      if (used + 1 >= this.sample) this.#findSampleWorst(feature);
    }
  }

  /** The strongest windows, strongest first. */
  topOf(feature: number): SampledWindow[] {
    const base = feature * this.#slots;
    return this.#chosen(base, this.#topUsed[feature]!).sort((a, b) => b.maximum - a.maximum || a.window - b.window);
  }

  /** The uniform sample, least hash first. */
  sampleOf(feature: number): SampledWindow[] {
    const base = feature * this.#slots + this.top;
    return this.#chosen(base, this.#sampleUsed[feature]!).sort(
      (a, b) => this.#hashes[a.slot]! - this.#hashes[b.slot]! || a.window - b.window,
    );
  }

  /** The feature's activations on a chosen window: places in the window ascend. Views, good until the next offer. */
  activations({ slot }: SampledWindow): { places: Uint16Array; values: Float32Array } {
    const start = this.#starts[slot]!;
    const end = start + this.#lengths[slot]!;
    return { places: this.#places.subarray(start, end), values: this.#values.subarray(start, end) };
  }

  #chosen(base: number, used: number): SampledWindow[] {
    return Array.from({ length: used }, (_, s) => ({
      window: this.#windows[base + s]!,
      maximum: this.#maxima[base + s]!,
      peak: this.#peaks[base + s]!,
      slot: base + s,
    }));
  }

  #store(slot: number, on: WindowActivations): void {
    const length = on.to - on.from;
    this.#live += length - this.#lengths[slot]!;
    this.#lengths[slot] = 0;
    if (this.#logged + length > this.#places.length) this.#makeRoom(length);
    this.#windows[slot] = on.window;
    this.#maxima[slot] = on.maximum;
    this.#peaks[slot] = on.peak;
    this.#starts[slot] = this.#logged;
    this.#lengths[slot] = length;
    let at = this.#logged;
    for (let p = on.from; p < on.to; p++, at++) {
      this.#places[at] = on.places[on.positions[p]!]! - on.origin;
      this.#values[at] = on.values[p]!;
    }
    this.#logged = at;
  }

  /** Drops what no slot refers to any more; grows only if that leaves the log more than half full. */
  #makeRoom(length: number): void {
    const capacity = Math.max(this.#places.length, 1 << 16);
    const needed = 2 * (this.#live + length);
    const size = needed > capacity ? Math.ceil(1.5 * needed) : capacity;
    const places = new Uint16Array(size);
    const values = new Float32Array(size);
    let at = 0;
    for (let slot = 0; slot < this.#features * this.#slots; slot++) {
      const count = this.#lengths[slot]!;
      if (count === 0) continue;
      const start = this.#starts[slot]!;
      for (let e = 0; e < count; e++) {
        places[at + e] = this.#places[start + e]!;
        values[at + e] = this.#values[start + e]!;
      }
      this.#starts[slot] = at;
      at += count;
    }
    this.#places = places;
    this.#values = values;
    this.#logged = at;
  }

  #findTopWorst(feature: number): void {
    const base = feature * this.#slots;
    let worst = 0;
    for (let s = 1; s < this.top; s++) {
      const less = this.#maxima[base + s]! - this.#maxima[base + worst]!;
      if (less < 0 || (less === 0 && this.#windows[base + s]! > this.#windows[base + worst]!)) worst = s;
    }
    this.#topWorst[feature] = worst;
    this.#topFloor[feature] = this.#maxima[base + worst]!;
  }

  #findSampleWorst(feature: number): void {
    const base = feature * this.#slots + this.top;
    let worst = 0;
    for (let s = 1; s < this.sample; s++) {
      const more = this.#hashes[base + s]! - this.#hashes[base + worst]!;
      if (more > 0 || (more === 0 && this.#windows[base + s]! > this.#windows[base + worst]!)) worst = s;
    }
    this.#sampleWorst[feature] = worst;
    this.#sampleCeiling[feature] = this.#hashes[base + worst]!;
  }
}

/** Two words into one, unsigned 32 bits: multiply, rotate, and murmur3's finaliser. */
function mixed(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul((b ^ 0x7f4a7c15) | 0, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

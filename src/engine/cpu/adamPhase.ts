// Adam for one part of a slab's latents, inside a worker: both rows, the vectors, norms and counters.
import { partOf } from "./job.ts";
import { LATENT_PARTS, TILE, vectorNames } from "./layout.ts";
import { CLIP, type Step, tileOf, usesSecond } from "./step.ts";

/** dictionary_learning's ε where it renormalises decoder rows. */
const RENORMALISE_EPS = 2 ** -23;

/** Adam's numbers at this step, bias corrections folded into lr and ε. */
export function adamNumbers(
  step: Step,
  clip: number,
): { beta1: number; beta2: number; oneM: number; oneV: number; lr: number; eps: number } {
  const { adam_beta1: beta1, adam_beta2: beta2, adam_eps } = step.config;
  const root = Math.sqrt(1 - beta2 ** step.count);
  return {
    beta1,
    beta2,
    oneM: (1 - beta1) * clip,
    oneV: (1 - beta2) * clip * clip,
    lr: (step.input.lr * root) / (1 - beta1 ** step.count),
    eps: adam_eps * root,
  };
}

export function adamPart(step: Step, unit: number): void {
  const { job, config, sae, places } = step;
  const place = places[Math.floor(unit / LATENT_PARTS)]!;
  const { kernels: K, scratch, slab } = place;
  const { at, padded } = slab;
  const [i0, i1] = partOf(padded, LATENT_PARTS, unit % LATENT_PARTS);
  const { beta1, beta2, oneM, oneV, lr, eps } = adamNumbers(step, job.crew.partials[CLIP]!);
  const { mode, decayM, decayV, largest, squares } = scratch;
  K.modes(
    scratch.a.off,
    usesSecond(step) ? scratch.b.off : 0,
    at.last!,
    step.count,
    i0,
    i1,
    beta1,
    beta2,
    mode,
    decayM,
    decayV,
    largest,
  );
  K.adamRows(
    at.W_enc!,
    at["m.W_enc"] ?? 0,
    at["v.W_enc"]!,
    scratch.GE,
    sae.d,
    sae.d,
    i0,
    i1,
    mode,
    decayM,
    decayV,
    oneM,
    oneV,
    lr,
    eps,
    0,
    1,
    largest,
  );
  for (let tile = 0; tile < sae.d / TILE; tile++) {
    const of = (base: number): number => tileOf(base, tile, padded);
    K.adamRows(
      of(at.W_dec!),
      at["m.W_dec"] ? of(at["m.W_dec"]!) : 0,
      of(at["v.W_dec"]!),
      of(scratch.GD),
      TILE,
      TILE,
      i0,
      i1,
      mode,
      decayM,
      decayV,
      oneM,
      oneV,
      lr,
      eps,
      squares,
      tile === 0 ? 1 : 0,
      largest,
    );
  }
  K.finishRows(i0, i1, mode, squares, at.norm!, at.last!, step.count, largest, scratch.fired, at.silent!);
  if (config.decoder_norm === "unit") {
    K.unitRows(at.W_dec!, padded, sae.d, i0, i1, mode, at.norm!, RENORMALISE_EPS);
    K.rowNorms(at.W_dec!, padded, sae.d, i0, i1, at.norm!);
  }
  for (const name of vectorNames(sae.config.architecture)) {
    K.adamVector(
      at[name]!,
      at[`m.${name}`] ?? 0,
      at[`v.${name}`]!,
      at[`g.${name}`]!,
      i0,
      i1,
      beta1,
      oneM,
      beta2,
      oneV,
      lr,
      eps,
    );
  }
}

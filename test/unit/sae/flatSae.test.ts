// An ensemble as one SAE: the same reconstructions and the members' own codes wherever a flat form is promised, and the reason wherever it isn't.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { decode, encode } from "../../../src/sae/encode.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import { flatSae, whyNotFlat } from "../../../src/sae/flatSae.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import type { Sae, SaeConfig } from "../../../src/sae/sae.ts";
import { randomSae } from "../engine/randomCases.ts";

function ensembleOf(method: Ensemble["method"], members: Sae[]): Ensemble {
  const weights = members.map(() => (method === "bagging" ? 1 / members.length : 1));
  const seeds = members.map((_, j) => j);
  return { method, members, weights, seeds, hook: "blocks.0.hook_resid_post", provenance: {} };
}

describe("exact", () => {
  const cases: Record<string, Sae[]> = {
    standard: [1, 2, 3].map((seed) => randomSae({ architecture: "standard" }, seed)),
    "standard without b_dec": [1, 2].map((seed) =>
      randomSae({ architecture: "standard", apply_b_dec_to_input: false }, seed),
    ),
    jumprelu: [4, 5].map((seed) => randomSae({ architecture: "jumprelu" }, seed)),
    gated: [6, 7].map((seed) => randomSae({ architecture: "gated" }, seed)),
    "standard beside jumprelu": [
      randomSae({ architecture: "standard" }, 8),
      randomSae({ architecture: "jumprelu" }, 9),
    ],
    "one topk": [randomSae({ architecture: "topk" }, 10)],
  };
  for (const [name, members] of Object.entries(cases)) {
    test(name, () => {
      const ensemble = ensembleOf(members.length === 1 ? "single" : "bagging", members);
      assert.equal(whyNotFlat(ensemble), null);
      const rows = 40;
      const random = SeededRandom.derive(rows, name);
      const { d_in } = members[0]!.config;
      const x = Float32Array.from({ length: rows * d_in }, () => 1.5 * random.normal() + 0.3);
      const wanted = encodeEnsemble(ensemble, x, rows);
      const flat = flatSae(ensemble);
      const codes = encode(flat, x, rows);
      assert.ok(codes.some((code) => code > 0));
      const J = members.length;
      close(
        codes,
        wanted.codes.map((code) => code * J),
        "codes",
      );
      close(decode(flat, codes, rows, x), wanted.reconstruction, "reconstruction");
    });
  }
});

describe("one member of another weight than 1 is scaled by it", () => {
  const cases: Record<string, Partial<SaeConfig>> = {
    standard: { architecture: "standard" },
    topk: { architecture: "topk" },
    "topk that rescales": { architecture: "topk", rescale_acts_by_decoder_norm: true },
    jumprelu: { architecture: "jumprelu" },
    gated: { architecture: "gated" },
  };
  for (const [name, config] of Object.entries(cases)) {
    test(name, () => {
      const ensemble = { ...ensembleOf("single", [inferenceSae(randomSae(config, 11))]), weights: [0.25] };
      const rows = 40;
      const random = SeededRandom.derive(rows, name);
      const x = Float32Array.from({ length: rows * ensemble.members[0]!.config.d_in }, () => 1.5 * random.normal());
      const flat = flatSae(ensemble);
      const wanted = encodeEnsemble(ensemble, x, rows);
      const codes = encode(flat, x, rows);
      close(
        codes,
        wanted.codes.map((code) => 4 * code),
        "codes",
      );
      close(decode(flat, codes, rows, x), wanted.reconstruction, "reconstruction");
    });
  }
  test("or refused where it normalises each token", () => {
    const member = randomSae({ architecture: "standard", normalize_activations: "layer_norm" }, 12);
    const one = ensembleOf("single", [member]);
    assert.equal(flatSae(one), member);
    assert.match(
      whyNotFlat({ ...one, weights: [0.25] })!,
      /normalises each token \(layer_norm\), and its weight of 0\.25/,
    );
  });
});

test("members of hook_z stay of hook_z", () => {
  const of = (seed: number, more: Partial<SaeConfig> = {}) => randomSae({ architecture: "standard", ...more }, seed);
  const heads = { reshape_activations: "hook_z" } as const;
  assert.equal(flatSae(ensembleOf("bagging", [of(1, heads), of(2, heads)])).config.reshape_activations, "hook_z");
  assert.equal(flatSae(ensembleOf("bagging", [of(1), of(2)])).config.reshape_activations, undefined);
  assert.match(whyNotFlat(ensembleOf("bagging", [of(1, heads), of(2)]))!, /some .* hook_z .* and some are not/);
});

function close(got: Float32Array, wanted: Float32Array, what: string): void {
  assert.equal(got.length, wanted.length);
  for (const [at, value] of got.entries()) {
    assert.ok(
      Math.abs(value - wanted[at]!) < 1e-5 * (1 + Math.abs(wanted[at]!)),
      `${what} ${at}: ${value} for ${wanted[at]}`,
    );
  }
}

test("what has no flat form says why", () => {
  const topk = [1, 2].map((seed) => randomSae({ architecture: "topk" }, seed));
  const standard = randomSae({ architecture: "standard" }, 3);
  const cases: [Ensemble, RegExp][] = [
    [ensembleOf("bagging", topk), /topk selects within each member/],
    [ensembleOf("boosting", [standard, standard]), /what the members before it leave/],
    [ensembleOf("bagging", [standard, randomSae({ architecture: "gated" }, 4)]), /gated and some are not/],
    [
      ensembleOf("bagging", [
        standard,
        randomSae({ architecture: "standard", normalize_activations: "layer_norm" }, 5),
      ]),
      /normalise each token/,
    ],
  ];
  for (const [ensemble, reason] of cases) {
    assert.match(whyNotFlat(ensemble)!, reason);
    assert.throws(() => flatSae(ensemble), reason);
  }
});

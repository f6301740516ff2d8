// The tints' colours, computed: text on every one of them keeps WCAG's contrast, and neighbouring steps can be told apart, on the backgrounds of VS Code's own themes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Color, css, hues, lineWidth, opacity, steps } from "../../../../src/extension/editor/palette.ts";

/** Editor background and text of themes that come with VS Code. */
const themes = {
  dark: [
    ["Dark Modern", "1f1f1f", "cccccc"],
    ["Dark+", "1e1e1e", "d4d4d4"],
    ["Dark 2026", "121314", "bbbebf"],
  ],
  light: [
    ["Light Modern", "ffffff", "3b3b3b"],
    ["Light+", "ffffff", "000000"],
    ["Light 2026", "ffffff", "202020"],
  ],
} as const;

const parsed = (hex: string) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Color;
const linear = (value: number) =>
  value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]: Color) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const over = (below: Color, color: Color, alpha: number) =>
  below.map((value, i) => value + (color[i]! - value) * alpha) as unknown as Color;

/** WCAG 2: 4.5 is AA for text, 3 for lines that mean something. */
function contrast(a: Color, b: Color): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** OKLab, in which equal distances look equal; 0.02 is a difference that is just seen side by side. */
function okLab([red, green, blue]: Color): number[] {
  const [r, g, b] = [linear(red), linear(green), linear(blue)];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}
const difference = (a: Color, b: Color) => Math.hypot(...okLab(a).map((value, i) => value - okLab(b)[i]!));

for (const kind of ["dark", "light"] as const)
  describe(`tints in ${kind} themes`, () => {
    for (const [name, background, foreground] of themes[kind]) {
      const below = parsed(background);
      test(`${name}: text reads on every step of every hue, and each step differs from the one before`, () => {
        for (const hue of hues) {
          let before = below;
          for (let step = 0; step < steps; step++) {
            const tint = over(below, hue[kind], opacity(kind, step));
            const text = contrast(parsed(foreground), tint);
            assert.ok(text >= 4.5, `${css(hue[kind])} step ${step}: text has a contrast of ${text.toFixed(2)}`);
            const apart = difference(tint, before);
            assert.ok(apart >= 0.035, `${css(hue[kind])} step ${step}: ${apart.toFixed(3)} from the one before`);
            before = tint;
          }
        }
      });

      test(`${name}: pinned features of equal strength have colours that differ`, () => {
        const strongest = hues.map((hue) => over(below, hue[kind], opacity(kind, steps - 1)));
        for (const [i, a] of strongest.entries())
          for (const b of strongest.slice(i + 1)) assert.ok(difference(a, b) > 0.1, `${a} and ${b}`);
      });
    }
  });

test("high contrast: lines stand out from the background, and each step is a pixel wider", () => {
  for (const { darkLine, lightLine } of hues) {
    assert.ok(contrast(darkLine, [0, 0, 0]) >= 4.5);
    assert.ok(contrast(lightLine, [255, 255, 255]) >= 4.5);
  }
  for (let step = 1; step < steps; step++) assert.equal(lineWidth(step) - lineWidth(step - 1), 1);
});

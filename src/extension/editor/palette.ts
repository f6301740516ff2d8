// The colours of tints: a hue a feature, in five steps that the eye tells apart and on which the editor's text keeps the contrast of WCAG AA. No VS Code in here; the tests compute both.

export type Color = readonly [red: number, green: number, blue: number];

export interface Hue {
  /** Laid over the editor's background in dark and light themes: deep, so that it is strong without lighting up (or darkening) what the text stands on. */
  readonly dark: Color;
  readonly light: Color;
  /** Lines below the token in high contrast, and the mark of a pinned feature (package.json has it as a theme colour). */
  readonly darkLine: Color;
  readonly lightLine: Color;
}

/** The first tints by the strongest feature, all of them pinned ones. Blue, which selections have, comes last; the first two differ for colour-blind eyes as well. */
export const hues: readonly Hue[] = [
  { dark: [152, 72, 0], light: [250, 165, 50], darkLine: [245, 170, 60], lightLine: [165, 80, 0] },
  { dark: [145, 25, 205], light: [210, 145, 250], darkLine: [215, 140, 250], lightLine: [135, 40, 190] },
  { dark: [0, 108, 30], light: [110, 200, 110], darkLine: [120, 215, 120], lightLine: [30, 115, 40] },
  { dark: [0, 80, 230], light: [90, 170, 255], darkLine: [90, 170, 255], lightLine: [0, 90, 200] },
];

export const steps = 5;
const strongest = { dark: 0.75, light: 0.9 } as const;

/** How much of a tint lies over the background; step 0 is the weakest. */
export function opacity(theme: "dark" | "light", step: number): number {
  return (strongest[theme] * (step + 1)) / steps;
}

/** Pixels of the line below a token in high contrast. */
export function lineWidth(step: number): number {
  return step + 1;
}

/** As the editor's styles write it. */
export function css(color: Color, alpha = 1): string {
  return alpha === 1 ? `rgb(${color.join(", ")})` : `rgba(${color.join(", ")}, ${alpha.toFixed(2)})`;
}

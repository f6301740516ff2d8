// Labels by a language model: what it is asked, how its answers are read, and how well a label tells where its feature fires (detection on held-out passages). Nothing is sent from here.
import { SeededRandom } from "../data/seededRandom.ts";
import { type Excerpt, featureExcerpts } from "./excerpts.ts";
import type { FeatureDetail } from "./featureIndex.ts";

/** Fewest passages of each kind on which a score says anything. */
const LEAST_PASSAGES = 3;
const LONGEST_LABEL = 120;

/** An answer that is not what was asked for. The message is for people. */
export class LabelAnswerError extends Error {
  override name = "LabelAnswerError";
}

/** How a label told held-out passages in which its feature fires from others in which it does not. */
export interface DetectionScore {
  /** Mean of the shares found right among those that fire and those that don't: 1 is perfect, 0.5 is chance. */
  readonly score: number;
  readonly firing: number;
  readonly firingFound: number;
  readonly silent: number;
  readonly silentFound: number;
}

/** Asks for a label. Null where the feature has no passage to show. */
export function labelPrompt(detail: FeatureDetail): string | null {
  const { shown } = featureExcerpts(detail);
  if (shown.length === 0) return null;
  const tokens = detail.tokens
    .slice(0, 8)
    .map(({ text, share }) => `${JSON.stringify(text)} ${Math.round(100 * share)}%`);
  return `Below are passages of text in which one feature of a sparse autoencoder, trained on the activations of a language model, is active. Tokens on which it is active stand in «guillemets». The passages go from strong to weak activations, so the label must hold for all of them.

Tokens with the largest share of its activation: ${tokens.join(", ")}

${numbered(shown, marked)}

What makes the feature active? Answer with a label alone, on one line, of at most ten words: specific, without "tokens related to" and without quotation marks.`;
}

/** The label in an answer. Throws LabelAnswerError where there is none. */
export function parseLabel(answer: string): string {
  const line = answer
    .split("\n")
    .map((text) => text.trim())
    .find((text) => text !== "");
  const label = (line ?? "")
    .replace(/^[-*#>\s]*(?:\*\*)?label(?:\*\*)?\s*:\s*/i, "")
    .replace(/^["'“”«»*_`\s]+|["'“”«»*_`\s.]+$/g, "");
  if (label === "") throw new LabelAnswerError("the model gave no label");
  if (label.length > LONGEST_LABEL)
    throw new LabelAnswerError(`the model gave a text of ${label.length} characters, not a label`);
  return label;
}

/** Asks which passages a label fits. Null where there are too few held-out passages for a score. */
export function detectionPrompt(detail: FeatureDetail, label: string): string | null {
  const passages = detectionPassages(detail);
  if (!passages) return null;
  return `A feature of a language model is described as: ${label}

In which of these passages is it active on some token? The description may be wrong or too narrow; judge by it alone.

${numbered(
  passages.map(({ excerpt }) => excerpt),
  plain,
)}

Answer with the numbers of those passages as a JSON list and nothing else, for example [1, 4]; [] if it is active in none.`;
}

/** The numbers in an answer to `detectionPrompt`, scored. Throws LabelAnswerError where it is no such list. */
export function scoreDetection(detail: FeatureDetail, answer: string): DetectionScore {
  const passages = detectionPassages(detail);
  if (!passages) throw new LabelAnswerError("there are too few held-out passages for a score");
  const chosen = parseNumbers(answer, passages.length);
  const counts = { firing: 0, firingFound: 0, silent: 0, silentFound: 0 };
  for (const [i, { fires }] of passages.entries()) {
    counts[fires ? "firing" : "silent"]++;
    if (chosen.has(i + 1) === fires) counts[fires ? "firingFound" : "silentFound"]++;
  }
  const score = (counts.firingFound / counts.firing + counts.silentFound / counts.silent) / 2;
  return { score, ...counts };
}

/** Held-out passages in an order that tells nothing, the same every time; null where there are too few of a kind. */
function detectionPassages(detail: FeatureDetail): { excerpt: Excerpt; fires: boolean }[] | null {
  const { heldOut, silent } = featureExcerpts(detail);
  if (heldOut.length < LEAST_PASSAGES || silent.length < LEAST_PASSAGES) return null;
  const passages = [
    ...heldOut.map((excerpt) => ({ excerpt, fires: true })),
    ...silent.map((excerpt) => ({ excerpt, fires: false })),
  ];
  const random = SeededRandom.derive(detail.id, "detection order");
  for (let i = passages.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [passages[i], passages[j]] = [passages[j]!, passages[i]!];
  }
  return passages;
}

function parseNumbers(answer: string, most: number): Set<number> {
  const list = /\[[\d\s,]*\]/.exec(answer)?.[0];
  if (!list) throw new LabelAnswerError("the model gave no list of passages");
  const numbers = (list.match(/\d+/g) ?? []).map(Number);
  const wrong = numbers.find((number) => number < 1 || number > most);
  if (wrong !== undefined) throw new LabelAnswerError(`the model named passage ${wrong} of ${most}`);
  return new Set(numbers);
}

function numbered(excerpts: readonly Excerpt[], shown: (excerpt: Excerpt) => string): string {
  return excerpts.map((excerpt, i) => `${i + 1}. ${shown(excerpt)}`).join("\n");
}

function plain({ tokens }: Excerpt): string {
  return oneLine(tokens.map(({ text }) => text).join(""));
}

/** Neighbouring active tokens share a pair of guillemets; white space before the first stays outside. */
function marked({ tokens }: Excerpt): string {
  let text = "";
  let active = false;
  for (const token of tokens) {
    const fires = token.activation > 0;
    if (active && !fires) text += "»";
    if (!active && fires) {
      const word = token.text.trimStart();
      text += `${token.text.slice(0, token.text.length - word.length)}«${word}`;
    } else text += token.text;
    active = fires;
  }
  return oneLine(active ? `${text}»` : text);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

// A value of somebody's file inside an error message: short whatever it holds. A list that holds another twice, forty times over, would be 2^40 words in full.

const LONGEST = 60;

/** A text as far as it has room in a line. */
export function cutShort(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

/** A string, cut short; a number, boolean or nothing as it is; of anything else only what it is. */
export function brief(value: unknown): string {
  if (typeof value === "string") return cutShort(value);
  if (Array.isArray(value)) return "a list";
  if (value instanceof Map) return "a dict";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

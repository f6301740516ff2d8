// Names of things on the Hugging Face hub: "EleutherAI/pythia-160m", a revision or a path in the repository behind it, and TransformerLens' short names.

export interface HubReference {
  readonly type: "model" | "dataset";
  /** "owner/name" */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** A file or folder in the repository; empty: the whole. */
  readonly path: string;
}

/** Marks a reference where a path could stand as well. */
const SCHEME = "hf:";

/** TransformerLens' names, which SAELens' users write, for repositories of others. */
const SHORT_NAMES: readonly (readonly [RegExp, string])[] = [
  [/^gpt2(?:-small)?$/, "openai-community/gpt2"],
  [/^gpt2-(medium|large|xl)$/, "openai-community/gpt2-$1"],
  [/^(pythia-[\w.-]+)$/, "EleutherAI/$1"],
  [/^(gemma-2-[\w.-]+)$/, "google/$1"],
  [/^(SmolLM2?-[\w.-]+)$/i, "HuggingFaceTB/$1"],
  [/^(qwen[23][\w.-]*)$/i, "Qwen/$1"],
  [/^gelu-1l$/, "NeelNanda/GELU_1L512W_C4_Code"],
];

const segment = String.raw`[A-Za-z0-9](?:[\w.-]*\w)?`;
const name = new RegExp(`^(${segment}/${segment})(?:@([^@\\s]+?))?(?:/(${segment}(?:/[\\w.+-]+)*))?$`);

/**
 * "owner/name", "owner/name@revision", either with "/path/in/it" behind it, perhaps as hf://… or https://huggingface.co/…;
 * or a short name. Null for what can't be one.
 */
export function hubReference(text: string, type: HubReference["type"]): HubReference | null {
  const bare = text
    .replace(/^(?:hf:\/\/|https:\/\/huggingface\.co\/)(?:datasets\/)?/, "")
    .replace(/\/(?:tree|blob|resolve)\/([^/]+)/, "@$1");
  const short = type === "model" ? SHORT_NAMES.find(([pattern]) => pattern.test(bare)) : undefined;
  const match = name.exec(short ? bare.replace(...short) : bare);
  if (!match || bare.includes("..")) return null;
  const [, repo, revision = "main", path = ""] = match;
  return { type, repo: repo!, revision, path };
}

/** In a place that otherwise holds a path. */
export function hubUri(reference: HubReference): string {
  return SCHEME + JSON.stringify(reference);
}

/** The reference that `hubUri` wrote; null for a path. */
export function hubReferenceOf(uri: string): HubReference | null {
  return uri.startsWith(`${SCHEME}{`) ? (JSON.parse(uri.slice(SCHEME.length)) as HubReference) : null;
}

/** For people. */
export function hubName({ repo, revision, path }: HubReference): string {
  return `${repo}${revision === "main" ? "" : `@${revision}`}${path ? `/${path}` : ""}`;
}

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

/** TransformerLens' names (its supported_models.py), which SAELens' users write, for repositories of the families that are read here. */
const SHORT_NAMES: readonly (readonly [RegExp, string | ((whole: string, part: string) => string)])[] = [
  [/^gpt2(?:-small)?$/, "openai-community/gpt2"],
  [/^gpt2-(medium|large|xl)$/, "openai-community/gpt2-$1"],
  [/^(?:distill?-?gpt2|gpt2-xs)$/, "distilbert/distilgpt2"],
  [/^(pythia-[\w.-]+)$/, "EleutherAI/$1"],
  [/^(?:gpt-neox(?:-20b)?|neox)$/, "EleutherAI/gpt-neox-20b"],
  [/^(gemma-2-[\w.-]+)$/, "google/$1"],
  [/^[Ll]lama-2-(7b|13b|70b)(-chat)?(?:-hf)?$/, "meta-llama/Llama-2-$1$2-hf"],
  [/^mistral-7b$/i, "mistralai/Mistral-7B-v0.1"],
  [/^mistral-7b-instruct$/i, "mistralai/Mistral-7B-Instruct-v0.1"],
  [/^(SmolLM2?-[\w.-]+)$/i, "HuggingFaceTB/$1"],
  [/^qwen((?:1\.5|[23])[\w.-]*)$/i, (_, rest) => `Qwen/Qwen${rest.split("-").map(capital).join("-")}`],
  [/^gelu-([1-4])l(?:-new|-c4-code)?$/, "NeelNanda/GELU_$1L512W_C4_Code"],
];

/** "0.5B" of 0.5b, "Instruct" of instruct. */
function capital(part: string): string {
  return /^\d/.test(part) ? part.toUpperCase() : part.charAt(0).toUpperCase() + part.slice(1);
}

const segment = String.raw`[A-Za-z0-9](?:[\w.-]*\w)?`;
/** What stands for a revision: a slash in it is written %2F, except in the hub's own refs/pr/1 and refs/convert/parquet. */
const revisionText = String.raw`refs/(?:pr|convert)/[^@\s/]+|[^@\s/]+`;
const name = new RegExp(`^(${segment}/${segment})(?:@(${revisionText}))?(?:/(${segment}(?:/[\\w.+-]+)*))?$`);
const inUrl = new RegExp(`/(?:tree|blob|resolve)/(${revisionText})`);
const hubRef = /^refs\/(?:pr|convert)\/[^/]+$/;

/**
 * "owner/name", "owner/name@revision", either with "/path/in/it" behind it, perhaps as hf://… or https://huggingface.co/…;
 * or a short name. Null for what can't be one.
 */
export function hubReference(text: string, type: HubReference["type"]): HubReference | null {
  const bare = text
    .replace(/^(?:hf:\/\/|https:\/\/huggingface\.co\/)(?:datasets\/)?(.*?)\/*(?:[?#].*)?$/, "$1")
    .replace(inUrl, "@$1");
  const short = type === "model" ? SHORT_NAMES.find(([pattern]) => pattern.test(bare)) : undefined;
  // Both kinds of replacement are given as one here, which no overload of `replace` is for.
  const match = name.exec(short ? bare.replace(short[0], short[1] as string) : bare);
  if (!match || bare.includes("..")) return null;
  const [, repo, written = "main", path = ""] = match;
  const revision = decodedRevision(written);
  return revision === null ? null : { type, repo: repo!, revision, path };
}

/** A part between slashes as git has it, without the characters that Windows keeps for itself: they become folders of the cache. */
const revisionPart = String.raw`(?!\.)[^\s\p{Cc}\\:/"<>|*?]+(?<!\.)`;
const revisionName = new RegExp(`^${revisionPart}(?:/${revisionPart})*$`, "u");

/** Null for what is no name of a revision. */
function decodedRevision(written: string): string | null {
  try {
    const revision = decodeURIComponent(written);
    return revisionName.test(revision) && !revision.includes("..") ? revision : null;
  } catch {
    return null;
  }
}

/** In a place that otherwise holds a path. */
export function hubUri(reference: HubReference): string {
  return SCHEME + JSON.stringify(reference);
}

/** The reference that `hubUri` wrote; null for a path. */
export function hubReferenceOf(uri: string): HubReference | null {
  return uri.startsWith(`${SCHEME}{`) ? (JSON.parse(uri.slice(SCHEME.length)) as HubReference) : null;
}

/** Where a repository is on the hub, for a browser too: "owner/name", "datasets/owner/name". */
export function hubPlace({ type, repo }: HubReference): string {
  return type === "dataset" ? `datasets/${repo}` : repo;
}

/** For people, who may give it back to `hubReference`. */
export function hubName({ repo, revision, path }: HubReference): string {
  const written = hubRef.test(revision) ? revision : encodeURIComponent(revision);
  return `${repo}${revision === "main" ? "" : `@${written}`}${path ? `/${path}` : ""}`;
}

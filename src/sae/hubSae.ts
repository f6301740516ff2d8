// SAEs of the hub: which of a repository's files an SAE needs, brought into the local cache and nothing else.
import { extname, join, posix } from "node:path";
import { type HubReference, hubName } from "../data/hub/reference.ts";
import { fetchHubFiles, openHubRepository } from "../data/hub/repository.ts";
import type { HubOptions } from "../data/hub/requests.ts";
import { InputError } from "../formats/inputError.ts";
import { WEIGHTS_ENDINGS, weightsAmong } from "./openSae.ts";

/** What may stand beside the weights and says how they are used. */
const CONFIGS = ["cfg.json", "config.json"];

/**
 * A file of weights, or a folder with an SAE in any layout (of an ensemble too), by its name on the hub; its path in the
 * local cache. Throws InputError where there is none, with the folders that look like one.
 */
export async function obtainSae(reference: HubReference, options: HubOptions = {}): Promise<string> {
  const { commit, files } = await openHubRepository(reference, "the SAE's weights and configuration", options);
  const { path } = reference;
  const isFile = files.some((file) => file.path === path);
  const folder = isFile ? posix.dirname(path) : path || ".";
  const beside = files.filter((file) => posix.dirname(file.path) === folder);
  const below = files.filter((file) => file.path.startsWith(folder === "." ? "" : `${folder}/`));
  const isEnsemble = beside.some((file) => posix.basename(file.path) === "ensemble.json");
  const weights = isFile ? posix.basename(path) : weightsAmong(beside.map((file) => posix.basename(file.path)));
  if (!isEnsemble && !weights) {
    const folders = [
      ...new Set(
        below.filter((file) => WEIGHTS_ENDINGS.includes(extname(file.path))).map((file) => posix.dirname(file.path)),
      ),
    ];
    const repo = hubName({ ...reference, path: "" });
    const some = folders.slice(0, 5).map((name) => `${repo}/${name}`);
    const expected =
      some.length > 0
        ? `one SAE, e.g. ${some.join(", ")}${folders.length > 5 ? `, … (${folders.length})` : ""}`
        : "an SAE's weights";
    throw new InputError({ file: hubName(reference), found: "no single SAE", expected });
  }
  const wanted = isEnsemble
    ? below.filter((file) => /(^|\/)(ensemble|cfg)\.json$|(^|\/)sae_weights\.safetensors$/.test(file.path))
    : beside.filter((file) => [weights, ...CONFIGS].includes(posix.basename(file.path)));
  const snapshot = await fetchHubFiles(reference, commit, wanted, options);
  return isEnsemble ? join(snapshot, folder) : join(snapshot, folder, weights!);
}

// The findings of `doctor` about an experiment: whether all that it names is there and fits, and its estimate beside what this machine has. Nothing runs and nothing is downloaded.
import { existsSync } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import { defaultCacheFolder } from "../data/cacheFolder.ts";
import { hubCacheFolder } from "../data/hub/cache.ts";
import { datasetSize, HUB_DATASET, listDataset } from "../data/hub/dataset.ts";
import { type HubReference, hubName, hubReferenceOf } from "../data/hub/reference.ts";
import { NoConnection } from "../data/hub/repository.ts";
import { InputError } from "../formats/inputError.ts";
import { hookWidth } from "../model/hookPoints.ts";
import { modelDownloadSize } from "../model/hubModel.ts";
import { type ModelSize, modelSize, SizeUnknown } from "../model/modelSize.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { architectureWords } from "../sae/sae.ts";
import { estimate } from "./estimate.ts";
import { type Experiment, isImported, shownPath } from "./experiment.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { checkTexts, type TextPart } from "./experimentTexts.ts";
import { experimentWarnings } from "./experimentWarnings.ts";
import { openAllImported } from "./importEnsemble.ts";
import { whatItIs } from "./importSaes.ts";
import { examineLabelled } from "./labelledFinding.ts";
import type { Finding } from "./machine.ts";
import { examineHook, examineModel } from "./modelFinding.ts";
import { missingLabelled } from "./obtain.ts";

/** The estimate beside what this machine has; downloads only asked about. `gflops` null: nothing is said about time. */
export async function examineExperiment(experiment: Experiment, gflops: number | null): Promise<Finding[]> {
  const findings: Finding[] = [{ name: "Experiment", state: "ok", value: `${experiment.name} is valid` }];
  const { settings, paths } = experiment;
  const reference = hubReferenceOf(paths.model);
  const toFetch = reference ? await downloadSize(reference) : 0;
  if (toFetch instanceof InputError) findings.push({ name: "Download", ...refused(toFetch) });
  else if (reference)
    findings.push({ name: "Download", state: "ok", value: `${settings.model_name}: ${bytes(toFetch)} from the hub` });
  findings.push(...(await examineTexts(experiment)), ...(await examineLabelled(experiment)));
  if (findings.some(({ name, state }) => name === "Download" && state === "problem")) return findings;
  const wrong = await examineModel(experiment);
  if (wrong?.state === "problem") return [...findings, { name: "Model", ...wrong }];
  const size = await modelSize(paths.model).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    findings.push({ name: "Model", ...refused(error) });
    return null;
  });
  if (!size) return findings;
  const layers = `${size.nLayers} ${size.nLayers === 1 ? "layer" : "layers"} of width ${size.dModel}`;
  const beyond = examineHook(experiment, size);
  const width = beyond ? size.dModel : hookWidth(size, settings.hook_name);
  const there = width === size.dModel ? "" : `; ${settings.hook_name} is ${width} wide`;
  const value = `${settings.model_name}: ${layers}, vocabulary ${size.dVocab.toLocaleString("en")}${there}`;
  findings.push({ name: "Model", ...(beyond ?? wrong ?? { state: "ok", value }) });
  if (beyond) return findings;
  for (const { words } of experimentWarnings(settings))
    findings.push({ name: "Training", state: "warning", value: words });
  const imported = isImported(experiment) ? await examineImported(experiment, size) : null;
  findings.push(...(imported?.findings ?? []));
  if (imported && !imported.ensembles) return findings;
  const download = typeof toFetch === "number" ? toFetch : 0;
  return [...findings, ...(await examineNeeds(experiment, size, download, gflops, imported?.ensembles ?? null))];
}

/** The SAEs as a run reads them, before it evaluates and indexes them. */
async function examineImported(
  experiment: Experiment,
  size: ModelSize,
): Promise<{ findings: Finding[]; ensembles: Ensemble[] | null }> {
  const name = "SAEs";
  try {
    const opened = await openAllImported(experiment, hookWidth(size, experiment.settings.hook_name));
    const ensembles = opened.map(({ ensemble }) => ensemble);
    const members = opened[0]!.sources.flatMap((source) => source.members);
    const warnings = members.flatMap(({ path, warnings }) => warnings.map((text) => `${shownPath(path)}: ${text}`));
    const kinds = new Set(
      members.map(({ layout, sae }) => whatItIs({ layout, architecture: architectureWords(sae.config) })),
    );
    const value = `${members.length} (${[...kinds].join("; ")}) of ${ensembleWidth(ensembles[0]!).toLocaleString("en")} features in all`;
    const findings = warnings.map((text): Finding => ({ name, state: "warning", value: text }));
    return { findings: [{ name, state: "ok", value }, ...findings], ensembles };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { findings: [{ name, state: "problem", value: error.message }], ensembles: null };
  }
}

/** A run of this many seconds on the processor is one that a GPU is meant for. */
const LONG = 7 * 24 * 3600;

async function examineNeeds(
  experiment: Experiment,
  size: ModelSize,
  download: number,
  gflops: number | null,
  imported: readonly Ensemble[] | null,
): Promise<Finding[]> {
  const { settings, paths } = experiment;
  const needs = estimate(experiment, size, gflops ?? 1, imported);
  const parts = `activations ${bytes(needs.activations)}, ${imported ? "SAEs" : "SAEs with checkpoints"} and index ${bytes(needs.disk - needs.activations)}`;
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const findings: Finding[] = [
    {
      name: "Disk needed",
      ...(await diskNeededHere([
        { bytes: needs.disk, folder: paths.runFolder, what: `in the run folder (${parts})` },
        { bytes: needs.cache, folder: defaultCacheFolder(), what: "in the cache for the model's weights as float32" },
        { bytes: download, folder: hubCacheFolder(), what: "in the hub's cache for the download" },
      ])),
      advice: `${either(needs.activations > needs.disk / 2 ? fewerActivations(settings) : smallerSaes(settings))} keep less`,
    },
    {
      name: "Memory needed",
      ...enough(needs.memory, total, `about ${bytes(needs.memory)}, ${bytes(total)} here`),
      advice: `${either(smallerSaes(settings))} take less`,
    },
  ];
  if (gflops !== null) {
    const seconds = needs.harvestSeconds + needs.trainSeconds;
    const apart = `${duration(needs.harvestSeconds)} for the model, ${duration(needs.trainSeconds)} to train SAEs`;
    const of = imported ? "to run the model, with nothing to train" : apart;
    findings.push({
      name: "Time needed",
      state: seconds > LONG ? "warning" : "ok",
      value: `about ${duration(seconds)} on the processor (${of}) beside what metrics, the index and labelled texts take, if nothing else runs here`,
      advice: "so much is meant for a GPU, as the paper's settings are; fewer training_tokens take less",
    });
  }
  return findings.map(({ advice, ...finding }) =>
    advice && finding.state !== "ok" ? { ...finding, advice } : finding,
  );
}

/** What takes less of a run folder in which activations take most. */
function fewerActivations({ activations: { store, dtype } }: ExperimentSettings): string[] {
  const half = dtype === "float32" ? ["activations.dtype float16"] : [];
  if (store === "on_the_fly") return ["fewer evaluation.test_tokens"];
  return ["fewer activations.tokens", ...half, "activations.store on_the_fly"];
}

/** What takes less in training. On the fly a checkpoint holds the activations that are being mixed. */
function smallerSaes({ sae, ensembles, activations }: ExperimentSettings): string[] {
  if (sae.architecture === "imported") return ["fewer sae.paths", "fewer index.tokens"];
  return [
    "fewer members",
    "a smaller expansion_factor",
    ...(ensembles.methods.includes("bagging") ? ["boosting instead of bagging"] : []),
    ...(activations.store === "on_the_fly" ? ["a smaller n_batches_in_buffer"] : []),
  ];
}

/** "a, b, or c" */
function either(ways: readonly string[]): string {
  return new Intl.ListFormat("en", { type: "disjunction" }).format(ways);
}

/** As much of the texts as a run looks at before it begins; of those that are still on the hub, that it has them. */
async function examineTexts(experiment: Experiment): Promise<Finding[]> {
  const { paths } = experiment;
  const { dataset, testDataset = dataset, indexDataset } = paths;
  const parts = { train: dataset, test: testDataset, index: indexDataset };
  const onHub = Object.values(parts).flatMap((path) => hubReferenceOf(path) ?? []);
  const named = [...onHub, ...missingLabelled(experiment)].map((reference) => [hubName(reference), reference] as const);
  const remote = [...new Map(named).values()].map((reference) => examining(() => whatHubHas(reference)));
  const here = (["train", "test", "index"] as const).filter((part) => hubReferenceOf(parts[part]) === null);
  const local = here.length > 0 ? [examining(() => whatIsHere(experiment, here))] : [];
  return (await Promise.all([...local, ...remote])).map((finding) => ({ name: "Text", ...finding }));
}

async function whatHubHas(reference: HubReference): Promise<string> {
  const { files } = await listDataset(reference);
  const size = bytes(sum(files.map((file) => file.size)));
  const named = files.length === 1 ? "its file" : `its ${files.length} files`;
  return `${hubName(reference)}: ${named}, ${size} in all, from the hub into its cache as far as they are read`;
}

async function whatIsHere(experiment: Experiment, parts: readonly TextPart[]): Promise<string> {
  for (const part of parts) await checkTexts(experiment, part);
  const { settings, paths } = experiment;
  const size = paths.dataset.endsWith(HUB_DATASET) ? datasetSize(paths.dataset) : null;
  const shards = size
    ? `; its files, ${bytes(size.bytes)} in all, come into the hub's cache as far as they are read`
    : "";
  const name = parts.includes("train") ? settings.dataset_path : "text on this machine";
  return `${name}: its beginning can be read${shards}`;
}

async function examining(look: () => Promise<string>): Promise<Pick<Finding, "state" | "value">> {
  try {
    return { state: "ok", value: await look() };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return refused(error);
  }
}

/** A run may do all the same what doctor can't find out: where there is no network, or a size shows only after a download. */
function refused(error: InputError): Pick<Finding, "state" | "value"> {
  const unknown = error instanceof NoConnection || error instanceof SizeUnknown;
  return { state: unknown ? "warning" : "problem", value: error.message };
}

/** Bytes, or why they can't be known. */
async function downloadSize(reference: HubReference): Promise<number | InputError> {
  return modelDownloadSize(reference).catch((error: unknown) => {
    if (error instanceof InputError) return error;
    throw error;
  });
}

interface Place {
  readonly bytes: number;
  readonly folder: string;
  /** For people. */
  readonly what: string;
}

/** What goes to one file system is summed before it is compared with what is free there. The first place is named even if it needs nothing. */
export async function diskNeededHere(places: readonly [Place, ...Place[]]): Promise<Pick<Finding, "state" | "value">> {
  const needed = places.filter((place, i) => i === 0 || place.bytes > 0);
  const systems = new Map<number, { free: number; places: Place[] }>();
  for (const place of needed) {
    const folder = existingFolder(place.folder);
    const { dev } = await stat(folder);
    const { bavail, bsize } = await statfs(folder);
    const system = systems.get(dev) ?? { free: bavail * bsize, places: [] };
    systems.set(dev, system);
    system.places.push(place);
  }
  const parts = Array.from(systems.values(), (system) => {
    const words = system.places.map((place) => `${bytes(place.bytes)} ${place.what}`).join(" and ");
    return enough(
      sum(system.places.map((place) => place.bytes)),
      system.free,
      `about ${words}, ${bytes(system.free)} free`,
    );
  });
  const state = (["problem", "warning"] as const).find((each) => parts.some((part) => part.state === each)) ?? "ok";
  return { state, value: parts.map(({ value }) => value).join("; ") };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

function enough(needed: number, there: number, value: string): Pick<Finding, "state" | "value"> {
  return { state: needed > there ? "problem" : needed > 0.8 * there ? "warning" : "ok", value };
}

function existingFolder(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (dirname(at) === at || existsSync(at)) return at;
  }
}

function bytes(n: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = n < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  if (hours < 48) return `${hours.toFixed(1)} h`;
  const days = hours / 24;
  return days < 730 ? `${Math.round(days)} days` : `${Math.round(days / 365)} years`;
}

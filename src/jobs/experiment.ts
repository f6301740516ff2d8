// Reads an experiment file (*.sae.jsonc): JSON with comments in, checked settings with resolved paths out, or one error that names file, line and field.
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parse as parseJson,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import type { z } from "zod";
import { hubReferenceOf } from "../data/hub/reference.ts";
import { absolutePath, oneSpelling } from "../formats/absolutePath.ts";
import { InputError, unreadable } from "../formats/inputError.ts";
import { expectation, shown } from "../formats/schemaError.ts";
import { completeTrainingSaeConfig, type TrainingSaeConfig } from "../sae/trainingConfig.ts";
import type { TrainingMethod } from "../training/trainingRun.ts";
import { type TrainingSettings, totalSteps, trainingSettingsSchema } from "../training/trainingSettings.ts";
import { demoPath } from "./demoData.ts";
import { type ExperimentSettings, experimentSchema, foreignKeys, foreignSaeKeys } from "./experimentSchema.ts";
import { hubPath } from "./obtain.ts";

/** An experiment that was read and checked: settings as in the file with defaults, and absolute paths. */
export interface Experiment {
  /** Absolute path of the experiment file. */
  readonly file: string;
  /** The file's name without .sae.jsonc. */
  readonly name: string;
  readonly settings: ExperimentSettings;
  readonly paths: ExperimentPaths;
}

/** Absolute; or what stands for a name of the hub that is not on this machine yet (obtain.ts). */
export interface ExperimentPaths {
  readonly model: string;
  readonly dataset: string;
  /** Absent: documents are held out of `dataset`. */
  readonly testDataset?: string;
  readonly indexDataset: string;
  /** Only where the experiment's SAEs exist already. */
  readonly imported?: readonly string[];
  readonly runFolder: string;
}

/** One ensemble to train: a method from one set of seeds. */
export interface EnsembleTask {
  readonly method: TrainingMethod;
  readonly seedSet: number;
  /** Folder name under ensembles/ and the stage's name: "bagging", and "bagging-1" from the second seed set on. */
  readonly name: string;
}

/** Says that what was found in a field is not what was expected. */
export type Complain = (field: (string | number)[], found: string, expected: string) => void;

export interface ExperimentOptions {
  /** Instead of the file's output_path; relative to the current folder. */
  readonly runFolder?: string;
}

/** Reads and checks `file`. Throws InputError; writes nothing. */
export function readExperiment(file: string, options: ExperimentOptions = {}): Experiment {
  const path = absolutePath(file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isRun = existsSync(join(path, "run.json"));
    const [found, more] = isRun
      ? ["a run folder", "; sae-ensembles resume goes on with a run"]
      : [unreadable(error), ""];
    throw new InputError({ file: shownPath(path), found, expected: `an experiment file (*.sae.jsonc)${more}` });
  }
  return parseExperiment(text, path, options);
}

/** The same for text that is already in memory; `file` is the path that errors and relative paths refer to. */
export function parseExperiment(text: string, file: string, options: ExperimentOptions = {}): Experiment {
  const { problems, experiment } = lookThrough(text, file);
  if (problems.length > 0 || !experiment) {
    const [first, ...others] = problems as [InputError, ...InputError[]];
    first.others = others;
    throw first;
  }
  const { runFolder } = options;
  return runFolder ? { ...experiment, paths: { ...experiment.paths, runFolder: absolutePath(runFolder) } } : experiment;
}

/** What was found in the text of an experiment file. */
export interface Findings {
  /** Everything that is wrong, each at its place. */
  readonly problems: InputError[];
  /** Where something is wrong, with other values in its place. Absent where there is nothing to go on with. */
  readonly experiment?: Experiment;
  /** Adds a problem. */
  readonly complain: Complain;
  /** Path, line and column of a field, or of what it would be in. */
  readonly placeOf: (field: readonly (string | number)[]) => string;
}

/** Looks through the whole of an experiment file's text. What concerns several keys is looked at once each of them is right. */
export function lookThrough(text: string, file: string): Findings {
  const path = absolutePath(file);
  const problems: InputError[] = [];
  const { root, error } = parseJsonc(text, path);
  const complain: Complain = (field, found, expected) => {
    if (root) problems.push(errorAt(field, found, expected, root, text, path));
  };
  const placeOf: Findings["placeOf"] = (field) => (root ? placeIn(root, field, text, path) : shownPath(path));
  if (!root) return { problems: [error], complain, placeOf };
  const value: unknown = getNodeValue(root);
  const parsed = experimentSchema.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) problems.push(...schemaErrors(issue, root, text, path));
  const settings = parsed.data ?? experimentSchema.safeParse(withStandIns(value, parsed.error!.issues)).data;
  if (!settings) return { problems, complain, placeOf };
  if (parsed.success) checkTogether(settings, complain);
  const paths = resolvePaths(settings, path, complain);
  return { problems, complain, placeOf, experiment: { file: path, name: stem(path), settings, paths } };
}

/** In the place of what has no default. */
const standIns = {
  model_name: "demo",
  hook_name: "blocks.0.hook_resid_post",
  dataset_path: "demo",
  sae: { architecture: "gated", expansion_factor: 1 },
};

/** What the file says, without what is wrong: an unknown key, a key of a section, or a section that has no default itself. */
function withStandIns(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  const right = structuredClone(value) as Record<string, unknown>;
  for (const issue of issues) {
    const [key, inner] = issue.path as string[];
    // An issue before may have taken the section away.
    const section = (key === undefined ? right : right[key]) as Record<string, unknown> | undefined;
    if (issue.code === "unrecognized_keys" && inner === undefined)
      for (const unknown of issue.keys) delete section?.[unknown];
    else if (inner === undefined || ["sae", "debias", "concepts"].includes(key!)) delete right[key!];
    else delete section?.[inner];
  }
  return { ...standIns, ...right };
}

/**
 * Where the run of an experiment file is (its output_path, else runs/NAME beside it), and whether its SAEs exist already,
 * as far as the file can be read. What is wrong with the file otherwise is no matter: a run that was started before must
 * be found while somebody edits it.
 */
export function glanceAt(file: string): { readonly runFolder: string; readonly imported: boolean } {
  let settings: { readonly output_path?: unknown; readonly sae?: { readonly architecture?: unknown } } | undefined;
  try {
    settings = parseJson(readFileSync(file, "utf8"), [], { allowTrailingComma: true });
  } catch {
    // It is gone, or nobody may read it.
  }
  const given = settings?.output_path;
  return {
    runFolder: absolutePath(dirname(file), typeof given === "string" && given ? given : defaultRunFolder(file)),
    imported: settings?.sae?.architecture === "imported",
  };
}

function defaultRunFolder(file: string): string {
  return join("runs", stem(file));
}

/** What the model is called where it has a name of its own, the demo's or one of the hub; null where it is a path. */
export function modelsOwnName({ settings, paths }: Pick<Experiment, "settings" | "paths">): string | null {
  const named = settings.model_name === "demo" || hubReferenceOf(paths.model) !== null;
  return named ? settings.model_name : null;
}

/** Every ensemble that the experiment trains: methods in the file's order, for each seed set in turn. */
export function ensembleTasks(settings: ExperimentSettings): EnsembleTask[] {
  const tasks: EnsembleTask[] = [];
  for (let seedSet = 0; seedSet < settings.ensembles.seed_sets; seedSet++)
    for (const method of new Set(settings.ensembles.methods))
      tasks.push({ method, seedSet, name: seedSet === 0 ? method : `${method}-${seedSet}` });
  return tasks;
}

/** The part of the settings that training/ takes. */
export function trainingSettings(settings: ExperimentSettings): TrainingSettings {
  return trainingSettingsSchema.parse(trainingKeys(settings));
}

/** Whether an experiment's SAEs exist already: then nothing is trained, and no activations to train on are harvested. */
export function isImported({ settings }: Pick<Experiment, "settings">): boolean {
  return settings.sae.architecture === "imported";
}

/** One member's SAE, at activations of width `d_in`. Throws InputError where the widths don't fit each other. */
export function saeConfig({ settings, file }: Experiment, d_in: number): TrainingSaeConfig {
  if (settings.sae.architecture === "imported") throw new RangeError("imported SAEs are not trained");
  try {
    return completeTrainingSaeConfig(settings.sae, d_in);
  } catch (error) {
    const { key, found, expected } = misfit(error as RangeError, d_in);
    throw experimentError(file, `sae.${key}`, found, expected);
  }
}

/** What completeTrainingSaeConfig says of sizes that don't fit, in an experiment's words. It begins with the key. */
export function misfit({ message }: RangeError, d_in: number): { key: string; found: string; expected: string } {
  const expected = `sizes that fit each other, with activations of width ${d_in}`;
  return { key: message.split(" ")[0]!, found: `what can't be: ${message}`, expected };
}

/** What is wrong with a field only beside the model, the texts or the run; with its place where the file still has it. `where`: "debias.ensembles.0". */
export function experimentError(file: string, where: string, found: string, expected: string): InputError {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // A run goes on without the file that it was read from.
  }
  const root = parseTree(text);
  const path = where.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  if (!root || !findNodeAtLocation(root, path.slice(0, 1)))
    return new InputError({ file: shownPath(file), where, found, expected });
  return errorAt(path, found, expected, root, text, file);
}

function trainingKeys(settings: ExperimentSettings): Record<string, unknown> {
  const keys = Object.keys(trainingSettingsSchema.in.shape) as (keyof ExperimentSettings)[];
  return Object.fromEntries(keys.filter((key) => settings[key] !== undefined).map((key) => [key, settings[key]]));
}

/** Which method is meant where none is named: the first of these that there is. */
export const INDEX_ORDER: readonly TrainingMethod[] = ["bagging", "boosting", "expanded", "single"];

/** Which methods get a feature index. */
export function indexedMethods(settings: ExperimentSettings): TrainingMethod[] {
  if (settings.index.methods) return settings.index.methods;
  return [INDEX_ORDER.find((method) => settings.ensembles.methods.includes(method))!];
}

/** Rules that concern two keys at once. */
function checkTogether(settings: ExperimentSettings, complain: Complain): void {
  const { sae, ensembles, evaluation, index } = settings;
  const { train_batch_size_tokens } = settings;
  if ("k" in sae && Math.floor(sae.k * train_batch_size_tokens) < 1)
    complain(
      ["sae", "k"],
      `${sae.k}, which keeps nothing in a batch of ${train_batch_size_tokens} tokens`,
      `at least 1/${train_batch_size_tokens}, or larger batches`,
    );
  if ("k" in sae && sae.d_sae !== undefined && sae.k > sae.d_sae)
    complain(["sae", "k"], `${sae.k}`, `at most d_sae, ${sae.d_sae}`);
  if (sae.architecture === "imported") checkImported(settings, complain);
  const training = trainingSettingsSchema.safeParse(trainingKeys(settings));
  for (const issue of training.error?.issues ?? []) {
    const key = issue.path[0] as keyof ExperimentSettings;
    complain([key], `${JSON.stringify(settings[key])} (${issue.message})`, scheduleExpectation(key, settings));
  }
  if (evaluation.column !== undefined && !evaluation.dataset_path)
    complain(
      ["evaluation", "column"],
      JSON.stringify(evaluation.column),
      "evaluation.dataset_path beside it (held-out documents of dataset_path have their text in column)",
    );
  if (!evaluation.dataset_path && evaluation.test_share === 0)
    complain(["evaluation", "test_share"], "0", "more than 0, or a file of held-out text in evaluation.dataset_path");
  for (const [position, method] of (index.methods ?? []).entries())
    if (!ensembles.methods.includes(method))
      complain(
        ["index", "methods", position],
        `"${method}"`,
        `a method that is trained: ${ensembles.methods.join(", ")}`,
      );
}

/** SAEs that exist already are one ensemble each way of combining them, and there is no other seed of them. */
function checkImported({ ensembles }: ExperimentSettings, complain: Complain): void {
  if (ensembles.seed_sets > 1)
    complain(["ensembles", "seed_sets"], `${ensembles.seed_sets}`, "1: imported SAEs are as they are");
  const position = ensembles.methods.indexOf("expanded");
  if (position >= 0) complain(["ensembles", "methods", position], '"expanded"', "single, bagging or boosting");
}

/** What a key of the schedule must be beside the others. */
function scheduleExpectation(key: keyof ExperimentSettings, settings: ExperimentSettings): string {
  const { train_batch_size_tokens, lr_warm_up_steps, lr_decay_steps } = settings;
  const total = totalSteps(settings);
  switch (key) {
    case "training_tokens":
      return `at least train_batch_size_tokens, ${train_batch_size_tokens}`;
    case "lr_warm_up_steps":
      return `at most ${total} together with lr_decay_steps, ${lr_decay_steps}`;
    case "n_restart_cycles":
      return `at most ${Math.max(1, total - lr_warm_up_steps - lr_decay_steps)}, the steps between warm-up and decay`;
    case "lr_end":
      return "more than 0, or lr_decay_steps 0";
    default:
      return "settings that go together";
  }
}

function resolvePaths(settings: ExperimentSettings, file: string, complain: Complain): ExperimentPaths {
  const folder = dirname(file);
  const existing = (value: string, field: string[], demo: "model" | "text" | "testText"): string => {
    const path = value === "demo" ? oneSpelling(demoPath(demo)) : absolutePath(folder, value);
    try {
      statSync(path);
    } catch {
      const type = demo === "model" ? "model" : "dataset";
      const onHub = value === "demo" ? null : hubPath(value, type, folder);
      if (onHub !== null) return onHub;
      const expected =
        type === "model"
          ? "a model folder, a GGUF or an ONNX file, or the name of a model on the Hugging Face hub (owner/name)"
          : "a text file, or the name of a data set on the Hugging Face hub with its owner (owner/name, such as stanfordnlp/imdb for imdb)";
      complain(field, `"${value}", which is not there (${path})`, expected);
    }
    return path;
  };
  const { evaluation, index, sae } = settings;
  const imported = importedPaths(settings, folder);
  for (const [position, path] of imported?.entries() ?? [])
    if (!existsSync(path) && sae.architecture === "imported")
      complain(["sae", "paths", position], `"${sae.paths[position]}", which is not there (${path})`, "an SAE");
  const dataset = existing(settings.dataset_path, ["dataset_path"], "text");
  const testDataset =
    evaluation.dataset_path && existing(evaluation.dataset_path, ["evaluation", "dataset_path"], "testText");
  if (testDataset && samePlace(testDataset, dataset))
    complain(
      ["evaluation", "dataset_path"],
      `"${evaluation.dataset_path}", the text that is trained on`,
      `another text, or no such key: then evaluation.test_share (${evaluation.test_share}) of the documents is held out of training`,
    );
  return {
    model: existing(settings.model_name, ["model_name"], "model"),
    dataset,
    ...(testDataset && { testDataset }),
    indexDataset: index.dataset_path ? existing(index.dataset_path, ["index", "dataset_path"], "text") : dataset,
    ...(imported && { imported }),
    runFolder: absolutePath(folder, settings.output_path ?? defaultRunFolder(file)),
  };
}

/** Where the SAEs lie that an experiment names, from the folder that it is in; undefined where it trains its own. */
export function importedPaths({ sae }: ExperimentSettings, folder: string): string[] | undefined {
  return sae.architecture === "imported" ? sae.paths.map((path) => absolutePath(folder, path)) : undefined;
}

/** A name of the hub is the same place as itself alone. */
function samePlace(a: string, b: string): boolean {
  return a === b || (existsSync(a) && existsSync(b) && realpathSync(a) === realpathSync(b));
}

function stem(file: string): string {
  return basename(file).replace(/(\.sae)?\.jsonc?$/, "");
}

function parseJsonc(text: string, file: string): { root: Node; error?: never } | { root?: never; error: InputError } {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const first = errors[0];
  const at = (offset: number) => `${shownPath(file)}:${lineColumn(text, offset)}`;
  if (first || !root) {
    const offset = first?.offset ?? 0;
    const found = first ? sentence(printParseErrorCode(first.error)) : "an empty file";
    const expected = "JSON (comments and trailing commas are fine)";
    return { error: new InputError({ file: at(offset), found, expected }) };
  }
  const duplicate = duplicateKey(root);
  if (!duplicate) return { root };
  const [where, found] = [duplicate.value as string, "the key a second time"];
  return { error: new InputError({ file: at(duplicate.offset), where, found, expected: "each key once" }) };
}

/** jsonc-parser lets the last of two equal keys win; a person would not know. */
function duplicateKey(node: Node): Node | undefined {
  const seen = new Set<string>();
  for (const child of node.children ?? []) {
    if (child.type === "property") {
      const key = child.children![0]!;
      if (seen.has(key.value as string)) return key;
      seen.add(key.value as string);
    }
    const inner = duplicateKey(child);
    if (inner) return inner;
  }
  return undefined;
}

/** "InvalidSymbol" → "an invalid symbol". */
function sentence(code: string): string {
  const words = code.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return words.endsWith("expected")
    ? `no ${words.replace(" expected", "")}`
    : `${/^[aeiou]/.test(words) ? "an" : "a"} ${words}`;
}

function errorAt(
  path: readonly PropertyKey[],
  found: string,
  expected: string,
  root: Node,
  text: string,
  file: string,
): InputError {
  return new InputError({ file: placeIn(root, path, text, file), where: path.join("."), found, expected });
}

function placeIn(root: Node, path: readonly PropertyKey[], text: string, file: string): string {
  let location = path as (string | number)[];
  let node = findNodeAtLocation(root, location);
  while (!node && location.length > 0) {
    location = location.slice(0, -1);
    node = findNodeAtLocation(root, location);
  }
  // A key's own place says more than its value's.
  const anchor = node?.parent?.type === "property" ? node.parent : (node ?? root);
  return `${shownPath(file)}:${lineColumn(text, anchor.offset)}`;
}

/** One, or one for each unknown key. */
function schemaErrors(issue: z.core.$ZodIssue, root: Node, text: string, file: string): InputError[] {
  if (issue.code === "unrecognized_keys") {
    const parent = issue.path.length === 0 ? undefined : String(issue.path[0]);
    const known = parent === undefined ? "a key of an experiment file" : `one of ${keysOf(parent, root).join(", ")}`;
    return issue.keys.map((key) => {
      const found = `an unknown key${suggestion(key, parent, root)}`;
      return errorAt([...issue.path, key], found, known, root, text, file);
    });
  }
  if (issue.code === "custom" && issue.path.join(".") === "sae.d_sae") {
    const given = ["d_sae", "expansion_factor"].map((key) => findNodeAtLocation(root, ["sae", key])).every(Boolean);
    const found = given ? "expansion_factor as well" : "nothing";
    return [errorAt(issue.path, found, "either d_sae or expansion_factor", root, text, file)];
  }
  const node = findNodeAtLocation(root, issue.path as (string | number)[]);
  return [errorAt(issue.path, shown(node && getNodeValue(node)), expectation(issue), root, text, file)];
}

/** What an unknown key may have meant, in parentheses; empty where nothing is near. */
function suggestion(key: string, parent: string | undefined, root: Node): string {
  // What SAELens calls so is no misspelling, however near.
  if (parent === undefined && Object.hasOwn(foreignKeys, key)) return ` (${foreignKeys[key]})`;
  if (parent === "sae" && Object.hasOwn(foreignSaeKeys, key)) return ` (${foreignSaeKeys[key]})`;
  const near = nearest(key, keysOf(parent, root));
  if (near) return ` (did you mean "${near}"?)`;
  if (parent === "sae" && allSaeKeys().includes(key)) {
    const architecture = findNodeAtLocation(root, ["sae", "architecture"])?.value;
    return ` of architecture ${JSON.stringify(architecture)}`;
  }
  const owner = ["sae", "ensembles", "activations", "evaluation", "index"].find((name) =>
    keysOf(name, root).includes(key),
  );
  if (owner) return ` (it belongs in ${owner})`;
  return parent !== undefined && keysOf(undefined, root).includes(key) ? " (it belongs at the top level)" : "";
}

function keysOf(parent: string | undefined, root: Node): string[] {
  if (parent === undefined) return Object.keys(experimentSchema.shape).filter((key) => key !== "$schema");
  if (parent === "sae") {
    const architecture = findNodeAtLocation(root, ["sae", "architecture"])?.value;
    const option = experimentSchema.shape.sae.options.find(
      (candidate) => candidate.shape.architecture.value === architecture,
    );
    return option ? Object.keys(option.shape) : allSaeKeys();
  }
  const section = experimentSchema.shape[parent as "ensembles" | "activations" | "evaluation" | "index"];
  return Object.keys(section.unwrap().shape);
}

function allSaeKeys(): string[] {
  return [...new Set(experimentSchema.shape.sae.options.flatMap((option) => Object.keys(option.shape)))];
}

/** The known key within two edits (one for short keys), or whose words are the same in another spelling. */
function nearest(key: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const scored = known
    .map((candidate) => ({ candidate, distance: edits(plain(key), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best && best.distance <= Math.min(3, Math.floor(key.length / 3)) ? best.candidate : undefined;
}

/** Damerau–Levenshtein distance (adjacent swaps count once). */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** As a person in this folder would write it. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") || short === "" ? path : short;
}

function lineColumn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split("\n").length}:${offset - before.lastIndexOf("\n")}`;
}

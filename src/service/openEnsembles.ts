// Ensembles whose indices are open in the service: pages, details, and annotations with undo.

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { type AnnotationEdit, Annotations } from "../features/annotations.ts";
import type { FeatureFilter, FeatureIndex, FeatureQuery, FeatureSummary } from "../features/featureIndex.ts";
import { detectionPrompt, labelPrompt, scoreDetection } from "../features/labelling.ts";
import { neuronpediaIds, neuronpediaPage } from "../features/neuronpedia.ts";
import { openFeatureIndex } from "../features/openFeatureIndex.ts";
import type { FeatureDetail, FeatureRow, ListQuery, Snapshot } from "../protocol/featureBrowser.ts";
import type { NamedFeature } from "../protocol/inspection.ts";
import { featureDetail, featureRow } from "./featureRows.ts";

/** Name of the file of flags, labels and notes in an ensemble's folder. */
export const annotationFile = "annotations.json";

/** Tokens that name a feature in a hover, and features whose names are kept. */
const namedTokens = 3;
const mostNamed = 50_000;

/** Whether a folder is another one or lies in it. */
export function within(folder: string, above: string): boolean {
  return folder === above || folder.startsWith(above + sep);
}

interface LabelQuestions {
  readonly feature: number;
  readonly name: string;
  readonly label: string | null;
  readonly detection: string | null;
}

interface Edit {
  readonly features: readonly number[];
  readonly flagged?: boolean | undefined;
  readonly label?: string | undefined;
  readonly note?: string | undefined;
}

/** One ensemble's index with its annotations. */
export class OpenEnsemble {
  readonly folder: string;
  readonly index: FeatureIndex;
  readonly #annotations: Annotations;
  readonly #undo: AnnotationEdit[][] = [];
  #annotationTime = 0;
  readonly #named = new Map<number, NamedFeature>();
  readonly #indexTime: number;
  /** By member: the published SAE that it is, if it is one. */
  readonly #neuronpedia: readonly (string | null)[];

  private constructor(folder: string, index: FeatureIndex, annotations: Annotations) {
    this.folder = folder;
    this.#neuronpedia = neuronpediaIds(folder);
    this.#indexTime = modified(join(folder, "index.sqlite"));
    this.index = index;
    this.#annotations = annotations;
    this.#applyAnnotations();
  }

  /** Throws InputError where index or annotations are damaged, and a plain Error where the ensemble is gone. */
  static async open(folder: string): Promise<OpenEnsemble> {
    if (!existsSync(folder)) throw new Error(`This ensemble is gone: ${folder} was deleted or moved.`);
    const index = openFeatureIndex(join(folder, "index.sqlite"));
    try {
      return new OpenEnsemble(folder, index, await Annotations.open(join(folder, annotationFile)));
    } catch (error) {
      index.close();
      throw error;
    }
  }

  snapshot(canTryText: boolean): Snapshot {
    const { info } = this.index;
    return {
      title: `${basename(dirname(dirname(this.folder)))} · ${basename(this.folder)}`,
      ensembleFolder: this.folder,
      indexTime: this.#indexTime,
      method: info.method,
      members: info.members.length,
      width: info.features,
      hook: info.hook,
      corpusTokens: info.tokens,
      canTryText,
      canLabel: false,
      open: null,
    };
  }

  page(query: ListQuery, offset: number, limit: number): { total: number; rows: FeatureRow[] } {
    const { rows, total } = this.index.page({ ...listed(query), offset, limit });
    return { total, rows: rows.map((row) => featureRow(row)) };
  }

  /** Where a feature stands among a query's rows; null where it is not among them. */
  place(query: ListQuery, feature: number): number | null {
    const place = this.index.ids(listed(query)).indexOf(feature);
    return place < 0 ? null : place;
  }

  detail(feature: number): FeatureDetail {
    const detail = this.index.detail(feature);
    const ids = [...new Set(detail.nearest.flat().map(({ id }) => id))];
    const summaries = new Map<number, FeatureSummary>(
      this.index.summaries(ids).map((summary) => [summary.id, summary]),
    );
    const published = this.#neuronpedia[detail.member];
    return featureDetail(detail, summaries, published ? neuronpediaPage(published, detail.index) : null);
  }

  /** What a language model would be asked about features; `label` stands where the answer to the first question goes. */
  labelQuestions(features: readonly number[], label: string): LabelQuestions[] {
    return features.map((feature) => {
      const detail = this.index.detail(feature);
      return {
        feature,
        name: `${detail.member}/${detail.index}`,
        label: labelPrompt(detail),
        detection: detectionPrompt(detail, label),
      };
    });
  }

  /** Stores a model's label with its score; `answer` is to `detectionPrompt`, null where that could not be asked. Throws LabelAnswerError. */
  async label(feature: number, label: string, answer: string | null, model: string): Promise<number | null> {
    const detail = this.index.detail(feature);
    const scored = answer === null ? null : scoreDetection(detail, answer);
    const detection = scored && Number(scored.score.toFixed(4));
    const label_source = { model, detection, passages: scored ? scored.firing + scored.silent : 0 };
    const edit = { feature: `${detail.member}/${detail.index}`, label, label_source };
    this.#undo.push(this.#annotations.edit([edit]));
    await this.#save();
    return detection;
  }

  rows(features: readonly number[]): FeatureRow[] {
    return this.index.summaries(features).map((summary) => featureRow(summary));
  }

  /** The same in short, for every token of a text: kept until a flag or a label changes. */
  named(features: readonly number[]): NamedFeature[] {
    if (this.#named.size > mostNamed) this.#named.clear();
    const unknown = features.filter((feature) => !this.#named.has(feature));
    for (const summary of this.index.summaries(unknown)) {
      const { feature, member, index, label, flagged, max, tokens, foundIn } = featureRow(summary, namedTokens);
      const texts = tokens.map(({ text }) => ({ text }));
      this.#named.set(feature, { feature, member, index, label, flagged, max, tokens: texts, foundIn });
    }
    return features.map((feature) => this.#named.get(feature)!);
  }

  /** Global numbers, ascending. */
  flagged(): number[] {
    return [...this.index.ids({ filter: { flagged: true } })].sort((a, b) => a - b);
  }

  /** Global number of "member/index". */
  featureOf(name: string): number {
    const [member, index] = name.split("/").map(Number) as [number, number];
    return this.index.info.members[member]!.first + index;
  }

  /** Features that a search as in the browser finds: flagged ones first, then the most relevant or the clearest. */
  outline(search: string, limit: number): { rows: FeatureRow[]; total: number } {
    const query = {
      text: search,
      member: null,
      state: "alive",
      minFoundIn: 0,
      density: null,
      sort: "clarity",
      descending: true,
    } as const;
    const flagged = this.page({ ...query, state: "all", flaggedOnly: true }, 0, Math.min(1000, limit)).rows;
    const others = this.page({ ...query, flaggedOnly: false }, 0, limit);
    return { rows: [...flagged, ...others.rows.filter((row) => !row.flagged)], total: others.total };
  }

  /** Shows at once; resolves when it is on disk: whether that brought in what someone else wrote. */
  async annotate(edit: Edit): Promise<boolean> {
    const { features, flagged, label, note } = edit;
    const names = this.index.summaries(features).map(({ member, index }) => `${member}/${index}`);
    const change = {
      ...(flagged === undefined ? {} : { flagged }),
      // Whoever writes a label by hand stands for it.
      ...(label === undefined ? {} : { label, label_source: null }),
      ...(note === undefined ? {} : { note }),
    };
    this.#undo.push(this.#annotations.edit(names.map((feature) => ({ feature, ...change }))));
    this.#showAnnotations();
    return this.#save();
  }

  /** Whether there is a change made here to take back. */
  get undoable(): boolean {
    return this.#undo.length > 0;
  }

  /** Takes back the last change made here, as `annotate` makes one. */
  async undo(): Promise<boolean> {
    this.#annotations.edit(this.#undo.pop() ?? []);
    this.#showAnnotations();
    return this.#save();
  }

  /** Resolves when every change made here is on disk. Throws what keeps it from there. */
  async saved(): Promise<void> {
    await this.#save();
  }

  /** Takes over annotations that changed on disk; whether they had. */
  async refresh(): Promise<boolean> {
    const time = modified(this.#annotations.path);
    if (time === this.#annotationTime) return false;
    await this.#annotations.reload();
    this.#applyAnnotations();
    return true;
  }

  /** Whether the index on disk is another one than what is open: a run has built it anew. */
  isOutdated(): boolean {
    return modified(join(this.folder, "index.sqlite")) !== this.#indexTime;
  }

  close(): void {
    this.index.close();
  }

  async #save(): Promise<boolean> {
    const merged = await this.#annotations.save();
    this.#applyAnnotations();
    return merged;
  }

  #applyAnnotations(): void {
    this.#annotationTime = modified(this.#annotations.path);
    this.#showAnnotations();
  }

  #showAnnotations(): void {
    this.#named.clear();
    this.index.setAnnotations(this.#annotations.byId(this.index.info.members));
  }
}

/** The rows that a query is about, in its order. */
function listed(query: ListQuery): Omit<FeatureQuery, "offset" | "limit"> {
  const filter = filterOf(query);
  const searched = filter.token !== undefined || filter.tokenPattern !== undefined;
  const sort = {
    clarity: searched ? "relevance" : "clarity",
    feature: "id",
    density: "density",
    max: "max",
    mean: "mean",
    foundIn: "found",
    label: "label",
  } as const;
  return { filter, sort: sort[query.sort], descending: query.descending };
}

/** What was typed: label:words, "text in contexts", /pattern/, or a token. */
function filterOf(query: ListQuery): FeatureFilter {
  const text = query.text.trim();
  const searched: FeatureFilter = (() => {
    if (text === "") return {};
    if (text.startsWith("label:")) return text.length > 6 ? { label: text.slice(6).trim() } : {};
    if (text.startsWith('"')) {
      const phrase = text.slice(1).replace(/"$/, "");
      return phrase ? { text: phrase } : {};
    }
    if (text.startsWith("/")) {
      const pattern = text.slice(1).replace(/\/$/, "");
      return pattern ? { tokenPattern: pattern } : {};
    }
    return { token: { text, match: "word" } };
  })();
  return {
    ...searched,
    ...(query.state === "all" ? {} : { alive: query.state === "alive" }),
    ...(query.member === null ? {} : { member: query.member }),
    ...(query.minFoundIn > 0 ? { minFound: query.minFoundIn + 1 } : {}),
    ...(query.density ? { minDensity: query.density[0], maxDensity: query.density[1] } : {}),
    ...(query.flaggedOnly ? { flagged: true } : {}),
  };
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

// Model and encoder of an ensemble, opened when a text is first tried and closed after a while without use.
import { dirname } from "node:path";
import type { Encoder, Engine } from "../engine/engine.ts";
import { type InspectedToken, inspectText } from "../inspection/inspectText.ts";
import { openEngine, openExperimentModel } from "../jobs/resources.ts";
import { experimentOfRun } from "../jobs/runRecord.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";

/** Milliseconds after which an unused model gives its memory back. */
const patience = 5 * 60_000;

interface Opened {
  readonly model: LanguageModel;
  readonly engine: Engine;
  readonly encoder: Encoder;
  readonly hook: string;
  readonly prependBos: boolean;
}

export class Inspector {
  #folder = "";
  #opened: Promise<Opened> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** The strongest features on each token of a text, through the ensemble in `folder` and the model of its run. */
  async inspect(folder: string, text: string, top: number): Promise<InspectedToken[]> {
    clearTimeout(this.#timer);
    if (folder !== this.#folder) await this.close();
    this.#folder = folder;
    this.#opened ??= open(folder);
    try {
      const { model, encoder, hook, prependBos } = await this.#opened;
      return await inspectText(text, model, encoder, { hook, prependBos, top });
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.#timer = setTimeout(() => void this.close(), patience);
      this.#timer.unref();
    }
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    this.#opened = undefined;
    await opened?.encoder.close();
    await opened?.engine.close();
    await opened?.model.close();
  }
}

async function open(folder: string): Promise<Opened> {
  const experiment = experimentOfRun(dirname(dirname(folder)));
  const ensemble = await loadEnsemble(folder);
  const model = await openExperimentModel(experiment, () => {});
  const engine = await openEngine(experiment.settings);
  const encoder = await engine.createEncoder(ensemble);
  return { model, engine, encoder, hook: ensemble.hook, prependBos: experiment.settings.prepend_bos };
}

// A language model whose batches go to a device that has proven itself: the first of each kind, number of rows and length are computed on the processor as well, and wherever the device differs, fails or is slower, the processor goes on.

import { Turns } from "../../formats/turns.ts";
import type { HookContinuation, HookReader } from "../hookedSequence.ts";
import type { HookDelta, LanguageModel, TokenBatch } from "../languageModel.ts";
import type { BatchModel } from "./deviceModel.ts";
import type { ModelDevice } from "./modelDevice.ts";

/** ‖device − processor‖ / ‖processor‖ of hidden states and logits; float32 in another order is far nearer. */
const AGREEMENT = 1e-3;
/** Batches of a kind that both compute where the quicker one is looked for. The first of each compiles and isn't timed. */
const TIMED = 3;
/** Once a device is proven, one batch in so many is still computed by both. */
const CHECKED = 256;

export type SayOfModel = (level: "info" | "warning", message: string) => void;

export interface Trial {
  readonly device: ModelDevice;
  /** Starts the device's model; called with the first batch. */
  readonly open: () => Promise<BatchModel>;
  /** Whether the device has to be quicker as well, or was asked for. */
  readonly mustBeQuicker: boolean;
  readonly say: SayOfModel;
}

interface Kind {
  batches: number;
  /** Rows and lengths at which it agreed. */
  readonly shapes: Set<string>;
  /** Milliseconds at the quickest. */
  cpuMs: number;
  deviceMs: number;
}

export class ProvenModel implements LanguageModel {
  readonly #cpu: LanguageModel;
  readonly #trial: Trial;
  readonly #kinds = new Map<string, Kind>();
  #device: Promise<BatchModel> | null = null;
  #isOn = true;
  #hasSaid = false;
  #batches = 0;
  readonly #turns = new Turns();

  constructor(cpu: LanguageModel, trial: Trial) {
    this.#cpu = cpu;
    this.#trial = trial;
  }

  get info(): LanguageModel["info"] {
    return this.#cpu.info;
  }

  get tokenizer(): LanguageModel["tokenizer"] {
    return this.#cpu.tokenizer;
  }

  get hookNames(): readonly string[] {
    return this.#cpu.hookNames;
  }

  capture(batch: TokenBatch, hookName: string): Promise<Float32Array> {
    return this.#inTurn(`capture ${hookName}`, shapeOf(batch), (model) => model.capture(batch, hookName));
  }

  logits(batch: TokenBatch, intervention?: HookDelta): Promise<Float32Array> {
    return this.#inTurn(`logits ${intervention?.hookName ?? ""}`, shapeOf(batch), (model) =>
      model.logits(batch, intervention),
    );
  }

  unembed(directions: Float32Array, rows: number, hookName: string): Promise<Float32Array> {
    return this.#inTurn(`unembed ${hookName}`, `${sizeOf(rows)}`, (model) => model.unembed(directions, rows, hookName));
  }

  readTo(hookName: string): HookReader {
    return this.#cpu.readTo(hookName);
  }

  goOnFrom(hookName: string): HookContinuation {
    return this.#cpu.goOnFrom(hookName);
  }

  async close(): Promise<void> {
    await this.#turns.over();
    await this.#end();
    await this.#cpu.close();
  }

  /** One after the other, as either device takes them. */
  #inTurn(kind: string, shape: string, work: (model: BatchModel) => Promise<Float32Array>): Promise<Float32Array> {
    return this.#turns.take(() => this.#compute(kind, shape, work));
  }

  async #compute(
    name: string,
    shape: string,
    work: (model: BatchModel) => Promise<Float32Array>,
  ): Promise<Float32Array> {
    if (!this.#isOn) return work(this.#cpu);
    const kind = this.#kinds.get(name) ?? {
      batches: 0,
      shapes: new Set<string>(),
      cpuMs: Number.POSITIVE_INFINITY,
      deviceMs: Number.POSITIVE_INFINITY,
    };
    this.#kinds.set(name, kind);
    const isKnown = kind.batches >= (this.#trial.mustBeQuicker ? TIMED : 1);
    // Kernels are chosen by shape: what is right at one size may be wrong at another.
    const isNew = !kind.shapes.has(shape);
    const isSample = ++this.#batches % CHECKED === 0;
    const isProven = isKnown && !isNew && !isSample;
    // The processor first: what is wrong with the batch itself is its caller's error and no fault of the device.
    const [expected, cpuMs] = isProven ? [null, 0] : await timed(() => work(this.#cpu));
    let found: Float32Array;
    let deviceMs: number;
    try {
      this.#device ??= this.#trial.open();
      const device = await this.#device;
      [found, deviceMs] = await timed(() => work(device));
    } catch (error) {
      await this.#giveUp(`fails (${(error as Error).message})`, "warning");
      return expected ?? work(this.#cpu);
    }
    if (expected === null) return found;
    const distance = apart(found, expected);
    if (!(distance <= AGREEMENT)) {
      if (isKnown && !isNew) {
        throw new Error(
          `the language model on ${this.#trial.device} was right at first and now differs from the processor's by ${distance.toExponential(1)} (allowed ${AGREEMENT}): what it computed in this run can't be trusted. Begin anew with "llm_device": "cpu"`,
        );
      }
      await this.#giveUp(
        `differs from the processor's by ${distance.toExponential(1)} (allowed ${AGREEMENT})`,
        "warning",
      );
      return expected;
    }
    kind.shapes.add(shape);
    kind.batches += 1;
    if (kind.batches > 1) {
      kind.cpuMs = Math.min(kind.cpuMs, cpuMs);
      kind.deviceMs = Math.min(kind.deviceMs, deviceMs);
    }
    const times = `${kind.deviceMs.toFixed(0)} ms a batch against the processor's ${kind.cpuMs.toFixed(0)}`;
    if (this.#trial.mustBeQuicker && kind.batches === TIMED && kind.deviceMs >= kind.cpuMs) {
      await this.#giveUp(`agrees and takes ${times}`, "info");
    } else if (!this.#hasSaid && kind.batches === (this.#trial.mustBeQuicker ? TIMED : 1)) {
      this.#hasSaid = true;
      const why = this.#trial.mustBeQuicker ? ` and takes ${times}` : "; it was asked for";
      this.#trial.say(
        "info",
        `language model on ${this.#trial.device}: it agrees with the processor to ${distance.toExponential(1)}${why}`,
      );
    }
    // Until both agree for good the processor's values count, so that a trial changes nothing.
    return expected;
  }

  async #giveUp(why: string, level: "info" | "warning"): Promise<void> {
    this.#isOn = false;
    this.#trial.say(level, `language model on the processor: ${this.#trial.device} ${why}`);
    await this.#end();
  }

  async #end(): Promise<void> {
    const device = await this.#device?.catch(() => undefined);
    this.#device = null;
    await device?.close().catch(() => {});
  }
}

/** Rows to the power of two below: they differ from batch to batch, and kernels are chosen by how many there are about. */
function sizeOf(rows: number): number {
  return 2 ** Math.floor(Math.log2(rows));
}

/** What a batch's kernels are chosen by: its rows, its length, and whether all rows have it. */
function shapeOf({ rows, length, lengths }: TokenBatch): string {
  return `${sizeOf(rows)}x${length}${lengths.every((own) => own === length) ? "" : " ragged"}`;
}

async function timed(work: () => Promise<Float32Array>): Promise<[Float32Array, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

/** ‖found − expected‖ / ‖expected‖; NaN where something is no number, infinite where sizes differ. */
function apart(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let squares = 0;
  let differences = 0;
  for (let at = 0; at < expected.length; at++) {
    squares += expected[at]! ** 2;
    differences += (found[at]! - expected[at]!) ** 2;
  }
  return differences === 0 ? 0 : Math.sqrt(differences / squares);
}

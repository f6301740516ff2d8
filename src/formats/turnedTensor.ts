// A matrix of a safetensors file, turned and looked through while it is read: a large one in a thread of its own, while the caller reads what lies beside it.
import { Worker } from "node:worker_threads";
import { InputError } from "./inputError.ts";
import { type Safetensors, tensorEntryOf } from "./tensorEntry.ts";
import { eachPiece } from "./tensorPieces.ts";
import { turnRows } from "./transpose.ts";

/** Bytes from which on turning takes longer than a thread needs to start. */
const LARGE = 64 << 20;

export interface TurnedTensor {
  /** [columns, rows] */
  readonly values: Float32Array<ArrayBuffer>;
  /** Whether all are numbers. */
  readonly finite: boolean;
}

/** What the thread is given, and what it answers. */
export interface TurningTask {
  readonly file: Safetensors;
  readonly name: string;
}
export type TurningAnswer =
  | { readonly turned: TurnedTensor }
  | { readonly problem: ConstructorParameters<typeof InputError>[0] };

/** A tensor [rows, columns] as float32, turned. Throws InputError where it can't be read. */
export function turnedTensor(file: Safetensors, name: string): Promise<TurnedTensor> {
  return tensorEntryOf(file, name).length < LARGE ? turnedHere({ file, name }) : turnedInThread({ file, name });
}

/** In the caller's own thread. */
export async function turnedHere({ file, name }: TurningTask): Promise<TurnedTensor> {
  const [rows, columns] = tensorEntryOf(file, name).shape as [number, number];
  const values = new Float32Array(rows * columns);
  let finite = true;
  let row = 0;
  await eachPiece(file, name, { row: columns }, (piece) => {
    if (!turnRows(piece, columns, values, rows, row)) finite = false;
    row += piece.length / columns;
  });
  return { values, finite };
}

function turnedInThread(task: TurningTask): Promise<TurnedTensor> {
  // From source this file ends in .ts, and in the bundle it is part of some .js, beside which the thread's own lies.
  const entry = import.meta.url.endsWith(".ts") ? "turningThread.ts" : "turning-thread.js";
  const worker = new Worker(new URL(`./${entry}`, import.meta.url), { workerData: task, name: "sae-turning" });
  return new Promise((resolve, reject) => {
    worker.once("message", (answer: TurningAnswer) => {
      if ("turned" in answer) resolve(answer.turned);
      else reject(new InputError(answer.problem));
    });
    worker.once("error", reject);
    // Nothing where it has answered.
    worker.once("exit", (code) => reject(new Error(`the thread that turns ${task.name} ended with code ${code}`)));
  });
}

// Entry of the thread that turns one large tensor (turnedTensor.ts): the result is handed over, not copied.
import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "./inputError.ts";
import { type TurningAnswer, type TurningTask, turnedHere } from "./turnedTensor.ts";

const answer = (said: TurningAnswer, handedOver: ArrayBuffer[] = []): void => parentPort!.postMessage(said, handedOver);
try {
  const turned = await turnedHere(workerData as TurningTask);
  answer({ turned }, [turned.values.buffer]);
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  const { file, where, found, expected } = error;
  answer({ problem: { file, where, found, expected } });
}

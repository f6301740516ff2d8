// An encoder from one function, for tests that know its answers.
import type { Encoder } from "../../../src/engine/engine.ts";

export function encoderFrom(encode: Encoder["encode"], close: Encoder["close"] = async () => {}): Encoder {
  return { encode, codes: async (...batch) => (await encode(...batch)).codes, close };
}

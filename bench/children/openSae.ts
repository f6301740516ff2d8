// Opens an SAE's folder, or reads its bytes and does nothing with them; the time, and peak memory.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { openSae } from "../../src/sae/openSae.ts";
import { childAnswer, childInput, peakBytes } from "./child.ts";

const { folder, plain } = childInput<{ folder: string; plain: boolean }>();
const start = performance.now();
if (plain) {
  const file = await open(join(folder, "sae_weights.safetensors"));
  const { size } = await file.stat();
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size; )
    done += (await file.read(bytes, done, Math.min(size - done, 1 << 30), done)).bytesRead;
  await file.close();
} else {
  const { sae } = await openSae(folder);
  if (sae.weights.W_enc.length === 0) throw new Error("an empty SAE");
}
childAnswer({ seconds: (performance.now() - start) / 1000, peakBytes: peakBytes() });

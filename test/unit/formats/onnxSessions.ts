// A process of its own for onnxTelemetry.test.ts: what leads to onnxruntime's sessions in ours, the language model in the main thread and the CPU engine in its workers.
import { join } from "node:path";
import { createCpuEngine } from "../../../src/engine/cpu/cpuEngine.ts";
import { measureProducts } from "../../../src/jobs/machine.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { ensembleOf, randomSae } from "../engine/randomCases.ts";

switch (process.argv[2]) {
  case "model": {
    const model = await openLanguageModel(join(import.meta.dirname, "..", "..", "..", "media", "demo", "model"), {
      threads: 1,
    });
    const ids = Int32Array.from(model.tokenizer.encode("a nurse"), ({ id }) => id);
    await model.logits({ rows: 1, length: ids.length, ids, lengths: Int32Array.of(ids.length) });
    await model.close();
    break;
  }
  case "engine": {
    const engine = await createCpuEngine({ threads: 1, native: true });
    const sae = randomSae({ architecture: "topk" }, 1);
    const encoder = await engine.createEncoder(ensembleOf("single", [sae]));
    await encoder.encode(new Float32Array(sae.config.d_in), 1);
    await encoder.close();
    await engine.close();
    break;
  }
  case "products":
    await measureProducts();
}

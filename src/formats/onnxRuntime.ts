// onnxruntime-node, loaded where it is first needed, so that everything else starts and runs on machines without it.
import "./onnxTelemetry.ts";

export type OnnxRuntime = typeof import("onnxruntime-node");

/** Null where the library is missing or does not load. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime | null> {
  try {
    return await import("onnxruntime-node");
  } catch {
    return null;
  }
}

/** For what can't do without: throws with the reason and what to do. */
export async function requireOnnxRuntime(purpose: string): Promise<OnnxRuntime> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    // Node adds the importing file and a stack of requires on further lines.
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    throw new Error(
      `${purpose} needs onnxruntime-node, which can't be loaded here (${reason}): run npm ci on this machine`,
      { cause: error },
    );
  }
}

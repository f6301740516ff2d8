// What an adapter is and has, in the engine's words, and a device of it with all of its features that its driver really opens.
import type { AdapterDescription, MatrixShape } from "./protocol.ts";

/** The feature's name, which no standard has yet. */
const MATRICES = "chromium-experimental-subgroup-matrix" as GPUFeatureName;
/** Those that kernels are written for, the newest last: it is the first to be done without. */
const FEATURES = ["shader-f16", "subgroups", MATRICES] as readonly GPUFeatureName[];

/** Whose names a software rasteriser goes by where the flag says nothing; WARP is Direct3D's. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render|\bwarp\b/i;

export function describeAdapter({
  info,
  features,
  limits,
}: Pick<GPUAdapter, "info" | "features" | "limits">): AdapterDescription {
  // Dawn's device is the model, its description the driver; a driver's name alone doesn't tell software.
  const { vendor, architecture, device, description, isFallbackAdapter } = info;
  const words = [device, description, vendor, architecture].filter(Boolean);
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = limits;
  const { subgroupMinSize: least = 0, subgroupMaxSize: most = 0 } = info;
  return {
    key: [vendor, architecture, device, description].join("|"),
    name: withoutRepeats(words).join(", ") || "a GPU without a name",
    software: isFallbackAdapter === true || words.some((word) => SOFTWARE.test(word)),
    features: [...features]
      .filter((feature) => /shader-f16|^subgroups$|subgroup-matrix|timestamp/.test(feature))
      .sort(),
    maxBufferSize,
    maxStorageBufferBindingSize,
    maxComputeWorkgroupStorageSize,
    largestWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    subgroups: features.has("subgroups"),
    // Apple's driver says 4 to 64 and has 32.
    lanes: /apple/i.test(vendor) ? 32 : least > 0 && least === most ? least : null,
    matrices: features.has(MATRICES) ? matrixShapes(info) : [],
  };
}

/** Without words that one before them has in it: "Apple M2, Metal driver" needs no "apple". */
function withoutRepeats(words: readonly string[]): string[] {
  const kept: string[] = [];
  for (const word of words) {
    if (!kept.some((one) => one.toLowerCase().includes(word.toLowerCase()))) kept.push(word);
  }
  return kept;
}

interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

function matrixShapes(
  info: GPUAdapterInfo & { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> },
): MatrixShape[] {
  return [...(info.subgroupMatrixConfigs ?? [])].map(({ componentType, resultComponentType, M, N, K }) => ({
    operand: componentType,
    result: resultComponentType,
    M,
    N,
    K,
  }));
}

/** With all that the adapter says it has; where its driver doesn't open that, without the matrix units, then without any of it. */
export async function requestDevice(
  adapter: Pick<GPUAdapter, "features" | "limits" | "requestDevice">,
  description: AdapterDescription,
): Promise<{ device: GPUDevice; has: AdapterDescription }> {
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
  const requiredLimits = { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize };
  const all = FEATURES.filter((one) => adapter.features.has(one));
  for (const requiredFeatures of [all, all.filter((one) => one !== MATRICES)]) {
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits }).catch(() => null);
    if (device) return { device, has: withFeatures(description, requiredFeatures) };
  }
  return { device: await adapter.requestDevice({ requiredLimits }), has: withFeatures(description, []) };
}

function withFeatures(description: AdapterDescription, opened: readonly string[]): AdapterDescription {
  return {
    ...description,
    features: description.features.filter((one) => opened.includes(one)),
    subgroups: description.subgroups && opened.includes("subgroups"),
    matrices: opened.includes(MATRICES) ? description.matrices : [],
  };
}

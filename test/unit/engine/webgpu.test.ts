import { createWebgpuEngine } from "../../../src/engine/webgpu/webgpuEngine.ts";
import { engineContract } from "./contract.ts";
const E="/work/main/.e2e/chromium";
engineContract("webgpu (SwiftShader)", () => createWebgpuEngine({ software: true, environment: { LD_LIBRARY_PATH: E, VK_ICD_FILENAMES: `${E}/vk_swiftshader_icd.json` } }));

// One WebGPU device of Dawn, inside the device's own process: adapters, buffers, pipelines, runs of kernels, readback, and what went wrong in the driver.
import { create, globals } from "webgpu";
import { EngineError } from "../engine.ts";
import { describeAdapter, requestDevice } from "./adapters.ts";
import { type Constants, type KernelName, kernels, sourceOf } from "./kernels.ts";
import { NUMBERS_BYTES } from "./numbers.ts";
import type { AdapterDescription } from "./protocol.ts";

/** Dawn's instance has to be kept for as long as anything made from it lives. Its unsafe interfaces are the matrix units; nothing else here asks for one. */
const instance = create(["enable-dawn-features=allow_unsafe_apis"]);
Object.assign(globalThis, globals);

/** Workgroups in x; more go to y, since no device promises more than 65,535 in one direction. */
const MOST_IN_X = 32_768;

/** What one pass counted: for measurements without a clock. */
export interface Counts {
  dispatches: number;
  /** Bytes sent to and read from the device. */
  uploaded: number;
  downloaded: number;
  /** Times that something was waited for and read, and buffers that were made. */
  reads: number;
  buffers: number;
}

export interface Run {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Ends its submission. */
  readonly isHeavy: boolean;
}

/** What takes long: each goes out by itself, since a system may reset a device that works on one submission for seconds. */
const HEAVY: ReadonlySet<KernelName> = new Set([
  "gemm",
  "matrixGemm",
  "batchHistogram",
  "listRows",
  "decode",
  "latentGradient",
  "adam",
]);

const SUBGROUP_CHECK_THREADS = 128;
/** And what shared.wgsl asks for. */
const subgroupCheckConstants: Constants = {
  WIDTH: `${SUBGROUP_CHECK_THREADS}u`,
  LATENTS_EACH: "1u",
  INNER: "0u",
  INNER_VECS: "0u",
};

/** The adapters that there are: the one preferred for speed, the one for battery, and software's, each once. */
export async function findAdapters(): Promise<{ adapter: GPUAdapter; description: AdapterDescription }[]> {
  const found: { adapter: GPUAdapter; description: AdapterDescription }[] = [];
  for (const options of [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ] as const) {
    const adapter = await instance.requestAdapter(options).catch(() => null);
    if (!adapter) continue;
    const description = describeAdapter(adapter);
    if (!found.some((other) => other.description.key === description.key)) found.push({ adapter, description });
  }
  return found;
}

export class Gpu {
  description: AdapterDescription;
  /** What a person should know of; taken by whoever answers next. */
  readonly warnings: string[] = [];
  readonly counts: Counts = { dispatches: 0, uploaded: 0, downloaded: 0, reads: 0, buffers: 0 };
  readonly #device: GPUDevice;
  readonly #layouts = new Map<KernelName, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  #failure: string | undefined;
  #closing = false;

  private constructor(device: GPUDevice, description: AdapterDescription) {
    this.#device = device;
    this.description = description;
    device.addEventListener("uncapturederror", (event) => {
      this.#failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    void device.lost.then(({ reason, message }) => {
      if (!this.#closing) this.#failure = `the device was lost (${reason || "no reason given"}): ${message}`;
    });
  }

  /** Opens an adapter with all that it allows. An adapter serves once: find it anew for another device. */
  static async open({ adapter, description }: Awaited<ReturnType<typeof findAdapters>>[number]): Promise<Gpu> {
    const { device, has } = await requestDevice(adapter, description);
    const gpu = new Gpu(device, has);
    if (has.subgroups && !(await gpu.#subgroupsFollow())) gpu.description = { ...has, subgroups: false };
    return gpu;
  }

  /** Bytes that one buffer may have. */
  get largestBuffer(): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits;
    return Math.min(maxBufferSize, maxStorageBufferBindingSize);
  }

  /** Throws what went wrong in the driver since the device was opened. */
  check(): void {
    if (this.#failure !== undefined) throw new EngineError(`the GPU failed: ${this.#failure}`);
  }

  /** Makes buffers, all or none; null where memory ran out. Zeros at first. */
  async allocate(sizes: Readonly<Record<string, number>>): Promise<Record<string, GPUBuffer> | null> {
    this.#device.pushErrorScope("out-of-memory");
    const buffers: Record<string, GPUBuffer> = {};
    let refused = false;
    for (const [label, size] of Object.entries(sizes)) {
      this.counts.buffers += 1;
      try {
        buffers[label] = this.#device.createBuffer({
          label,
          size: Math.max(16, Math.ceil(size / 16) * 16),
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        });
      } catch {
        refused = true;
        break;
      }
    }
    const error = await this.#device.popErrorScope();
    this.check();
    if (!error && !refused) return buffers;
    for (const buffer of Object.values(buffers)) buffer.destroy();
    return null;
  }

  /** A buffer of a kernel's numbers. */
  uniform(size: number): GPUBuffer {
    this.counts.buffers += 1;
    return this.#device.createBuffer({ size, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  }

  staging(size: number): GPUBuffer {
    this.counts.buffers += 1;
    return this.#device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  write(buffer: GPUBuffer, data: ArrayBufferView, offset = 0): void {
    this.#device.queue.writeBuffer(buffer, offset, data as ArrayBufferView<ArrayBuffer>);
    this.counts.uploaded += data.byteLength;
  }

  pipeline(name: KernelName, constants: Constants): GPUComputePipeline {
    const code = sourceOf(name, constants);
    const key = `${kernels[name].entry} ${code}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#device.createComputePipeline({
        label: name,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [this.#layout(name)] }),
        compute: { module: this.#device.createShaderModule({ label: name, code }), entryPoint: kernels[name].entry },
      });
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /** Whether the driver takes a kernel; the reason where it doesn't is of no use to anybody but its makers. */
  async takes(name: KernelName, constants: Constants): Promise<boolean> {
    this.#device.pushErrorScope("validation");
    this.#device.pushErrorScope("internal");
    const pipeline = this.pipeline(name, constants);
    // Both at once: what another call does meanwhile is not to fall into the second.
    const errors = await Promise.all([this.#device.popErrorScope(), this.#device.popErrorScope()]);
    if (errors.every((error) => error === null)) return true;
    for (const [key, made] of this.#pipelines) if (made === pipeline) this.#pipelines.delete(key);
    return false;
  }

  /** A kernel with its buffers, `groups` workgroups (or a grid of them), for each of `members`. */
  bind(
    name: KernelName,
    constants: Constants,
    buffers: readonly GPUBuffer[],
    groups: number | readonly [number, number],
    members = 1,
  ): Run {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const [x, y] = typeof groups === "number" ? [Math.min(groups, MOST_IN_X), Math.ceil(groups / MOST_IN_X)] : groups;
    const pipeline = this.pipeline(name, constants);
    return {
      pipeline,
      group: this.#device.createBindGroup({ label: name, layout: this.#layout(name), entries }),
      x,
      y,
      z: members,
      isHeavy: HEAVY.has(name),
    };
  }

  /** One after the other, in a submission up to each heavy one; what stands between them is copied or cleared in its place. */
  submit(work: readonly (Run | ((encoder: GPUCommandEncoder) => void))[]): void {
    this.check();
    let encoder = this.#device.createCommandEncoder();
    let pass: GPUComputePassEncoder | undefined;
    const send = (): void => {
      pass?.end();
      pass = undefined;
      this.#device.queue.submit([encoder.finish()]);
    };
    for (const item of work) {
      if (typeof item === "function") {
        pass?.end();
        pass = undefined;
        item(encoder);
        continue;
      }
      if (item.x === 0 || item.y === 0) continue;
      pass ??= encoder.beginComputePass();
      pass.setPipeline(item.pipeline);
      pass.setBindGroup(0, item.group);
      pass.dispatchWorkgroups(item.x, item.y, item.z);
      this.counts.dispatches += 1;
      if (!item.isHeavy) continue;
      send();
      encoder = this.#device.createCommandEncoder();
    }
    send();
  }

  /** The bytes of a staging buffer once all that was submitted is done. */
  async read(staging: GPUBuffer, size: number): Promise<ArrayBuffer> {
    try {
      await staging.mapAsync(GPUMapMode.READ, 0, size);
    } catch (error) {
      this.check();
      throw new EngineError(`the GPU failed: ${(error as Error).message}`);
    }
    this.check();
    const copy = staging.getMappedRange(0, size).slice(0);
    staging.unmap();
    this.counts.downloaded += size;
    this.counts.reads += 1;
    return copy;
  }

  /** The bytes of a part of any buffer. */
  async readBuffer(buffer: GPUBuffer, offset: number, size: number): Promise<ArrayBuffer> {
    const staging = this.staging(size);
    this.submit([(encoder) => encoder.copyBufferToBuffer(buffer, offset, staging, 0, size)]);
    const bytes = await this.read(staging, size);
    staging.destroy();
    return bytes;
  }

  /** Whether threads of a subgroup follow each other, which sums by subgroups rely on. */
  async #subgroupsFollow(): Promise<boolean> {
    const threads = SUBGROUP_CHECK_THREADS;
    const constants = subgroupCheckConstants;
    if (!(await this.takes("subgroupCheck", constants))) return false;
    const buffers = await this.allocate({ found: threads * 4 });
    if (!buffers) return false;
    const numbers = this.uniform(NUMBERS_BYTES);
    this.submit([this.bind("subgroupCheck", constants, [numbers, buffers["found"]!], 1)]);
    const found = new Uint32Array(await this.readBuffer(buffers["found"]!, 0, threads * 4));
    buffers["found"]!.destroy();
    numbers.destroy();
    return found.every((one) => one === 1);
  }

  /** Destroys the device behind the back of what uses it; resolves once it has said that it is lost. For tests. */
  async lose(): Promise<void> {
    this.#device.destroy();
    await this.#device.lost;
  }

  close(): void {
    this.#closing = true;
    this.#device.destroy();
  }

  #layout(name: KernelName): GPUBindGroupLayout {
    let layout = this.#layouts.get(name);
    if (!layout) {
      const types = { numbers: "uniform", read: "read-only-storage", write: "storage" } as const;
      layout = this.#device.createBindGroupLayout({
        label: name,
        entries: kernels[name].bindings.map((use, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: types[use] },
        })),
      });
      this.#layouts.set(name, layout);
    }
    return layout;
  }
}

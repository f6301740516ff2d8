// The fast CPU engine: worker threads over shared memory, SIMD kernels for everything sparse, onnxruntime for the matrix products.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Ensemble } from "../../sae/ensemble.ts";
import {
  checkEncodable,
  checkTrainable,
  type Encoder,
  type Engine,
  EngineError,
  type MemberState,
  type Trainer,
  type TrainerConfig,
} from "../engine.ts";
import { CpuEncoder } from "./cpuEncoder.ts";
import { CpuTrainer } from "./cpuTrainer.ts";
import { DEFAULT_SLAB_LIMIT } from "./layout.ts";
import { Memories } from "./memories.ts";
import { Team } from "./team.ts";
import { type WasmModule, wasm } from "./webAssembly.ts";

export interface CpuEngineOptions {
  /** Worker threads; all cores by default. Results don't depend on it. */
  readonly threads?: number;
  /** false: never onnxruntime, wasm alone. By default it is used where it loads. */
  readonly native?: boolean;
  /** Bytes of weights and moments in one memory before an SAE is split over several. For tests. */
  readonly slabLimit?: number;
}

/** Throws EngineError where the kernels have not been built. */
export async function createCpuEngine(options: CpuEngineOptions = {}): Promise<CpuEngine> {
  const { module, relaxed } = compileKernels();
  const threads = Math.max(1, options.threads ?? availableParallelism());
  const team = new Team(threads, module, options.native ?? true);
  const [hello] = (await team.call({ kind: "hello" })) as { native: boolean; reason?: string }[];
  if (options.native === true && !hello!.native) {
    await team.close();
    throw new EngineError(`onnxruntime-node can't be used here: ${hello!.reason}`);
  }
  const products = hello!.native ? "onnxruntime" : `wasm${hello!.reason ? ` (no onnxruntime: ${hello!.reason})` : ""}`;
  return new CpuEngine(
    team,
    `${threads} ${threads === 1 ? "thread" : "threads"}, ${relaxed ? "relaxed SIMD" : "SIMD"} kernels, matrix products by ${products}`,
    hello!.native,
    options.slabLimit ?? DEFAULT_SLAB_LIMIT,
  );
}

export class CpuEngine implements Engine {
  readonly name = "cpu";
  readonly description: string;
  readonly #team: Team;
  readonly #native: boolean;
  readonly #slabLimit: number;
  #jobs = 0;

  constructor(team: Team, description: string, native: boolean, slabLimit: number) {
    this.#team = team;
    this.description = description;
    this.#native = native;
    this.#slabLimit = slabLimit;
  }

  async createTrainer(config: TrainerConfig, members: MemberState[], frozen?: Ensemble): Promise<Trainer> {
    checkTrainable(config);
    const memories = this.#memories(
      members.map(() => config.sae),
      config,
    );
    const encoder = frozen && frozen.members.length > 0 ? await this.createEncoder(frozen) : undefined;
    return CpuTrainer.open(config, members, encoder, this.#team, memories, this.#jobs++);
  }

  async createEncoder(ensemble: Ensemble): Promise<Encoder> {
    checkEncodable(ensemble);
    const memories = this.#memories(
      ensemble.members.map((member) => member.config),
      undefined,
    );
    return CpuEncoder.open(ensemble, this.#team, memories, this.#jobs++);
  }

  /** Milliseconds by phase of the training steps since the last call, the mean over threads. For measurements. */
  takeTimings(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.#team.takeLaps()).map(([name, ms]) => [name, ms / this.#team.threads]),
    );
  }

  close(): Promise<void> {
    return this.#team.close();
  }

  #memories(configs: ConstructorParameters<typeof Memories>[0], training: TrainerConfig | undefined): Memories {
    return new Memories(configs, {
      training,
      threads: this.#team.threads,
      everything: training === undefined || !this.#native,
      slabLimit: this.#slabLimit,
    });
  }
}

/** The fused kernels where this machine's V8 runs them, the plain ones elsewhere. */
function compileKernels(): { module: WasmModule; relaxed: boolean } {
  const folder = join(packageRoot(), "dist");
  for (const relaxed of [true, false]) {
    const file = join(folder, relaxed ? "kernels-relaxed.wasm" : "kernels.wasm");
    if (!existsSync(file)) throw new EngineError(`${file} is missing: run \`npm run build\``);
    const bytes = readFileSync(file);
    if (wasm.validate(bytes)) return { module: new wasm.Module(bytes), relaxed };
  }
  throw new EngineError("this JavaScript runtime has no WebAssembly SIMD with threads");
}

/** The folder of package.json, above the sources as above the bundle. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new EngineError(`no package.json above ${fileURLToPath(import.meta.url)}`);
    folder = parent;
  }
  return folder;
}

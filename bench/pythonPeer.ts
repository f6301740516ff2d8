// A Python process as a peer: its packages installed into a folder of the bench's own, then one JSON line asked and one answered at a time.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NotMeasurable } from "./claim.ts";

const benchFolder = import.meta.dirname;
/** Packages that can't live together: bench/peers/requirements.txt, SAEDashboard's older TransformerLens, SAEBench's many. */
export type PeerEnvironment = "peers" | "dashboard" | "saebench";

const ENVIRONMENTS: Record<PeerEnvironment, { requirements: string; folder: string; variable: string }> = {
  peers: { requirements: "requirements.txt", folder: "python", variable: "SAE_ENSEMBLES_BENCH_PYTHON" },
  dashboard: {
    requirements: "requirements-dashboard.txt",
    folder: "python-dashboard",
    variable: "SAE_ENSEMBLES_BENCH_DASHBOARD_PYTHON",
  },
  saebench: {
    requirements: "requirements-saebench.txt",
    folder: "python-saebench",
    variable: "SAE_ENSEMBLES_BENCH_SAEBENCH_PYTHON",
  },
};

/** An environment's interpreter: the one that its variable names, or a virtual environment that is made here once for each state of its requirements. */
export async function peersPython(name: PeerEnvironment, log: (line: string) => void): Promise<string> {
  const { requirements, folder, variable } = ENVIRONMENTS[name];
  const given = process.env[variable];
  if (given) return given;
  const list = join(benchFolder, "peers", requirements);
  const environment = join(benchFolder, "..", ".bench", folder);
  const python = join(
    environment,
    process.platform === "win32" ? join("Scripts", "python.exe") : join("bin", "python"),
  );
  const stamp = join(environment, "requirements.sha256");
  const wanted = createHash("sha256")
    .update(await readFile(list))
    .digest("hex");
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === wanted) return python;
  log(`installing ${requirements} into ${environment} (once; PyTorch is large)`);
  await rm(environment, { recursive: true, force: true });
  await mkdir(environment, { recursive: true });
  await succeed(process.platform === "win32" ? "python" : "python3", ["-m", "venv", environment]);
  await succeed(python, ["-m", "pip", "install", "--quiet", "-r", list]);
  await writeFile(stamp, wanted);
  return python;
}

async function succeed(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  const code = await Promise.race([
    once(child, "exit").then(([exit]) => exit as number),
    once(child, "error").then(([error]) => {
      throw new NotMeasurable(`${command} could not be started: ${(error as Error).message}`);
    }),
  ]);
  if (code !== 0)
    throw new NotMeasurable(`${command} ${args.join(" ")} ended with ${code}; the peers need Python 3.10 or newer`);
}

/** One peer process, bench/peers/<script>. */
export class PythonPeer {
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;
  private readonly script: string;
  private stderr = "";

  constructor(python: string, script: string, threads: number) {
    this.script = script;
    this.child = spawn(python, [join(benchFolder, "peers", script)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...process.env,
        OMP_NUM_THREADS: String(threads),
        MKL_NUM_THREADS: String(threads),
        PYTHONUNBUFFERED: "1",
        TOKENIZERS_PARALLELISM: "true",
        HF_HUB_OFFLINE: "1",
        HF_DATASETS_OFFLINE: "1",
        WANDB_MODE: "disabled",
      },
    });
    this.child.stderr!.on("data", (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-4000);
    });
    this.answers = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** Sends {op, ...fields} and waits for the answer. Throws with the peer's own words if it fails. */
  async ask<Answer>(op: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    this.child.stdin!.write(`${JSON.stringify({ op, ...fields })}\n`);
    for (;;) {
      const { value, done } = await this.answers.next();
      if (done) throw new NotMeasurable(`the peer ${this.script} ended:\n${this.stderr.trim()}`);
      // Libraries print; answers are marked.
      if (!value.startsWith("@")) continue;
      const answer = JSON.parse(value.slice(1)) as Answer & { error?: string };
      if (answer.error !== undefined) throw new NotMeasurable(`the peer ${this.script}: ${answer.error}`);
      return answer;
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.stdin!.end();
    await once(this.child, "exit");
  }
}

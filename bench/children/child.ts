// One measurement in a Node process of its own, so that its peak memory is its own: JSON in, one marked JSON line out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NotMeasurable } from "../claim.ts";

const MARK = "@result ";

/** Runs bench/children/<script> with `input`; its standard error is shown. */
export async function runChild<Output>(script: string, input: unknown): Promise<Output> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script)], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(input));
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = await once(child, "close");
  const line = out.split("\n").find((one) => one.startsWith(MARK));
  if (code !== 0 || line === undefined) throw new NotMeasurable(`${script} ended with ${code}`);
  return JSON.parse(line.slice(MARK.length)) as Output;
}

/** In the child: what it was given. */
export function childInput<Input>(): Input {
  return JSON.parse(readFileSync(0, "utf8")) as Input;
}

/** In the child: the answer. */
export function childAnswer(output: unknown): void {
  console.log(MARK + JSON.stringify(output));
}

/** Most memory that this process has held, bytes. */
export function peakBytes(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

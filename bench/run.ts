// The bench's command line: lists the claims, or measures some of them and prints ours, the peer's, the ratio and the goal.
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { Command } from "commander";
import { type Bench, type Claim, type Measured, NotMeasurable } from "./claim.ts";
import { claims } from "./claims/index.ts";
import { machine } from "./machine.ts";
import { PythonPeer, peersPython } from "./pythonPeer.ts";

const log = (line: string): void => void process.stderr.write(`${line}\n`);

const command = new Command("bench")
  .description("Measures claims beside their peers, in the same run. Names as in --list, or all.")
  .argument("[names...]")
  .option("--list", "name every claim with what it measures and its goal")
  .option("--json", "one JSON object a claim and line")
  .option("--software", "gpu-*: on a software GPU at tiny sizes, to see that they run; the numbers are worth nothing")
  .parse(process.argv);
const options = command.opts<{ list?: boolean; json?: boolean; software?: boolean }>();

if (options.list || command.args.length === 0) {
  list(options.json === true);
} else {
  const chosen = command.args.includes("all") ? [...claims] : command.args.map(named);
  let failed = false;
  for (const claim of chosen) failed = !(await report(claim, options.json === true)) || failed;
  process.exitCode = failed ? 1 : 0;
}

function named(name: string): Claim {
  const claim = claims.find((one) => one.name === name);
  if (claim) return claim;
  log(`no claim ${name}; there are ${claims.map((one) => one.name).join(", ")}, and all`);
  process.exit(2);
}

function list(json: boolean): void {
  if (json) {
    for (const { name, measures, against, unit, goal } of claims) {
      console.log(JSON.stringify({ name, measures, against, unit, goal }));
    }
    return;
  }
  const width = Math.max(80, Math.min(process.stdout.columns ?? 120, 160));
  const claimWidth = Math.max(...claims.map(({ name }) => name.length)) + 2;
  const [measures, against] = [0.6, 0.4].map((share) => Math.floor(share * (width - claimWidth - 12)));
  const table = new Table({
    head: ["claim", "measures", "against", "goal"],
    colWidths: [claimWidth, measures!, against!, 7],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const claim of claims) table.push([claim.name, claim.measures, claim.against, `${claim.goal}×`]);
  console.log(table.toString());
  console.log("Goals are ratios to the peer; where that is a limit (50 ms, 100 MB), how far below it we are.");
}

/** False if the claim could not be measured. A goal that is missed is a result, not a failure. */
async function report(claim: Claim, json: boolean): Promise<boolean> {
  const peers: PythonPeer[] = [];
  const dataFolder = join(import.meta.dirname, "..", ".bench", "data");
  mkdirSync(dataFolder, { recursive: true });
  const threads = availableParallelism();
  const bench: Bench = {
    dataFolder,
    threads,
    software: options.software === true,
    log: (line) => log(`${claim.name}: ${line}`),
    peer: async (script, { environment = "peers" } = {}) => {
      const peer = new PythonPeer(await peersPython(environment, log), script, threads);
      peers.push(peer);
      return peer;
    },
  };
  try {
    const measured = await claim.run(bench);
    if (json) console.log(JSON.stringify(asJson(claim, measured)));
    else print(claim, measured);
    return true;
  } catch (error) {
    if (!(error instanceof NotMeasurable)) throw error;
    if (json) console.log(JSON.stringify({ name: claim.name, error: error.message, machine: machine() }));
    else log(`${claim.name}: not measured: ${error.message}`);
    return false;
  } finally {
    for (const peer of peers) await peer.close();
  }
}

function asJson({ name, unit, goal }: Claim, { ours, peer, ratio, details, notes }: Measured): Record<string, unknown> {
  const met = ratio === null ? null : ratio >= goal;
  return { name, unit, ours, peer, ratio, goal, met, ...details, notes, machine: machine() };
}

function print(claim: Claim, { ours, peer, ratio, details, notes }: Measured): void {
  const round = (value: number | string): string =>
    typeof value === "string" ? value : String(Number(value.toPrecision(4)));
  console.log(`\n${claim.name}: ${claim.measures}\n  against ${claim.against}`);
  const table = new Table({ style: { head: [], border: [], compact: true }, colAligns: ["left", "right"] });
  table.push(["ours", `${round(ours)} ${claim.unit}`]);
  if (peer !== null) table.push(["peer", `${round(peer)} ${claim.unit}`]);
  const verdict = ratio === null ? "not measured" : ratio >= claim.goal ? "met" : "missed";
  table.push(["ratio", ratio === null ? "–" : round(ratio)], ["goal", `${claim.goal} (${verdict})`]);
  for (const [key, value] of Object.entries(details)) table.push([key, round(value)]);
  console.log(table.toString());
  for (const note of notes) console.log(`  ${note}`);
  const { cpu, cores, memory_gib, os, node, onnxruntime } = machine();
  console.log(`  ${cpu}, ${cores} cores, ${memory_gib} GiB, ${os}, Node ${node}, onnxruntime ${onnxruntime}`);
}

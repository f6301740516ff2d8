// What a claim is: a number of ours beside a peer's, measured in the same run, and the goal that it is held to.
import type { PeerEnvironment, PythonPeer } from "./pythonPeer.ts";

export interface Claim {
  /** As in `npm run bench -- NAME`. */
  readonly name: string;
  /** One line: what is measured. */
  readonly measures: string;
  /** One line: against whom. */
  readonly against: string;
  readonly unit: string;
  /** Least ratio that meets the claim. */
  readonly goal: number;
  run(bench: Bench): Promise<Measured>;
}

export interface Measured {
  /** In the claim's unit; the median over all timed repetitions. */
  readonly ours: number;
  /** The peer's, in the same unit; null where the claim has none. */
  readonly peer: number | null;
  /** How many times better ours is (above 1: ahead); what is compared with the goal. Null where the peer couldn't be measured. */
  readonly ratio: number | null;
  /** Further numbers by snake_case name: other peers' values and ratios, sizes, repetitions. */
  readonly details: Readonly<Record<string, number | string>>;
  /** Lines for people: what to know when reading the numbers. */
  readonly notes: readonly string[];
}

/** What a claim is given to work with. */
export interface Bench {
  /** Folder for data that may be kept between runs (git-ignored). */
  readonly dataFolder: string;
  /** GPU claims run on a software GPU at tiny sizes: to see that they run, not for their numbers. */
  readonly software: boolean;
  /** Threads that both sides use: all cores. */
  readonly threads: number;
  /** Starts bench/peers/<script> and stops it when the claim ends. Installs its packages if they aren't there. */
  peer(script: string, options?: { environment?: PeerEnvironment }): Promise<PythonPeer>;
  /** Progress, on the error stream. */
  log(line: string): void;
}

/** Thrown where a claim can't be measured on this machine; the message says what is missing. */
export class NotMeasurable extends Error {
  override name = "NotMeasurable";
}

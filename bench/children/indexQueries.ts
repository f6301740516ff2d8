// Asks a feature index its questions; percentiles of each kind, and peak memory.
import { timeIndexQueries } from "../indexQueries.ts";
import { childAnswer, childInput, peakBytes } from "./child.ts";

const { path, words, rounds } = childInput<{ path: string; words: readonly string[]; rounds: number }>();
childAnswer({ times: timeIndexQueries(path, words, rounds), peakBytes: peakBytes() });

// Numbers and tokens as a person reads them.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bar,
  bytes,
  density,
  duration,
  integer,
  metric,
  rate,
  share,
  stageShown,
  tokenShown,
} from "../../../src/cli/words.ts";

const cases: [name: string, actual: string, expected: string][] = [
  ["counts have separators", integer(1234567), "1,234,567"],
  ["three digits", metric(0.71234), "0.712"],
  ["three digits above one", metric(12.345), "12.3"],
  ["three digits above a hundred", metric(123.4), "123"],
  ["large numbers have separators", metric(24715.3), "24,715"],
  ["tiny numbers keep their digits", metric(0.00012345), "1.23e-4"],
  ["zero", metric(0), "0.000"],
  ["what could not be computed is a dash", metric(Number.NaN), "–"],
  ["density in percent", density(0.1234), "12.3%"],
  ["small density in percent", density(0.00084), "0.084%"],
  ["least density in percent", density(0.00001), "0.001%"],
  ["rarer than that", density(1 / 240_000), "1 in 240,000"],
  ["never", density(0), "never"],
  ["seconds", duration(8.04), "8.0 s"],
  ["many seconds", duration(42.3), "42 s"],
  ["minutes", duration(200), "3 min 20 s"],
  ["just under an hour", duration(3599.7), "1 h 00 min"],
  ["hours", duration(7500), "2 h 05 min"],
  ["rate", rate(41234.5, "tokens"), "41,235 tokens/s"],
  ["slow rate", rate(1.234, "tokens"), "1.23 tokens/s"],
  ["share never rounds up to done", share(0.9999), "99%"],
  ["bytes", bytes(1536), "1.5 KiB"],
  ["no bytes", bytes(0), "0 B"],
  ["bar", bar(0.5, 4), "██░░"],
  ["a bar past its end", bar(1.5, 4), "████"],
  ["a second seed set", stageShown("train single-1"), "train single-1 (seed set 2)"],
  ["a stage with a number of its own", stageShown("download gpt-2"), "download gpt-2"],
  ["white space in tokens", tokenShown(" a\n\tb"), "␣a↵⇥b"],
  ["a control character in a token", tokenShown("a\u001A"), "a⟨1A⟩"],
];

for (const [name, actual, expected] of cases) test(name, () => assert.equal(actual, expected));

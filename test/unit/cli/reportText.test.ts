// A report in a terminal: its first tables, without Markdown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportText } from "../../../src/cli/reportText.ts";

const report = `# Debiasing: demo

Words. ![Worst group](debias-groups-1.svg)

## Biased: one

| | accuracy | worst group | nurse · female |
|---|---|---|---|
| biased probe | 0.653 ± 0.011 | 0.090 | 0.980 |
| **oracle** | 0.982 | 0.950 | 0.980 |

![SCR](debias-scr-1.svg)

| SCR | n = 2 |
|---|---|
| single | 0.054 |

## Biased: the other

| | accuracy |
|---|---|
| biased probe | 0.7 |
`;

test("the first table of each part, with the columns that fit", () => {
  const shown = (width: number) => reportText(report, width);
  assert.equal(
    shown(44),
    `Biased: one
                   accuracy  worst group
biased probe  0.653 ± 0.011        0.090
oracle                0.982        0.950
(in a wider terminal, and in the file: nurse · female)

Biased: the other
              accuracy
biased probe       0.7`,
  );
  assert.match(shown(100), /worst group {2}nurse · female\n/);
});

test("a report without parts has its first table", () => {
  assert.equal(
    reportText("# C\n\n| | k = 1 |\n|---|---|\n| raw | 0.5 |\n\n| TPP | n |\n|---|---|\n", 80),
    "     k = 1\nraw    0.5",
  );
});

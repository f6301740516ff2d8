// README, ARCHITECTURE and the guides: every link of theirs leads somewhere, and a guide's to what a VSIX has.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** As GitHub and VS Code make them of headings. */
function anchors(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  const words = (heading: string) => heading.toLowerCase().replace(/[^\p{L}\p{N}\- ]/gu, "");
  return new Set(headings.map((heading) => words(heading).replaceAll(" ", "-")));
}

const guides = globSync("docs/*.md", { cwd: root });
for (const file of ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", ...guides])
  test(file, () => {
    for (const [, target] of read(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target!.startsWith("https://")) continue;
      const [path, anchor] = target!.split("#") as [string, string?];
      const linked = path === "" ? file : relative(root, join(root, dirname(file), path));
      assert.ok(existsSync(join(root, linked)), `${target} leads nowhere`);
      if (anchor !== undefined) assert.ok(anchors(read(linked)).has(anchor), `${target}: no such heading`);
      if (guides.includes(file)) assert.match(linked, /^(docs|media)/, `${target} is in no VSIX, or by another name`);
    }
  });

test("every guide has a heading to be chosen by, and the README names it", () => {
  assert.ok(guides.length > 5);
  for (const guide of guides) {
    assert.match(read(guide), /^# .+\n/, guide);
    assert.ok(read("README.md").includes(`(${guide}`), `${guide} is not in the README`);
  }
});

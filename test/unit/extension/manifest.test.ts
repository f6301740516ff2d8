// The manifest and the code name the same commands, views, settings and task type.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { commands, settings, taskType, views } from "../../../src/extension/ids.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { contributes } = manifest;

test("every command of the code is contributed, and the other way round", () => {
  const contributed = contributes.commands.map(({ command }: { command: string }) => command);
  assert.deepEqual([...contributed].sort(), Object.values(commands).sort());
});

test("every command has the product's category and a title", () => {
  for (const { category, title } of contributes.commands) {
    assert.equal(category, "SAE Ensembles");
    assert.ok(title.length > 3);
  }
});

test("menus, welcome texts and walkthrough steps name only contributed commands", () => {
  const known = new Set<string>(Object.values(commands));
  const text = JSON.stringify([contributes.menus, contributes.viewsWelcome, contributes.walkthroughs]);
  const named = [...text.matchAll(/saeEnsembles\.[A-Za-z]+/g)].map(([name]) => name!);
  assert.ok(named.length > 10);
  for (const name of named) assert.ok(known.has(name) || Object.values<string>(views).includes(name), name);
});

test("views, task type and settings are contributed", () => {
  const contributed = contributes.views.saeEnsembles.map(({ id }: { id: string }) => id);
  assert.deepEqual(contributed, Object.values(views));
  assert.deepEqual(
    contributes.taskDefinitions.map(({ type }: { type: string }) => type),
    [taskType],
  );
  assert.ok(`${settings.section}.${settings.nodePath}` in contributes.configuration[0].properties);
});

test("the files that the manifest names are there", () => {
  const media = JSON.stringify(contributes).matchAll(/media\/[\w./-]+/g);
  for (const file of [...[...media].map(([name]) => name), manifest.icon as string])
    assert.ok(existsSync(join(root, file)), file);
});

test("workspace trust is limited and virtual workspaces are refused, each with its reason", () => {
  assert.equal(manifest.capabilities.untrustedWorkspaces.supported, "limited");
  assert.equal(manifest.capabilities.virtualWorkspaces.supported, false);
  assert.ok(manifest.capabilities.virtualWorkspaces.description);
});

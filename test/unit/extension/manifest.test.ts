// The manifest and the code name the same commands, views, settings and task type.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Color, hues } from "../../../src/extension/editor/palette.ts";
import {
  commands,
  contexts,
  editors,
  panels,
  pinColors,
  settings,
  taskType,
  views,
} from "../../../src/extension/ids.ts";

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
  const known = new Set<string>([...Object.values(commands), ...Object.values(panels), ...Object.values(editors)]);
  const text = JSON.stringify([contributes.menus, contributes.viewsWelcome, contributes.walkthroughs]);
  const named = [...text.matchAll(/saeEnsembles\.[A-Za-z]+/g)].map(([name]) => name!);
  assert.ok(named.length > 10);
  for (const name of [...Object.values(views), ...Object.values(contexts)]) known.add(name);
  for (const name of named) assert.ok(known.has(name), name);
});

test("the marks of pinned features have the colours of their tints", () => {
  const hex = (color: Color) => `#${color.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  const ids = contributes.colors.map(({ id }: { id: string }) => id);
  assert.deepEqual(ids, [...pinColors]);
  assert.equal(ids.length, hues.length);
  for (const [i, { darkLine, lightLine }] of hues.entries()) {
    const [dark, light] = [hex(darkLine), hex(lightLine)];
    const defaults = { dark, light, highContrast: dark, highContrastLight: light };
    assert.deepEqual(contributes.colors[i].defaults, defaults);
  }
});

test("what a row has as an icon is in its menu as well, with words", () => {
  const items = contributes.menus["view/item/context"] as { command: string; when: string; group: string }[];
  const ofRuns = items.filter(({ when }) => when.includes(views.runs));
  const [inline, worded] = [true, false].map((is) => ofRuns.filter(({ group }) => group.startsWith("inline") === is));
  for (const { command, when } of inline!)
    assert.ok(
      worded!.some((item) => item.command === command && item.when === when),
      command,
    );
});

test("editors are contributed", () => {
  const contributed = contributes.customEditors.map(({ viewType }: { viewType: string }) => viewType);
  assert.deepEqual(contributed, Object.values(editors));
});

test("a panel that comes back after a reload wakes the extension: VS Code adds no activation event for it by itself", () => {
  const events = (manifest.activationEvents as string[]).filter((event) => event.startsWith("onWebviewPanel:"));
  assert.deepEqual(
    events.sort(),
    Object.values(panels)
      .map((type) => `onWebviewPanel:${type}`)
      .sort(),
  );
  // Serializers are registered by restorePanels alone, which takes no other types.
  const registering = globSync("src/extension/**/*.ts", { cwd: root }).filter((file) =>
    readFileSync(join(root, file), "utf8").includes("registerWebviewPanelSerializer("),
  );
  assert.deepEqual(registering, [join("src", "extension", "panels", "webviewPanel.ts")]);
});

test("no welcome says that there is no run before it is known", () => {
  const welcomes = contributes.viewsWelcome as { view: string; contents: string; when?: string }[];
  const ofRuns = welcomes.filter(({ view, when }) => view === views.runs && when !== "workspaceFolderCount == 0");
  assert.ok(ofRuns.length > 1);
  for (const { when, contents } of ofRuns) assert.ok(when?.split(" && ").includes(contexts.runsListed), contents);
});

test("views, task type and settings are contributed", () => {
  const contributed = contributes.views.saeEnsembles.map(({ id }: { id: string }) => id);
  assert.deepEqual(contributed, Object.values(views));
  assert.deepEqual(
    contributes.taskDefinitions.map(({ type }: { type: string }) => type),
    [taskType],
  );
  const { section, ...names } = settings;
  const keys = contributes.configuration.flatMap(({ properties }: { properties: object }) => Object.keys(properties));
  assert.deepEqual(
    keys.sort(),
    Object.values(names)
      .map((name) => `${section}.${name}`)
      .sort(),
  );
  for (const { title } of contributes.configuration) assert.ok(title);
});

test("no folder can say which program runs, and no key of ours works outside our views", () => {
  const [{ properties }] = contributes.configuration;
  assert.equal(properties[`${settings.section}.${settings.nodePath}`].scope, "machine");
  for (const { when } of contributes.keybindings)
    assert.match(when, /(focusedView == |activeWebviewPanelId == ')saeEnsembles\./);
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

// The next-token panel's host: follows the cursor (or the token whose hover was used), passes questions on to the service, keeps the list of interventions.
import * as vscode from "vscode";
import type { FeatureName, Intervention, NextTokenCursor, ShownIntervention } from "../../protocol/inspection.ts";
import { partOf } from "../editor/fileParts.ts";
import { FollowedEditor, type Place } from "../editor/followedEditor.ts";
import { kindOf, sentPart, type TextInspector } from "../editor/textInspector.ts";
import { commands, panels } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { featureWords } from "../words.ts";
import { fillPanel, restorePanels, type Teller, tabIcon } from "./webviewPanel.ts";

const viewType = panels.nextToken;
/** Milliseconds of quiet before a moved cursor is followed. */
const quiet = 200;
const patience = 10 * 60_000;
/** Tokens of the distribution, and features of "what pushes this token". */
const shownTokens = 12;
const shownFeatures = 8;

type Line = Teller<"next-token">;

/** What a row of the service says of a feature's name. */
type NamedRow = Omit<FeatureName, "tokens"> & { readonly tokens: readonly { readonly text: string }[] };

/** The list of an ensemble, as it is kept. */
interface Kept {
  readonly interventions: ShownIntervention[];
  readonly names: FeatureName[];
}

export class NextTokenPanel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #extension: vscode.ExtensionContext;
  readonly #service: ServiceClient;
  readonly #inspector: TextInspector;
  readonly #subscriptions: vscode.Disposable[];
  /** `ready`: the page has asked for its list. */
  #open: { readonly panel: vscode.WebviewPanel; readonly line: Line; ready: boolean } | undefined;
  readonly #followed: FollowedEditor;
  #timer: NodeJS.Timeout | undefined;
  #streams = 0;
  /** Ensemble that the panel was told of last. */
  #told: string | undefined;

  constructor(extension: vscode.ExtensionContext, service: ServiceClient, inspector: TextInspector) {
    this.#extension = extension;
    this.#service = service;
    this.#inspector = inspector;
    this.#followed = new FollowedEditor(inspector);
    this.#told = inspector.ensemble;
    this.#subscriptions = [
      restorePanels(viewType, this),
      this.#followed,
      this.#followed.onMoved(() => this.#soon()),
      inspector.onChanged(() => {
        if (inspector.ensemble === this.#told) return;
        this.#told = inspector.ensemble;
        // Features of the one before are others in this one.
        this.#page?.notify("ensemble", { title: this.#title(), ...this.#kept() });
      }),
      service.on("annotationsChanged", ({ ensemble }) => {
        if (ensemble === inspector.ensemble) this.#page?.notify("annotationsChanged", {});
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.#timer);
    vscode.Disposable.from(...this.#subscriptions).dispose();
  }

  /** The line to a page that is there to hear: a hidden page is gone, and one that is loading asks for all there is to tell. */
  get #page(): Line | undefined {
    return this.#open?.ready && this.#open.panel.visible ? this.#open.line : undefined;
  }

  /** What follows the cursor of the active editor, inspected or not. */
  showHere(): void {
    this.#followed.take();
    this.#show();
  }

  /** Opens the panel beside the editor, or brings it to the front without taking the focus. */
  #show(): void {
    if (this.#open) {
      this.#open.panel.reveal(undefined, true);
      return;
    }
    const place = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    this.#fill(vscode.window.createWebviewPanel(viewType, "Next Token", place, { enableScripts: true }));
  }

  /** Opens it with one more intervention; where a place is pointed at, it says what follows there. */
  async add(features: readonly number[], kind: Intervention["kind"], value: number, place?: Place): Promise<void> {
    const ensemble = this.#ensemble();
    if (place) this.#followed.pointAt(place);
    else if (!this.#open) this.#followed.take();
    const known = features.map((feature) => this.#inspector.named(feature)).filter((row) => row !== undefined);
    await this.#learn(ensemble, known);
    const one = { features: [...features], kind, value };
    // Kept and told at once: a page that asks for its list from now on gets this one in it, and is told no more.
    const keeping = this.#keep([
      ...this.#kept().interventions,
      { ...one, flagged: false, from: "everywhere", on: true },
    ]);
    const names = this.#kept().names.filter(({ feature }) => features.includes(feature));
    this.#page?.notify("add", { ...one, names });
    await keeping;
    this.#show();
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.#fill(panel);
  }

  #kept(): Kept {
    const { ensemble } = this.#inspector;
    const { workspaceState } = this.#extension;
    return {
      interventions: workspaceState.get(`interventions ${ensemble}`, []),
      names: workspaceState.get(`intervention names ${ensemble}`, []),
    };
  }

  async #keep(interventions: readonly ShownIntervention[]): Promise<void> {
    await this.#extension.workspaceState.update(`interventions ${this.#inspector.ensemble}`, interventions);
  }

  /** Names are kept beside the list, for when nobody can be asked. */
  async #learn(ensemble: string, rows: readonly NamedRow[]): Promise<void> {
    const key = `intervention names ${ensemble}`;
    const kept = this.#extension.workspaceState.get<FeatureName[]>(key, []);
    const names = new Map(kept.map((name) => [name.feature, name]));
    for (const { feature, member, index, label, tokens } of rows)
      names.set(feature, { feature, member, index, label, tokens: tokens.slice(0, 3).map(({ text }) => ({ text })) });
    const learnt = [...names.values()];
    if (JSON.stringify(learnt) !== JSON.stringify(kept)) await this.#extension.workspaceState.update(key, learnt);
  }

  #ensemble(): string {
    const { ensemble } = this.#inspector;
    if (!ensemble) throw new Error("No ensemble is chosen: use the command “Choose Ensemble to Inspect With”.");
    return ensemble;
  }

  #title(): string {
    return this.#inspector.ensembleName ?? "no ensemble chosen";
  }

  /** The text before the cursor, or why there is none. */
  async #cursor(): Promise<NextTokenCursor> {
    const title = this.#title();
    const { document, position: cursor } = this.#followed;
    if (!document || !cursor) return { text: null, reason: "Put the cursor into a text.", title, document: "" };
    const { text, base } = sentPart(document, cursor);
    const offset = document.offsetAt(cursor) - base;
    const before = await this.#service.request("textBefore", { kind: kindOf(document), text, offset });
    const reason = before.text === null ? "Put the cursor into a cell: the model goes on from the cell's text." : "";
    return { text: before.text, reason, title, document: documentWords(document) };
  }

  async #text(): Promise<string> {
    const { text, reason } = await this.#cursor();
    if (text === null) throw new Error(reason);
    return text;
  }

  #soon(): void {
    if (!this.#open?.panel.visible) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const cursor = await this.#cursor().catch(() => undefined);
      if (cursor) this.#page?.notify("cursor", cursor);
    }, quiet);
  }

  #fill(panel: vscode.WebviewPanel): void {
    panel.iconPath = tabIcon(this.#extension.extensionUri);
    const service = this.#service;
    const page = { bundle: "next-token" as const, element: "sae-next-token", title: "Next Token" };
    const line = fillPanel(panel, this.#extension.extensionUri, page, {
      ready: async () => {
        // Without an answer to that, there still is the list.
        const cursor = await this.#cursor().catch(({ message }: Error) => ({
          text: null,
          reason: message,
          title: this.#title(),
          document: "",
        }));
        open.ready = true;
        return { ...cursor, ...this.#kept() };
      },
      nextToken: async ({ interventions }, signal) => {
        const ensemble = this.#ensemble();
        const question = { ensemble, text: await this.#text(), interventions, count: shownTokens };
        const answer = await service.request("nextToken", question, { signal, timeout: patience });
        await this.#learn(ensemble, answer.rows);
        return answer;
      },
      pushing: async ({ token }, signal) =>
        service.request(
          "pushing",
          { ensemble: this.#ensemble(), text: await this.#text(), token, count: shownFeatures },
          { signal, timeout: patience },
        ),
      generate: async ({ interventions, options }, signal) => {
        const stream = `${process.pid} ${this.#streams++}`;
        const listening = service.on("generated", ({ stream: of, ...generated }) => {
          if (of === stream) line.notify("generated", generated);
        });
        try {
          const text = await this.#text();
          return await service.request(
            "generate",
            { ensemble: this.#ensemble(), text, interventions, options, stream },
            { signal, timeout: patience },
          );
        } finally {
          listening.dispose();
        }
      },
      keep: async ({ interventions }) => {
        await this.#keep(interventions);
        return {};
      },
      choose: () => this.#choose(),
      show: async ({ feature }) => {
        await vscode.commands.executeCommand(commands.showFeature, this.#ensemble(), feature);
        return {};
      },
    });
    const open = { panel, line, ready: false };
    this.#open = open;
    panel.onDidChangeViewState(() => {
      if (!panel.visible) open.ready = false; // the page is gone, another one is loaded when it is shown again
    });
    panel.onDidDispose(() => {
      if (this.#open === open) this.#open = undefined;
    });
  }

  /** Features by their name or their tokens, those that are flagged first. */
  async #choose(): Promise<{ names: FeatureName[] } | null> {
    const ensemble = this.#ensemble();
    const { rows } = await this.#service.request("outline", { ensemble, filter: "", limit: 500 });
    const items = rows.map((row) => ({
      label: `${row.flagged ? "$(flag) " : ""}${row.member}/${row.index}`,
      description: featureWords(row),
      row,
    }));
    const chosen = await vscode.window.showQuickPick(items, {
      title: "Intervene on which features?",
      placeHolder: "A feature's name, its label or a token that fires it",
      matchOnDescription: true,
      canPickMany: true,
    });
    if (!chosen || chosen.length === 0) return null;
    const names = chosen.map(({ row }) => row);
    await this.#learn(ensemble, names);
    return { names };
  }
}

/** A document by its path in the workspace; a part of a file with which part it is. */
function documentWords({ uri }: vscode.TextDocument): string {
  const part = partOf(uri);
  const path = vscode.workspace.asRelativePath(part ? part.file : uri.with({ fragment: "" }));
  return part ? `${path} (part ${part.part} of ${part.parts})` : path;
}

// The feature browser's host: one panel an ensemble, its questions passed on to the service, restored after a reload.
import { existsSync } from "node:fs";
import * as vscode from "vscode";
import { offersModel } from "../commands/labelFeatures.ts";
import { SourceTexts } from "../editor/sourceTexts.ts";
import { commands, panels } from "../ids.ts";
import type { RunStore } from "../runStore.ts";
import type { ServiceClient } from "../serviceClient.ts";
import { ensembleWords } from "../words.ts";
import { fillPanel, restorePanels, tabIcon } from "./webviewPanel.ts";

const viewType = panels.featureBrowser;

interface Open {
  readonly panel: vscode.WebviewPanel;
  show(feature: number): void;
}

export class FeatureBrowsers implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #extension: vscode.ExtensionContext;
  readonly #service: ServiceClient;
  readonly #store: RunStore;
  readonly #sources: SourceTexts;
  readonly #open = new Map<string, Open>();
  readonly #shown = new vscode.EventEmitter<string>();
  /** An ensemble's browser came to the front. */
  readonly onShown = this.#shown.event;

  constructor(extension: vscode.ExtensionContext, service: ServiceClient, store: RunStore) {
    this.#extension = extension;
    this.#service = service;
    this.#store = store;
    this.#sources = new SourceTexts(service);
    extension.subscriptions.push(restorePanels(viewType, this), this);
  }

  /** The ensemble whose browser is in front, if one is. */
  get active(): string | undefined {
    return [...this.#open].find(([, { panel }]) => panel.active)?.[0];
  }

  dispose(): void {
    this.#sources.dispose();
    this.#shown.dispose();
  }

  /** Opens an ensemble's browser, or brings it to the front; at a feature, if one is given. */
  show(ensemble: string, feature?: number): void {
    const open = this.#open.get(ensemble);
    if (open) {
      if (feature !== undefined) open.show(feature);
      open.panel.reveal();
      return;
    }
    const panel = vscode.window.createWebviewPanel(viewType, title(ensemble), vscode.ViewColumn.Active, {
      enableScripts: true,
    });
    this.#fill(panel, ensemble, feature);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: { ensemble?: string } | undefined): Promise<void> {
    if (state?.ensemble) this.#fill(panel, state.ensemble, undefined);
    else panel.dispose();
  }

  #fill(panel: vscode.WebviewPanel, ensemble: string, feature: number | undefined): void {
    panel.title = title(ensemble);
    panel.iconPath = tabIcon(this.#extension.extensionUri);
    const service = this.#service;
    let wanted = feature;
    // Times of the index: as it was seen in the folder last, and of what the page shows (undefined: nothing, with the reason).
    let seen = this.#store.indexTime(ensemble);
    let shown: number | undefined;
    // A page that is hidden is gone: it hears nothing, and asks anew when it comes back.
    let listens = false;
    let failed = false;
    const page = { bundle: "feature-browser" as const, element: "sae-feature-browser", title: panel.title };
    const line = fillPanel(panel, this.#extension.extensionUri, page, {
      ready: async () => {
        shown = undefined;
        failed = false;
        const snapshot = await service.request("openIndex", { ensemble }).catch((error: Error) => {
          failed = true;
          throw error;
        });
        const canLabel = await offersModel();
        const open = wanted ?? null;
        wanted = undefined;
        shown = snapshot.indexTime;
        listens = panel.visible;
        return { ...snapshot, open, canLabel };
      },
      page: (params) => service.request("page", { ...params, ensemble }),
      place: (params) => service.request("place", { ...params, ensemble }),
      detail: (params) => service.request("detail", { ...params, ensemble }),
      annotate: (params) => service.request("annotate", { ...params, ensemble }),
      undo: () => service.request("undo", { ensemble }),
      tryText: (params, signal) => service.request("tryText", { ...params, ensemble }, { timeout: 120_000, signal }),
      openSource: async (question) => {
        await this.#sources.open(ensemble, question);
        return {};
      },
      openNeuronpedia: async ({ feature }) => {
        const { neuronpedia } = await service.request("detail", { ensemble, feature });
        if (neuronpedia) await vscode.env.openExternal(vscode.Uri.parse(neuronpedia, true));
        return {};
      },
      labelWithModel: async ({ features }) => {
        await vscode.commands.executeCommand(commands.labelWithModel, ensemble, features);
        return {};
      },
      buildIndex: async () => {
        await vscode.commands.executeCommand(commands.buildIndex, ensemble);
        return {};
      },
      copy: async ({ text }) => {
        await vscode.env.clipboard.writeText(text);
        return {};
      },
      close: () => {
        panel.dispose();
        return {};
      },
    });
    const show = (feature: number) => {
      if (listens) line.notify("show", { feature });
      else wanted = feature;
    };
    this.#open.set(ensemble, { panel, show });
    const changed = ({ ensemble: which }: { ensemble: string }) => {
      if (which === ensemble && this.#open.get(ensemble)?.panel === panel) line.notify("annotationsChanged", {});
    };
    const listening = vscode.Disposable.from(
      service.on("annotationsChanged", changed),
      this.#store.onChanged(() => {
        const now = this.#store.indexTime(ensemble);
        // Without an index it is being built anew; without the ensemble there is nothing to wait for.
        if (now === seen || (now === null && (this.#store.has(ensemble) || existsSync(ensemble)))) return;
        seen = now;
        if ((listens || failed) && now !== shown) line.notify("indexChanged", {});
      }),
      vscode.lm.onDidChangeChatModels(async () => {
        const canLabel = await offersModel();
        if (this.#open.get(ensemble)?.panel === panel) line.notify("canLabelChanged", { canLabel });
      }),
    );
    panel.onDidChangeViewState(() => {
      if (!panel.visible) {
        listens = false;
        failed = false;
      }
      if (panel.active) this.#shown.fire(ensemble);
    });
    panel.onDidDispose(() => {
      listening.dispose();
      this.#open.delete(ensemble);
    });
    this.#shown.fire(ensemble);
  }
}

function title(ensemble: string): string {
  return `Features: ${ensembleWords(ensemble)}`;
}

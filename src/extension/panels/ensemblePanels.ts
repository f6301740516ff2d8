// Panels of which an ensemble has one each: opened or brought to the front, restored after a reload, told of changed flags. What they answer is each kind's own.
import * as vscode from "vscode";
import type { PanelType } from "../ids.ts";
import type { ServiceClient } from "../serviceClient.ts";
import type { Pages } from "../talk.ts";
import { ensembleWords } from "../words.ts";
import { type Answers, fillPanel, restorePanels, type Teller, tabIcon } from "./webviewPanel.ts";

export interface EnsemblePanelKind<B extends keyof Pages> {
  readonly viewType: PanelType;
  /** Bundle under dist/webview, without .js. */
  readonly bundle: B;
  /** Custom element that fills the page. */
  readonly element: string;
  /** What the title begins with. */
  readonly title: string;
}

/** One open panel, as its kind fills it. */
export interface EnsemblePanel<B extends keyof Pages> {
  readonly ensemble: string;
  /** Shows the page and answers what it asks. */
  answer(answers: Answers<B>): Teller<B>;
  /** Ends with the panel: long work that nobody waits for is cancelled. */
  until(signal: AbortSignal): AbortSignal;
  /** Listens to the service until the panel is gone. */
  readonly on: ServiceClient["on"];
  /** To do when the panel is closed. */
  whenGone(work: () => void): void;
}

export class EnsemblePanels<B extends keyof Pages> implements vscode.WebviewPanelSerializer {
  readonly #extension: vscode.ExtensionContext;
  readonly #service: ServiceClient;
  readonly #kind: EnsemblePanelKind<B>;
  readonly #fill: (panel: EnsemblePanel<B>) => void;
  readonly #open = new Map<string, vscode.WebviewPanel>();

  constructor(
    extension: vscode.ExtensionContext,
    service: ServiceClient,
    kind: EnsemblePanelKind<B>,
    fill: (panel: EnsemblePanel<B>) => void,
  ) {
    this.#extension = extension;
    this.#service = service;
    this.#kind = kind;
    this.#fill = fill;
    extension.subscriptions.push(restorePanels(kind.viewType, this));
  }

  show(ensemble: string): void {
    const open = this.#open.get(ensemble);
    if (open) open.reveal();
    else
      this.#create(
        vscode.window.createWebviewPanel(this.#kind.viewType, this.#kind.title, vscode.ViewColumn.Active),
        ensemble,
      );
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: { ensemble?: string } | undefined): Promise<void> {
    if (state?.ensemble) this.#create(panel, state.ensemble);
    else panel.dispose();
  }

  #create(panel: vscode.WebviewPanel, ensemble: string): void {
    const { bundle, element, title } = this.#kind;
    panel.title = `${title}: ${ensembleWords(ensemble)}`;
    panel.iconPath = tabIcon(this.#extension.extensionUri);
    const page = { bundle, element, title: panel.title };
    const gone = new AbortController();
    const listening: vscode.Disposable[] = [];
    this.#open.set(ensemble, panel);
    panel.onDidDispose(() => {
      gone.abort();
      vscode.Disposable.from(...listening).dispose();
      if (this.#open.get(ensemble) === panel) this.#open.delete(ensemble);
    });
    this.#fill({
      ensemble,
      answer: (answers) => fillPanel(panel, this.#extension.extensionUri, page, answers),
      until: (signal) => AbortSignal.any([signal, gone.signal]),
      on: (name, listener) => {
        const disposable = this.#service.on(name, listener);
        listening.push(disposable);
        return disposable;
      },
      whenGone: (work) => gone.signal.addEventListener("abort", work),
    });
  }
}

// "Label with Language Model": features labelled by the model that the editor offers, asked for explicitly, with what is sent shown first. What is asked and how answers are scored is src/features/labelling.ts.
import * as vscode from "vscode";
import type { ServiceClient } from "../serviceClient.ts";
import type { FeatureNode } from "../trees/featuresTree.ts";
import type { Parts } from "./register.ts";

/** Most features of one request: two questions each, which a person should be able to read over. */
const mostFeatures = 50;
/** Most characters of a model's answer that are read. */
const longestAnswer = 4000;

/** Whether the editor offers a language model at all. Asks for no consent. */
export async function offersModel(): Promise<boolean> {
  try {
    return (await vscode.lm.selectChatModels()).length > 0;
  } catch {
    return false;
  }
}

/** Of the rows selected in the Features view, or (from the browser) of an ensemble's features by id. */
export async function labelWithModel(
  { service }: Parts,
  target?: FeatureNode | string,
  chosen?: readonly FeatureNode[] | readonly number[],
): Promise<void> {
  const { ensemble, features } = selection(target, chosen);
  if (!ensemble || features.length === 0) {
    void vscode.window.showInformationMessage("Select features in the Features view or in the feature browser first.");
    return;
  }
  if (features.length > mostFeatures)
    throw new Error(`${features.length} features are selected; at most ${mostFeatures} are labelled at once.`);
  const model = await chooseModel();
  if (!model) return;
  const questions = await service.request("labelQuestions", { ensemble, features });
  const asked = questions.filter(({ label }) => label !== null);
  if (asked.length === 0)
    throw new Error("The index has no passage in which these features fire, so there is nothing to label them by.");
  const shown = await showWhatIsSent(model, asked);
  try {
    const answer = await vscode.window.showInformationMessage(
      `Send this to ${model.name}?`,
      {
        modal: true,
        detail: `${asked.length === 1 ? "One feature" : `${asked.length} features`}: passages of your text go to ${model.vendor}, once to ask for a label and once to test it. The document behind this dialog shows them whole.`,
      },
      "Send",
    );
    if (answer !== "Send") return;
  } finally {
    // Back to where the features were chosen.
    await shown.close();
  }
  await labelAll(service, ensemble, asked, model);
}

const scheme = "sae-ensembles-sent";

/** The whole of what a model would be sent, as a document that nobody has to save. */
async function showWhatIsSent(
  model: vscode.LanguageModelChat,
  asked: readonly Question[],
): Promise<{ close(): Promise<void> }> {
  const content = whatIsSent(model, asked);
  const provider = vscode.workspace.registerTextDocumentContentProvider(scheme, {
    provideTextDocumentContent: () => content,
  });
  const uri = vscode.Uri.from({ scheme, path: `/What is sent to ${model.name.replaceAll("/", " ")}.md` });
  await vscode.window.showTextDocument(uri, { preview: true });
  return {
    close: async () => {
      const tabs = vscode.window.tabGroups.all
        .flatMap((group) => group.tabs)
        .filter(({ input }) => input instanceof vscode.TabInputText && input.uri.scheme === scheme);
      await vscode.window.tabGroups.close(tabs);
      provider.dispose();
    },
  };
}

type Question = { feature: number; name: string; label: string | null; detection: string | null };

async function labelAll(
  service: ServiceClient,
  ensemble: string,
  questions: readonly Question[],
  model: vscode.LanguageModelChat,
): Promise<void> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    cancellable: true,
    title: `Labels by ${model.name}`,
  };
  const results: string[] = [];
  const failures: string[] = [];
  await vscode.window.withProgress(options, async (progress, token) => {
    for (const { feature, name, label: question } of questions) {
      if (token.isCancellationRequested) return;
      progress.report({ message: `feature ${name}`, increment: 100 / questions.length });
      try {
        const { label, detection } = await service.request("labelAnswer", {
          ensemble,
          feature,
          answer: await ask(model, question!, token),
        });
        const tested = detection === null ? null : await ask(model, detection, token);
        const scored = await service.request("labelScore", {
          ensemble,
          feature,
          label,
          answer: tested,
          model: model.name,
        });
        results.push(`${name}: ${label} (${scored.detection === null ? "not scored" : scored.detection.toFixed(2)})`);
      } catch (error) {
        if (token.isCancellationRequested) return;
        // What concerns the model as a whole (no consent, no quota) would only be said again and again.
        if (error instanceof vscode.LanguageModelError) throw error;
        failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  });
  if (failures.length > 0)
    void vscode.window.showWarningMessage(
      `Without a label: ${failures.slice(0, 5).join("; ")}${failures.length > 5 ? " …" : ""}`,
    );
  if (results.length > 0)
    void vscode.window.showInformationMessage(
      `Detection on held-out passages, where 1 is perfect and 0.5 is chance: ${results.slice(0, 5).join("; ")}${results.length > 5 ? " …" : ""}`,
    );
}

async function ask(
  model: vscode.LanguageModelChat,
  question: string,
  token: vscode.CancellationToken,
): Promise<string> {
  const response = await model.sendRequest([vscode.LanguageModelChatMessage.User(question)], {}, token);
  let text = "";
  for await (const part of response.text) {
    text += part;
    if (text.length > longestAnswer) break;
  }
  return text;
}

async function chooseModel(): Promise<vscode.LanguageModelChat | undefined> {
  const models = await vscode.lm.selectChatModels();
  if (models.length === 0) {
    void vscode.window.showInformationMessage(
      "This editor offers no language model. An extension that does (GitHub Copilot, for one) makes labels by a model possible; a label of your own needs none.",
    );
    return undefined;
  }
  if (models.length === 1) return models[0];
  const items = models.map((model) => ({ label: model.name, description: `${model.vendor} · ${model.family}`, model }));
  return (await vscode.window.showQuickPick(items, { title: "Which language model gives the labels?" }))?.model;
}

function whatIsSent(model: vscode.LanguageModelChat, questions: readonly Question[]): string {
  const parts = questions.map(({ name, label, detection }) => {
    const test = detection ?? "(no test: the index has too few held-out passages of this feature)";
    return `## Feature ${name}\n\n### The question for a label\n\n${fenced(label!)}\n\n### The test of the label\n\n${fenced(test)}`;
  });
  return `# What is sent to ${model.name} (${model.vendor})\n\nNothing has been sent yet.\n\n${parts.join("\n\n")}\n`;
}

function fenced(text: string): string {
  const fence = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  return `${fence}text\n${text}\n${fence}`;
}

function selection(
  target: FeatureNode | string | undefined,
  chosen: readonly FeatureNode[] | readonly number[] | undefined,
): { ensemble: string | undefined; features: number[] } {
  if (typeof target === "string") return { ensemble: target, features: [...((chosen ?? []) as readonly number[])] };
  const nodes = ((chosen as readonly FeatureNode[] | undefined) ?? (target ? [target] : [])).filter(
    (node) => node.kind === "feature",
  );
  return { ensemble: nodes[0]?.ensemble, features: nodes.map(({ row }) => row.feature) };
}

// Questions in the bar above the editors: one of a list, or a line of text, with a Back button where another question was before (inTurn.ts).
import * as vscode from "vscode";
import { GoBack } from "./inTurn.ts";

export interface Choice<T extends string = string> extends vscode.QuickPickItem {
  readonly value: T;
}

/** One of a list, by its value; undefined where nothing was chosen. */
export async function choose<const T extends string>(
  title: string,
  items: readonly Choice<T>[],
  hasBack = false,
): Promise<T | undefined> {
  const pick = vscode.window.createQuickPick<Choice<T>>();
  Object.assign(pick, { title, items });
  return answerTo(pick, hasBack, () => pick.selectedItems[0]?.value);
}

/** A line of text. `wrong`: what is to be said of one that can't be taken. */
export async function enter(
  question: { title: string; prompt: string; value?: string },
  wrong: (value: string) => string | undefined,
  hasBack = false,
): Promise<string | undefined> {
  const input = vscode.window.createInputBox();
  Object.assign(input, question);
  const check = () => {
    input.validationMessage = wrong(input.value);
    return input.validationMessage === undefined;
  };
  input.onDidChangeValue(check);
  return answerTo(input, hasBack, () => (check() ? input.value : undefined));
}

function answerTo<T>(
  input: vscode.QuickPick<Choice> | vscode.InputBox,
  hasBack: boolean,
  read: () => T | undefined,
): Promise<T | undefined> {
  input.ignoreFocusOut = true;
  if (hasBack) input.buttons = [vscode.QuickInputButtons.Back];
  return new Promise<T | undefined>((resolve, reject) => {
    input.onDidTriggerButton(() => reject(new GoBack()));
    input.onDidAccept(() => {
      const answer = read();
      if (answer !== undefined) resolve(answer);
    });
    input.onDidHide(() => resolve(undefined));
    input.show();
  }).finally(() => input.dispose());
}

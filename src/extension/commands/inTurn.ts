// Questions asked one after the other, with a way back to the one before.

/** What a question throws where somebody wants to go back. */
export class GoBack extends Error {}

/** Asks in turn; going back asks the one before anew, and at the first is left to whoever asks us. Whether all were answered (not with undefined). */
export async function inTurn(...questions: readonly (() => Promise<unknown>)[]): Promise<boolean> {
  for (let at = 0; at < questions.length; ) {
    try {
      if ((await questions[at]!()) === undefined) return false;
      at++;
    } catch (error) {
      if (!(error instanceof GoBack) || at === 0) throw error;
      at--;
    }
  }
  return true;
}

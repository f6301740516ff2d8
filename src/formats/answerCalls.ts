// The other end of childCalls.ts, in the process that is asked: answers calls in their order, and ends with whoever started it.
import type { CallReply, CallRequest } from "./childCalls.ts";
import { LargeReceiver, sendLarge } from "./largeMessages.ts";

/** `inWords`: an error as it is to be shown. `warnings`: what has come up for people since the last answer. */
export function answerCalls<Call>(
  answer: (call: Call) => Promise<unknown>,
  { inWords, warnings }: { readonly inWords: (error: unknown) => string; readonly warnings?: () => readonly string[] },
): void {
  const receiver = new LargeReceiver();
  let sending: Promise<unknown> = Promise.resolve();
  process.on("message", async (message) => {
    const request = receiver.receive(message) as CallRequest<Call> | undefined;
    if (!request) return;
    const { id, call } = request;
    let reply: CallReply;
    try {
      reply = { id, result: await answer(call), warnings: warnings?.() ?? [] };
    } catch (error) {
      reply = { id, error: inWords(error) };
    }
    sending = sending.then(() => sendLarge(send, reply)).catch(() => process.exit(1));
  });
  // Nobody wants anything any more.
  process.on("disconnect", () => process.exit(0));
}

function send(message: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

// The other end of childCalls.ts, in the process that is asked: answers calls in their order, and ends with whoever started it.
import { Socket } from "node:net";
import { type CallReply, type CallRequest, CHANNEL } from "./childCalls.ts";
import { MessageChannel } from "./messageChannel.ts";

/** `inWords`: an error as it is to be shown. `warnings`: what has come up for people since the last answer. */
export function answerCalls<Call>(
  answer: (call: Call) => Promise<unknown>,
  { inWords, warnings }: { readonly inWords: (error: unknown) => string; readonly warnings?: () => readonly string[] },
): void {
  const channel = new MessageChannel(new Socket({ fd: CHANNEL, readable: true, writable: true }), {
    message: async (message) => {
      const { id, call } = message as CallRequest<Call>;
      let reply: CallReply;
      try {
        reply = { id, result: await answer(call), warnings: warnings?.() ?? [] };
      } catch (error) {
        reply = { id, error: inWords(error) };
      }
      channel.send(reply).catch(() => process.exit(1));
    },
    // Nobody wants anything any more.
    end: () => process.exit(0),
  });
}

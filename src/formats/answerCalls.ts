// The other end of childCalls.ts, in the process that is asked: answers calls in their order, and ends with whoever started it.
import { Socket } from "node:net";
import { type CallReply, type CallRequest, CHANNEL } from "./childCalls.ts";
import { MessageChannel } from "./messageChannel.ts";

/** Bytes read at once. */
const READ = 2 ** 20;

/** `inWords`: an error as it is to be shown. `warnings`: what has come up for people since the last answer. */
export function answerCalls<Call>(
  answer: (call: Call) => Promise<unknown>,
  { inWords, warnings }: { readonly inWords: (error: unknown) => string; readonly warnings?: () => readonly string[] },
): void {
  const reply = async ({ id, call }: CallRequest<Call>): Promise<void> => {
    try {
      await channel.send({ id, result: await answer(call), warnings: warnings?.() ?? [] } satisfies CallReply);
    } catch (error) {
      await channel.send({ id, error: inWords(error) } satisfies CallReply);
    }
  };
  const socket = new Socket({
    fd: CHANNEL,
    readable: true,
    writable: true,
    onread: {
      buffer: new Uint8Array(READ),
      callback: (bytes, buffer) => {
        channel.take(buffer.subarray(0, bytes));
        return true;
      },
    },
  });
  const channel: MessageChannel = new MessageChannel(socket, {
    message: (message) => void reply(message as CallRequest<Call>).catch(() => process.exit(1)),
    end: (why) => {
      if (why) console.error(String(why));
      // Nobody wants anything any more.
      process.exit(why ? 1 : 0);
    },
  });
}

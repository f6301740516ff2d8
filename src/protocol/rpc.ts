// Requests and notifications between two processes or a host and its webview: a typed layer over vscode-jsonrpc that checks both sides' messages and never waits for ever.
import { CancellationTokenSource, type MessageConnection, ResponseError } from "vscode-jsonrpc";
import type { z } from "zod";

/** What one side may ask the other: by name, the schemas of parameters and result, and of notifications' contents. */
export interface Contract {
  readonly requests: Readonly<Record<string, { readonly params: z.ZodType; readonly result: z.ZodType }>>;
  readonly notifications: Readonly<Record<string, z.ZodType>>;
}

type Requests<C extends Contract> = C["requests"];
export type Params<C extends Contract, K extends keyof Requests<C>> = z.infer<Requests<C>[K]["params"]>;
export type Result<C extends Contract, K extends keyof Requests<C>> = z.infer<Requests<C>[K]["result"]>;

/** One answer for every request of a contract. */
export type Handlers<C extends Contract> = {
  [K in keyof Requests<C>]: (params: Params<C, K>, signal: AbortSignal) => Promise<Result<C, K>> | Result<C, K>;
};

const invalidParams = -32602;
const failed = -32000;

/**
 * Answers a contract's requests. A handler's error travels as its message, a ResponseError with its code as well, however
 * often it is passed on; wrong parameters never reach a handler.
 */
export function answer<C extends Contract>(connection: MessageConnection, contract: C, handlers: Handlers<C>): void {
  for (const [name, { params: schema }] of Object.entries(contract.requests)) {
    connection.onRequest(name, async (raw: unknown, token) => {
      const params = schema.safeParse(raw);
      if (!params.success) return new ResponseError(invalidParams, `${name}: ${params.error.message}`);
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      try {
        const handler = handlers[name as keyof Requests<C>] as (params: unknown, signal: AbortSignal) => unknown;
        return await handler(params.data, abort.signal);
      } catch (error) {
        if (error instanceof ResponseError) return error;
        return new ResponseError(failed, error instanceof Error ? error.message : String(error));
      }
    });
  }
}

export interface RequestOptions {
  /** Milliseconds; 30,000 unless told. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/**
 * Asks the other side. Rejects with its error's message, on a time-out (and cancels over there), when the connection
 * closes, or when the answer is not of the contract's shape.
 */
export async function request<C extends Contract, K extends keyof Requests<C> & string>(
  connection: MessageConnection,
  contract: C,
  name: K,
  params: Params<C, K>,
  { timeout = 30_000, signal }: RequestOptions = {},
): Promise<Result<C, K>> {
  const cancel = new CancellationTokenSource();
  const timer = Promise.withResolvers<never>();
  const clock = setTimeout(() => {
    timer.reject(new Error(`${name} had no answer within ${timeout / 1000} s`));
    cancel.cancel();
  }, timeout);
  const abort = () => {
    timer.reject(new DOMException(`${name} was cancelled`, "AbortError"));
    cancel.cancel();
  };
  signal?.addEventListener("abort", abort, { once: true });
  const closed = connection.onClose(() => timer.reject(new Error(`${name}: the other side has closed`)));
  try {
    const raw = await Promise.race([connection.sendRequest(name, params, cancel.token), timer.promise]);
    const schema = contract.requests[name]?.result;
    const result = schema?.safeParse(raw);
    if (!result?.success) throw new Error(`${name} was answered in an unknown form: ${result?.error.message}`);
    return result.data as Result<C, K>;
  } finally {
    clearTimeout(clock);
    signal?.removeEventListener("abort", abort);
    closed.dispose();
    cancel.dispose();
  }
}

/** Tells the other side. */
export function notify<C extends Contract, K extends keyof C["notifications"] & string>(
  connection: MessageConnection,
  _contract: C,
  name: K,
  content: z.infer<C["notifications"][K]>,
): void {
  void connection.sendNotification(name, content);
}

/** Listens to a notification; contents of another shape are dropped. Returns a function that stops listening. */
export function onNotification<C extends Contract, K extends keyof C["notifications"] & string>(
  connection: MessageConnection,
  contract: C,
  name: K,
  listener: (content: z.infer<C["notifications"][K]>) => void,
): () => void {
  const disposable = connection.onNotification(name, (raw: unknown) => {
    const content = contract.notifications[name]?.safeParse(raw);
    if (content?.success) listener(content.data as z.infer<C["notifications"][K]>);
  });
  return () => disposable.dispose();
}

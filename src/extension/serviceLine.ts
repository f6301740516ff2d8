// The line to a running service: JSON-RPC over its standard input and output, with both sides' messages checked. Loaded with the first message (talk.ts).
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import { onNotification, type Params, type RequestOptions, type Result, request } from "../protocol/rpc.ts";
import { type ServiceEvents, service, serviceClient } from "../protocol/service.ts";

type Service = typeof service;

export class ServiceLine {
  readonly #connection;

  /** `heard` is called with every event of the service, `failed` with what goes wrong on the line itself. */
  constructor(
    child: ChildProcessWithoutNullStreams,
    heard: (name: keyof ServiceEvents, content: unknown) => void,
    failed: (error: Error) => void,
  ) {
    this.#connection = createMessageConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    this.#connection.onError(([error]) => failed(error));
    for (const name of Object.keys(serviceClient.notifications) as (keyof ServiceEvents)[])
      onNotification(this.#connection, serviceClient, name, (content) => heard(name, content));
    this.#connection.listen();
  }

  request<K extends keyof Service["requests"] & string>(
    name: K,
    params: Params<Service, K>,
    options?: RequestOptions,
  ): Promise<Result<Service, K>> {
    return request(this.#connection, service, name, params, options);
  }

  dispose(): void {
    this.#connection.dispose();
  }
}

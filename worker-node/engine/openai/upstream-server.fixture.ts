import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { z } from "zod";
import type { Sampling } from "../../../core/wire/task-input.ts";
import { UnknownTokenError } from "../unknown-token-error.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import type { UpstreamModel } from "./upstream-model.fixture.ts";

/** What a server does wrong, from the event of that number on. */
export interface Fault {
  after: number;
  what: "cut" | "garbage" | "strange" | "silence" | "error event";
}

/** What a test does with a server that runs. */
export class UpstreamServer {
  readonly model: UpstreamModel;
  /** Paths that it does not have. */
  readonly missing = new Set<string>();
  /** How often each path was asked. */
  readonly asked = new Map<string, number>();
  key: string | undefined;
  /** Every question is answered with this status. */
  status: number | undefined;
  fault: Fault | undefined;
  /** Answers under way. */
  running = 0;
  readonly #server: Server;
  readonly #routes: Routes;

  private constructor(model: UpstreamModel, routes: Routes) {
    this.model = model;
    this.#routes = routes;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** A server of this model with the shapes that `routes` give it, on a free port of this machine. */
  static async start(model: UpstreamModel, routes: Routes): Promise<UpstreamServer> {
    const server = new UpstreamServer(model, routes);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): URL {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return new URL(`http://127.0.0.1:${address.port}/v1`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.model.dispose();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
    const route = this.missing.has(path) ? undefined : this.#routes[path];
    try {
      const body = await readJson(request);
      if (this.key !== undefined && request.headers.authorization !== `Bearer ${this.key}`) {
        return answer(response, 401, { error: { message: "Invalid API Key" } });
      }
      if (this.status !== undefined) return answer(response, this.status, { error: { message: "out of order" } });
      if (route === undefined) return answer(response, 404, { error: { message: "File Not Found" } });
      const exchange = new Exchange(this, response);
      const whole = await route(body, exchange);
      if (whole !== undefined) answer(response, 200, whole);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const isAsked = [UnknownTokenError, UnsupportedTaskError, z.ZodError].some((kind) => error instanceof kind);
      if (response.headersSent) response.destroy();
      else answer(response, isAsked ? 400 : 500, { error: { message } });
    }
  }
}

/** Gives the answer's JSON, or `undefined` where the answer was streamed. */
type Route = (body: unknown, exchange: Exchange) => unknown;
export type Routes = Readonly<Record<string, Route>>;

/** One request under way. */
export class Exchange {
  readonly model: UpstreamModel;
  readonly signal: AbortSignal;
  readonly #server: UpstreamServer;
  readonly #response: ServerResponse;
  #events = 0;
  #isBroken = false;

  constructor(server: UpstreamServer, response: ServerResponse) {
    const controller = new AbortController();
    response.on("close", () => controller.abort());
    this.signal = controller.signal;
    this.model = server.model;
    this.#server = server;
    this.#response = response;
  }

  event(value: unknown): void {
    const response = this.#response;
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
    if (this.#isBroken) return;
    const { fault } = this.#server;
    this.#isBroken = fault !== undefined && this.#events >= fault.after;
    this.#events += 1;
    if (fault === undefined || !this.#isBroken) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      response.write(`: a comment\r\ndata: ${text}\r\n\r\n`);
      return;
    }
    if (fault.what === "cut") response.destroy();
    if (fault.what === "garbage") response.write("data: {not JSON\n\n");
    if (fault.what === "strange") response.write('data: {"answer": 42}\n\n');
    if (fault.what === "error event") response.write('data: {"error": {"code": 500, "message": "out of memory"}}\n\n');
  }

  /** A silent server does not end its answer either. */
  end(): void {
    if (!this.#isBroken || this.#server.fault?.what !== "silence") this.#response.end();
  }

  /** Runs `action` as one of the answers under way. */
  async work<T>(action: () => Promise<T>): Promise<T> {
    this.#server.running += 1;
    try {
      return await action();
    } finally {
      this.#server.running -= 1;
    }
  }
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? undefined : JSON.parse(text);
}

/** What both servers call by the same names. */
export const samplingFields = {
  seed: z.int(),
  temperature: z.number().default(1),
  top_p: z.number().default(1),
  frequency_penalty: z.number().default(0),
  presence_penalty: z.number().default(0),
};

export function samplingOf(
  body: z.infer<z.ZodObject<typeof samplingFields>>,
  rest: Pick<Sampling, "maxTokens" | "logitBias" | "logprobs">,
): Sampling {
  const { maxTokens, logitBias, logprobs } = rest;
  return {
    seed: body.seed,
    temperature: body.temperature,
    topP: body.top_p,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    stop: [],
    maxTokens,
    ...(logitBias === undefined ? {} : { logitBias }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

const inputSchema = z.object({ input: z.array(z.union([z.string(), z.array(z.int())])) });

/** `/v1/embeddings`, which both have alike; without it the model is one for chats. */
export async function embeddings(body: unknown, { model }: Exchange): Promise<unknown> {
  if (model.engine.kind === "chat") throw new Error("This server does not support embeddings");
  const vectors = await model.embed(inputSchema.parse(body).input);
  return { data: vectors.map((embedding, index) => ({ index, embedding, object: "embedding" })) };
}

import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { WatchedFetch } from "./watched-fetch.ts";

/** Of one hop, and not to be passed on (RFC 9110, 7.6.1); `fetch` counts and unpacks bodies itself. */
const hopHeaders = ["connection", "host", "content-length", "transfer-encoding", "content-encoding", "accept-encoding"];

/** A server before a router, for clients that take no `fetch`: what it passes on is watched. */
export class WatchedProxy {
  readonly #server: Server;
  readonly #origin: string;
  readonly #watched: WatchedFetch;

  private constructor(origin: string, watched: WatchedFetch) {
    this.#origin = origin;
    this.#watched = watched;
    this.#server = createServer((request, response) => void this.#pass(request, response));
  }

  /** Starts one on a free port of this machine; `origin` is the router's, without a path. */
  static async start(origin: string, watched: WatchedFetch): Promise<WatchedProxy> {
    const proxy = new WatchedProxy(origin, watched);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** With `/v1`, as clients want it. */
  get baseUrl(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return `http://127.0.0.1:${address.port}/v1`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const { method = "GET", url = "/" } = request;
      const answer = await this.#watched.fetch(`${this.#origin}${url}`, {
        method,
        headers: passedOn(request.headers),
        ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
      });
      const headers = [...answer.headers].filter(([name]) => !hopHeaders.includes(name));
      response.writeHead(answer.status, Object.fromEntries(headers));
      if (answer.body === null) response.end();
      else await pipeline(Readable.fromWeb(answer.body), response);
    } catch (error) {
      this.#watched.problems.push(`the proxy could not pass on ${request.url}: ${String(error)}`);
      response.destroy();
    }
  }
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || hopHeaders.includes(name) ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
    ),
  );
}

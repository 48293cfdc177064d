import { DurableObject } from "cloudflare:workers";
import type { EchoPieces } from "../router/echo-pieces.ts";

/**
 * The floor: the least that workerd can do for a request that goes to a node. Worker → PoolObject → NodeObject → socket
 * and back, as data or as a stream of bytes that the node has made ready; no keys, no checks, no record. The objects
 * bear the product's names, so that the same configuration serves them.
 */
interface EchoEnv {
  POOL: DurableObjectNamespace<PoolObject>;
  NODE: DurableObjectNamespace<NodeObject>;
}

let turn = 0;
const encoder = new TextEncoder();

export class PoolObject extends DurableObject<EchoEnv> {
  claim(nodes: number): string {
    turn = (turn + 1) % nodes;
    return `node-${turn}`;
  }
}

export class NodeObject extends DurableObject<EchoEnv> {
  #next = 0;
  readonly #waiting = new Map<number, (text: string) => void>();
  readonly #streams = new Map<number, WritableStreamDefaultWriter<Uint8Array>>();

  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  run(text: string): Promise<string> {
    const id = this.#next++;
    this.ctx.getWebSockets()[0]?.send(`${id} ${text}`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  stream(text: string): ReadableStream<Uint8Array> {
    const id = this.#next++;
    const { readable, writable } = new IdentityTransformStream();
    this.#streams.set(id, writable.getWriter());
    this.ctx.getWebSockets()[0]?.send(`${id} ${text}`);
    return readable;
  }

  override async webSocketMessage(_socket: WebSocket, message: string): Promise<void> {
    if (message.startsWith("[")) return this.#passOn(JSON.parse(message));
    const space = message.indexOf(" ");
    const id = Number(message.slice(0, space));
    this.#waiting.get(id)?.(message.slice(space + 1));
    this.#waiting.delete(id);
  }

  #passOn(pieces: EchoPieces): void {
    for (const [id, text, isLast] of pieces) {
      const writer = this.#streams.get(id);
      // A reader who has left ends his own stream alone.
      writer?.write(encoder.encode(text)).catch(() => this.#streams.delete(id));
      if (!isLast) continue;
      writer?.close().catch(() => undefined);
      this.#streams.delete(id);
    }
  }
}

export class AccountObject extends DurableObject<EchoEnv> {}
export class StatusObject extends DurableObject<EchoEnv> {}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const node = (name: string) => env.NODE.get(env.NODE.idFromName(name));
    if (pathname === "/connect") return node(searchParams.get("node") ?? "").fetch(request);
    const text = await request.text();
    const name = await env.POOL.get(env.POOL.idFromName("pool")).claim(4);
    if (!text.includes('"stream":true')) return new Response(await node(name).run(text));
    const headers = { "content-type": "text/event-stream; charset=utf-8" };
    return new Response(await node(name).stream(text), { headers });
  },
} satisfies ExportedHandler<EchoEnv>;

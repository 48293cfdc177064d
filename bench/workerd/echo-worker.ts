import { DurableObject } from "cloudflare:workers";

/**
 * The floor: the least that workerd can do for a request that goes to a node. Worker → PoolObject → NodeObject → socket
 * and back, as data; no keys, no checks, no record. The objects bear the product's names, so that the same
 * configuration serves them.
 */
interface EchoEnv {
  POOL: DurableObjectNamespace<PoolObject>;
  NODE: DurableObjectNamespace<NodeObject>;
}

let turn = 0;

export class PoolObject extends DurableObject<EchoEnv> {
  claim(nodes: number): string {
    turn = (turn + 1) % nodes;
    return `node-${turn}`;
  }
}

export class NodeObject extends DurableObject<EchoEnv> {
  #next = 0;
  readonly #waiting = new Map<number, (text: string) => void>();

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

  override async webSocketMessage(_socket: WebSocket, message: string): Promise<void> {
    const space = message.indexOf(" ");
    const id = Number(message.slice(0, space));
    this.#waiting.get(id)?.(message.slice(space + 1));
    this.#waiting.delete(id);
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
    return new Response(await node(name).run(text));
  },
} satisfies ExportedHandler<EchoEnv>;

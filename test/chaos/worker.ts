import type { Env } from "../../edge/env.ts";
import product, {
  AccountObject as ProductAccountObject,
  NodeObject as ProductNodeObject,
  PoolObject as ProductPoolObject,
  ResponseObject as ProductResponseObject,
  SessionObject as ProductSessionObject,
  StatusObject as ProductStatusObject,
} from "../../edge/worker.ts";

/**
 * The product's Worker and objects, with one door more by which a test resets an object. It is bundled for chaos tests
 * alone, so that the product has no such door.
 */
const reason = "reset by a chaos test";

/**
 * `ctx.abort` is what a deployment does to an object: memory gone, sockets and requests in flight broken, storage kept.
 * Waiting for what is in flight, as an orderly eviction does, would prove nothing in the midst of a stream.
 */
export class NodeObject extends ProductNodeObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

export class PoolObject extends ProductPoolObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

export class AccountObject extends ProductAccountObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

export class ResponseObject extends ProductResponseObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

export class SessionObject extends ProductSessionObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

export class StatusObject extends ProductStatusObject {
  abortNow(): void {
    this.ctx.abort(reason);
  }
}

interface ChaosEnv extends Env {
  NODE: DurableObjectNamespace<NodeObject>;
  POOL: DurableObjectNamespace<PoolObject>;
  ACCOUNT: DurableObjectNamespace<AccountObject>;
  STATUS: DurableObjectNamespace<StatusObject>;
  RESPONSE: DurableObjectNamespace<ResponseObject>;
  SESSION: DurableObjectNamespace<SessionObject>;
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    return url.pathname === "/chaos/abort" ? abort(request, url, env) : product.fetch(request, env, ctx);
  },
} satisfies ExportedHandler<ChaosEnv>;

/** `POST /chaos/abort?object=NODE|POOL|ACCOUNT|STATUS|RESPONSE|SESSION&name=…` resets the object of that name. */
async function abort(request: Request, url: URL, env: ChaosEnv): Promise<Response> {
  const name = url.searchParams.get("name");
  if (request.method !== "POST" || name === null) return new Response("POST, with a name", { status: 400 });
  const objects: Readonly<Record<string, () => Promise<void>>> = {
    NODE: () => env.NODE.get(env.NODE.idFromName(name)).abortNow(),
    POOL: () => env.POOL.get(env.POOL.idFromName(name)).abortNow(),
    ACCOUNT: () => env.ACCOUNT.get(env.ACCOUNT.idFromName(name)).abortNow(),
    STATUS: () => env.STATUS.get(env.STATUS.idFromName(name)).abortNow(),
    SESSION: () => env.SESSION.get(env.SESSION.idFromName(name)).abortNow(),
    RESPONSE: () => env.RESPONSE.get(env.RESPONSE.idFromName(name)).abortNow(),
  };
  const abortIt = objects[url.searchParams.get("object") ?? ""];
  if (abortIt === undefined) return new Response("no such kind of object", { status: 400 });
  try {
    await abortIt();
  } catch (error) {
    // The call is broken by the very reset it asked for; that is how one knows that it came about.
    if (String(error).includes(reason)) return new Response("reset");
    return new Response(String(error), { status: 500 });
  }
  return new Response("the object lives on", { status: 500 });
}

import type { Env } from "../../edge/env.ts";
import product, {
  AccountObject as ProductAccountObject,
  NodeObject as ProductNodeObject,
  PoolObject as ProductPoolObject,
  ResponseObject as ProductResponseObject,
  SessionObject as ProductSessionObject,
  StatusObject as ProductStatusObject,
} from "../../edge/worker.ts";
import { countsPath } from "../router/counts.ts";
import { countingEnv, countStorage, counts, framesOf, resetCounts } from "./counting.ts";

/**
 * The product's Worker and objects with everything counted that Cloudflare prices. It is bundled for the bench alone,
 * so that the product has no such door.
 */
export class NodeObject extends ProductNodeObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    counts.messagesIn += 1;
    counts.framesIn += framesOf(message);
    await super.webSocketMessage(socket, message);
  }

  override async alarm(): Promise<void> {
    counts.alarmsRung += 1;
    await super.alarm();
  }
}

export class PoolObject extends ProductPoolObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }

  override async alarm(): Promise<void> {
    counts.alarmsRung += 1;
    await super.alarm();
  }
}

export class AccountObject extends ProductAccountObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }

  override async alarm(): Promise<void> {
    counts.alarmsRung += 1;
    await super.alarm();
  }
}

export class ResponseObject extends ProductResponseObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }

  override async alarm(): Promise<void> {
    counts.alarmsRung += 1;
    await super.alarm();
  }
}

export class SessionObject extends ProductSessionObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }

  override async alarm(): Promise<void> {
    counts.alarmsRung += 1;
    await super.alarm();
  }
}

export class StatusObject extends ProductStatusObject {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countingEnv(env, "objectCalls"));
  }
}

const { send } = WebSocket.prototype;
WebSocket.prototype.send = function (this: WebSocket, message): void {
  counts.messagesOut += 1;
  if (typeof message === "string") counts.framesOut += framesOf(message);
  send.call(this, message);
};

/** One for all requests, since the Worker remembers things by it. */
let env: Env | undefined;

export default {
  fetch(request, given, context): Response | Promise<Response> {
    if (new URL(request.url).pathname === countsPath) {
      if (request.method === "POST") resetCounts();
      return Response.json(counts);
    }
    env ??= countingEnv(given, "workerCalls");
    return product.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;

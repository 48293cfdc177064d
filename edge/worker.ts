import { createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { serveHot } from "./hot-routes.ts";

export { AccountObject } from "./objects/account-object.ts";
export { AuditObject } from "./objects/audit-object.ts";
export { NodeObject } from "./objects/node-object.ts";
export { PoolObject } from "./objects/pool-object.ts";
export { ResponseObject } from "./objects/response-object.ts";
export { SessionObject } from "./objects/session-object.ts";
export { StatusObject } from "./objects/status-object.ts";

const app = createApp();

export default {
  fetch: (request, env, context) => serveHot(request, env, context) ?? app.fetch(request, env, context),
} satisfies ExportedHandler<Env>;

import { Hono } from "hono";
import { cors } from "hono/cors";
import { randomText } from "../core/ids.ts";
import { Refusal } from "../core/refusal.ts";
import { connectPath } from "../core/wire/protocol.ts";
import { messageErrorResponse } from "./anthropic/message-errors.ts";
import type { AppEnv } from "./app-env.ts";
import { homePage } from "./dashboard/home-page.ts";
import { drainBody } from "./drain-body.ts";
import { requireSettings } from "./env.ts";
import { errorResponse, toRefusal } from "./errors.ts";
import { listModels } from "./model-directory.ts";
import { docsPage } from "./openapi/docs-page.ts";
import { openApiDocument } from "./openapi/document.ts";
import { deleteInvite, deleteKey, getInvites, getKeys, postInvite, postKey } from "./routes/admin-secrets.ts";
import { deleteSuspension, getSuspensions } from "./routes/admin-suspensions.ts";
import { getTrace } from "./routes/admin-trace.ts";
import { cancelBatch, getBatch, getBatches, postBatch } from "./routes/batches.ts";
import { connectNode } from "./routes/connect.ts";
import { deleteFile, getFile, getFileContent, getFiles, postFile } from "./routes/files.ts";
import { getHealth } from "./routes/health.ts";
import { getModel, getModels } from "./routes/models.ts";
import { getVerdicts, postAppeal } from "./routes/node-verdicts.ts";
import { getNode } from "./routes/nodes.ts";
import { cancelResponse, deleteResponse, getInputItems, getResponse } from "./routes/responses.ts";

const methodsOf: Readonly<Record<string, readonly string[]>> = {
  "/v1/chat/completions": ["POST"],
  "/v1/completions": ["POST"],
  "/v1/embeddings": ["POST"],
  "/v1/responses": ["POST"],
  "/v1/files": ["GET", "POST"],
  "/v1/batches": ["GET", "POST"],
  "/v1/messages": ["POST"],
  "/v1/messages/count_tokens": ["POST"],
  "/v1/models": ["GET"],
  "/v1/admin/keys": ["GET", "POST"],
  "/v1/admin/invites": ["GET", "POST"],
  "/v1/admin/suspensions": ["GET"],
  "/v1/admin/trace": ["GET"],
  "/openapi.json": ["GET"],
  "/docs": ["GET"],
  "/healthz": ["GET"],
  "/": ["GET"],
};

/** The same for paths with an id in them. */
const methodsOfPattern: readonly (readonly [pattern: RegExp, methods: readonly string[]])[] = [
  [/^\/v1\/models\/.+$/, ["GET"]],
  [/^\/v1\/nodes\/[^/]+$/, ["GET"]],
  [/^\/v1\/nodes\/[^/]+\/verdicts$/, ["GET"]],
  [/^\/v1\/nodes\/[^/]+\/appeals$/, ["POST"]],
  [/^\/v1\/admin\/suspensions\/[^/]+$/, ["DELETE"]],
  [/^\/v1\/responses\/[^/]+$/, ["GET", "DELETE"]],
  [/^\/v1\/responses\/[^/]+\/cancel$/, ["POST"]],
  [/^\/v1\/responses\/[^/]+\/input_items$/, ["GET"]],
  [/^\/v1\/files\/[^/]+$/, ["GET", "DELETE"]],
  [/^\/v1\/files\/[^/]+\/content$/, ["GET"]],
  [/^\/v1\/batches\/[^/]+$/, ["GET"]],
  [/^\/v1\/batches\/[^/]+\/cancel$/, ["POST"]],
  [/^\/v1\/admin\/(keys|invites)\/[^/]+$/, ["DELETE"]],
];

/** Response headers that a browser's script may read. */
export const exposedHeaders = ["x-request-id", "retry-after"];

/** Everything the router answers but its busiest routes, which `hot-routes.ts` serves without it. */
export function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(async (context, next) => {
    const requestId = `req_${randomText(20)}`;
    context.set("requestId", requestId);
    await next();
    if (context.res.status >= 400) await drainBody(context.req.raw);
    // A WebSocket's 101 has headers that cannot be changed.
    if (context.res.status !== 101) context.header("x-request-id", requestId);
  });
  const allowAll = cors({
    origin: "*",
    allowHeaders: ["*", "Authorization", "Content-Type"],
    allowMethods: ["GET", "POST", "DELETE", "OPTIONS"],
    exposeHeaders: exposedHeaders,
    maxAge: 86_400,
  });
  app.use((context, next) => (context.req.path === connectPath ? next() : allowAll(context, next)));
  app.use("/v1/*", async (context, next) => {
    requireSettings(context.env);
    await next();
  });

  app.get("/v1/models", getModels);
  app.get("/v1/models/:id{.+}", getModel);

  app.get("/v1/responses/:id", getResponse);
  app.delete("/v1/responses/:id", deleteResponse);
  app.post("/v1/responses/:id/cancel", cancelResponse);
  app.get("/v1/responses/:id/input_items", getInputItems);

  app.post("/v1/files", postFile);
  app.get("/v1/files", getFiles);
  app.get("/v1/files/:id", getFile);
  app.delete("/v1/files/:id", deleteFile);
  app.get("/v1/files/:id/content", getFileContent);

  app.post("/v1/batches", postBatch);
  app.get("/v1/batches", getBatches);
  app.get("/v1/batches/:id", getBatch);
  app.post("/v1/batches/:id/cancel", cancelBatch);

  app.get(connectPath, connectNode);
  app.get("/v1/nodes/:id", getNode);
  app.get("/v1/nodes/:id/verdicts", getVerdicts);
  app.post("/v1/nodes/:id/appeals", postAppeal);

  app.post("/v1/admin/keys", postKey);
  app.get("/v1/admin/keys", getKeys);
  app.delete("/v1/admin/keys/:id", deleteKey);
  app.post("/v1/admin/invites", postInvite);
  app.get("/v1/admin/invites", getInvites);
  app.delete("/v1/admin/invites/:id", deleteInvite);

  app.get("/v1/admin/suspensions", getSuspensions);
  app.delete("/v1/admin/suspensions/:id", deleteSuspension);
  app.get("/v1/admin/trace", getTrace);

  app.get("/openapi.json", (context) => context.json(openApiDocument(new URL(context.req.url).origin)));
  app.get("/docs", (context) => context.html(docsPage()));
  app.get("/healthz", getHealth);
  app.get("/", async (context) =>
    context.html(homePage({ models: await listModels(context.env), origin: new URL(context.req.url).origin })),
  );

  app.notFound((context) => {
    const { method, path } = context.req;
    const allowed = methodsOf[path] ?? methodsOfPattern.find(([pattern]) => pattern.test(path))?.[1];
    const refusal =
      allowed === undefined
        ? new Refusal({ code: "not_found", message: `There is nothing at ${method} ${path.slice(0, 200)}.` })
        : new Refusal({
            code: "method_not_allowed",
            message: `${path} takes ${allowed.join(" and ")}, not ${method}.`,
          });
    const requestId = context.get("requestId");
    const response = path.startsWith("/v1/messages")
      ? messageErrorResponse(refusal, { requestId, headers: {} })
      : errorResponse(refusal);
    if (allowed !== undefined) response.headers.set("allow", allowed.join(", "));
    return response;
  });
  app.onError((error, context) => errorResponse(toRefusal(error, context.get("requestId"))));
  return app;
}

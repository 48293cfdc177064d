import { randomText } from "../core/ids.ts";
import { exposedHeaders } from "./app.ts";
import { drainBody } from "./drain-body.ts";
import { type Env, requireSettings } from "./env.ts";
import { errorResponse, toRefusal } from "./errors.ts";
import { type ServeContext, serveChat, serveCompletions, serveEmbeddings } from "./serve.ts";

type Serve = (request: Request, context: ServeContext) => Promise<Response>;

/** Routes on which a router spends its life. */
const hotRoutes: Readonly<Record<string, Serve>> = {
  "/v1/chat/completions": serveChat,
  "/v1/completions": serveCompletions,
  "/v1/embeddings": serveEmbeddings,
};

/**
 * The answer to a POST on one of the busiest routes, or `undefined` where it is none of them. These skip the app's
 * router and middlewares, which cost as much as a third of a short request; what callers see is the same.
 */
export function serveHot(request: Request, env: Env, context: ExecutionContext): Promise<Response> | undefined {
  if (request.method !== "POST") return undefined;
  const serve = hotRoutes[pathOf(request.url)];
  return serve === undefined ? undefined : answer(serve, request, env, context);
}

async function answer(serve: Serve, request: Request, env: Env, context: ExecutionContext): Promise<Response> {
  const requestId = `req_${randomText(20)}`;
  const headers = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": exposedHeaders.join(","),
    "x-request-id": requestId,
  };
  try {
    requireSettings(env);
    const waitUntil = (promise: Promise<unknown>) => context.waitUntil(promise);
    return await serve(request, { env, requestId, headers, waitUntil });
  } catch (error) {
    const response = errorResponse(toRefusal(error, requestId), headers);
    await drainBody(request);
    return response;
  }
}

/** The path of an absolute URL without its query; the platform's `URL` costs more than the search. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return start === -1 ? "/" : url.slice(start, end === -1 ? undefined : end);
}

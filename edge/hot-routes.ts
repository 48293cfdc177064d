import { randomText } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";
import type { ServeContext } from "./admit.ts";
import { messageErrorResponse } from "./anthropic/message-errors.ts";
import { serveCountTokens, serveMessages } from "./anthropic/serve-messages.ts";
import { exposedHeaders } from "./app.ts";
import { drainBody } from "./drain-body.ts";
import { type Env, requireSettings } from "./env.ts";
import { errorResponse, toRefusal } from "./errors.ts";
import { serveResponses } from "./responses/serve-responses.ts";
import { serveChat, serveCompletions, serveEmbeddings } from "./serve.ts";

interface Route {
  serve: (request: Request, context: ServeContext) => Promise<Response>;
  /** A refusal in the words of the route's API. */
  refuse: (refusal: Refusal, context: Pick<ServeContext, "requestId" | "headers">) => Response;
}

const openAI = (serve: Route["serve"]): Route => ({
  serve,
  refuse: (refusal, { headers }) => errorResponse(refusal, headers),
});
const anthropic = (serve: Route["serve"]): Route => ({ serve, refuse: messageErrorResponse });

/** Routes on which a router spends its life. */
const hotRoutes: Readonly<Record<string, Route>> = {
  "/v1/chat/completions": openAI(serveChat),
  "/v1/completions": openAI(serveCompletions),
  "/v1/embeddings": openAI(serveEmbeddings),
  "/v1/responses": openAI(serveResponses),
  "/v1/messages": anthropic(serveMessages),
  "/v1/messages/count_tokens": anthropic(serveCountTokens),
};

/**
 * The answer to a POST on one of the busiest routes, or `undefined` where it is none of them. These skip the app's
 * router and middlewares, which cost as much as a third of a short request; what callers see is the same.
 */
export function serveHot(request: Request, env: Env, context: ExecutionContext): Promise<Response> | undefined {
  if (request.method !== "POST") return undefined;
  const route = hotRoutes[pathOf(request.url)];
  return route === undefined ? undefined : answer(route, request, env, context);
}

async function answer(
  { serve, refuse }: Route,
  request: Request,
  env: Env,
  context: ExecutionContext,
): Promise<Response> {
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
    const response = refuse(toRefusal(error, requestId), { requestId, headers });
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

import { randomText } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";
import { type Asked, askedBy, type ServeContext } from "./admit.ts";
import { messageErrorResponse } from "./anthropic/message-errors.ts";
import { answerCountTokens, answerMessages } from "./anthropic/serve-messages.ts";
import { exposedHeaders } from "./app.ts";
import { authenticate } from "./authenticate.ts";
import { drainBody } from "./drain-body.ts";
import { type Env, requireSettings } from "./env.ts";
import { errorResponse, toRefusal } from "./errors.ts";
import { readJson } from "./read-body.ts";
import { answerResponses } from "./responses/serve-responses.ts";
import { answerChat, answerCompletions, answerEmbeddings } from "./serve.ts";

interface Route {
  answer: (body: unknown, asked: Asked) => Promise<Response>;
  /** A refusal in the words of the route's API. */
  refuse: (refusal: Refusal, context: Pick<ServeContext, "requestId" | "headers">) => Response;
}

const openAI = (answer: Route["answer"]): Route => ({
  answer,
  refuse: (refusal, { headers }) => errorResponse(refusal, headers),
});
const anthropic = (answer: Route["answer"]): Route => ({ answer, refuse: messageErrorResponse });

/** Routes on which a router spends its life. */
const hotRoutes: Readonly<Record<string, Route>> = {
  "/v1/chat/completions": openAI(answerChat),
  "/v1/completions": openAI(answerCompletions),
  "/v1/embeddings": openAI(answerEmbeddings),
  "/v1/responses": openAI(answerResponses),
  "/v1/messages": anthropic(answerMessages),
  "/v1/messages/count_tokens": anthropic(answerCountTokens),
};

/**
 * The answer to a POST on one of the busiest routes, or `undefined` where it is none of them. These skip the app's
 * router and middlewares, which cost as much as a third of a short request; what callers see is the same.
 */
export function serveHot(request: Request, env: Env, context: ExecutionContext): Promise<Response> | undefined {
  if (request.method !== "POST") return undefined;
  const route = hotRoutes[pathOf(request.url)];
  return route === undefined ? undefined : serve(route, request, env, context);
}

async function serve(
  { answer, refuse }: Route,
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
    const principal = await authenticate(request, env);
    return await answer(await readJson(request), askedBy(request, { env, requestId, headers, waitUntil }, principal));
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

import { conversationKey } from "../../core/node-pool/conversation-key.ts";
import { admit, findModelOf, type ServeContext } from "../admit.ts";
import { AnswerReader } from "../answer-reader.ts";
import { authenticate } from "../authenticate.ts";
import { readJson } from "../read-body.ts";
import { streamedMessage, wholeMessage } from "./message-answer.ts";
import { parseCountRequest, parseMessageRequest } from "./message-request.ts";

/** One request in Anthropic's words. */
export async function serveMessages(request: Request, context: ServeContext): Promise<Response> {
  const principal = await authenticate(request, context.env);
  const order = parseMessageRequest(await readJson(request));
  const model = await findModelOf("chat", order.model, context.env);
  const { input } = order;
  const affinity = conversationKey({ accountId: principal.accountId, messages: input.messages });
  const run = admit({ request, context, principal, model, input, affinity, isWhole: !order.isStream });
  await run.begin();
  const reader = new AnswerReader(run, { input });
  const { headers, requestId } = context;
  return order.isStream
    ? streamedMessage(reader, { model, requestId, headers })
    : wholeMessage(reader, { model, headers });
}

/** How many tokens such a request's prompt has: a node counts them when it takes the task, which is then called off. */
export async function serveCountTokens(request: Request, context: ServeContext): Promise<Response> {
  const principal = await authenticate(request, context.env);
  const order = parseCountRequest(await readJson(request));
  const model = await findModelOf("chat", order.model, context.env);
  const run = admit({ request, context, principal, model, input: order.input, affinity: null, isWhole: true });
  await run.begin();
  const inputTokens = run.promptTokens;
  run.cancel();
  return Response.json({ input_tokens: inputTokens }, { headers: context.headers });
}

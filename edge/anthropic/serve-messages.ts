import { conversationKey } from "../../core/node-pool/conversation-key.ts";
import { type Asked, admit, findModelOf } from "../admit.ts";
import { AnswerReader } from "../answer-reader.ts";
import { streamedMessage, wholeMessage } from "./message-answer.ts";
import { parseCountRequest, parseMessageRequest } from "./message-request.ts";

/** One request in Anthropic's words. */
export async function answerMessages(body: unknown, asked: Asked): Promise<Response> {
  const order = parseMessageRequest(body);
  const model = await findModelOf("chat", order.model, asked.env);
  const { input } = order;
  const affinity = conversationKey({ accountId: asked.principal.accountId, messages: input.messages });
  const run = admit({ asked, model, input, affinity, isWhole: !order.isStream, wishes: order });
  await run.begin();
  const reader = new AnswerReader(run, { input });
  const { headers, requestId } = asked;
  return order.isStream
    ? streamedMessage(reader, { model, requestId, headers })
    : wholeMessage(reader, { model, headers });
}

/** How many tokens such a request's prompt has: a node counts them when it takes the task, which is then called off. */
export async function answerCountTokens(body: unknown, asked: Asked): Promise<Response> {
  const order = parseCountRequest(body);
  const model = await findModelOf("chat", order.model, asked.env);
  const run = admit({
    asked,
    model,
    input: order.input,
    affinity: null,
    isWhole: true,
    wishes: { trust: "single", wantsEvidence: false },
  });
  await run.begin();
  const inputTokens = run.promptTokens;
  run.cancel();
  return Response.json({ input_tokens: inputTokens }, { headers: asked.headers });
}

import { conversationKey } from "../core/node-pool/conversation-key.ts";
import { Refusal } from "../core/refusal.ts";
import { type Asked, admit, findModelOf } from "./admit.ts";
import { AnswerReader } from "./answer-reader.ts";
import type { ServedModel } from "./objects/status-object.ts";
import { streamedChatAnswer, wholeChatAnswer } from "./openai/chat-answer.ts";
import { parseChatRequest } from "./openai/chat-request.ts";
import { streamedCompletion, wholeCompletion } from "./openai/completion-answer.ts";
import { parseCompletionRequest } from "./openai/completion-request.ts";
import { embeddingAnswer } from "./openai/embedding-answer.ts";
import { parseEmbeddingRequest } from "./openai/embedding-request.ts";
import { joinChoices } from "./openai/join-choices.ts";
import { ofChoice } from "./openai/sampling.ts";

/** One chat request's life, from key to last token. */
export async function answerChat(body: unknown, asked: Asked): Promise<Response> {
  const order = parseChatRequest(body);
  const model = await findModelOf("chat", order.model, asked.env);
  const { input } = order;
  const affinity = conversationKey({ accountId: asked.principal.accountId, messages: input.messages });
  const task = { asked, model, affinity, isWhole: !order.isStream, wishes: order };
  const readers = Array.from({ length: order.choices }, (_, choice) => {
    const own = choice === 0 ? input : { ...input, sampling: ofChoice(input.sampling, choice) };
    return new AnswerReader(admit({ ...task, input: own }), { input: own });
  });
  await joinChoices(readers, (reader) => reader.run.begin());
  return order.isStream
    ? streamedChatAnswer(readers, { model, order, requestId: asked.requestId, headers: asked.headers })
    : wholeChatAnswer(readers, { model, order, headers: asked.headers });
}

/** One text completion's life; each prompt and choice of it is a task. */
export async function answerCompletions(body: unknown, asked: Asked): Promise<Response> {
  const order = parseCompletionRequest(body);
  const model = await findModelOf("chat", order.model, asked.env);
  const task = { asked, model, affinity: null, isWhole: !order.isStream, wishes: order };
  const readers = order.inputs.map((input) => new AnswerReader(admit({ ...task, input }), { input }));
  await joinChoices(readers, (reader) => reader.run.begin());
  return order.isStream
    ? streamedCompletion(readers, { model, order, requestId: asked.requestId, headers: asked.headers })
    : wholeCompletion(readers, { model, order, headers: asked.headers });
}

/** One embedding request's life. */
export async function answerEmbeddings(body: unknown, asked: Asked): Promise<Response> {
  const order = parseEmbeddingRequest(body);
  const model = await findModelOf("embedding", order.model, asked.env);
  refuseOtherDimensions(order.dimensions, model);
  const run = admit({ asked, model, input: order.input, affinity: null, isWhole: true, wishes: order });
  await run.begin();
  return embeddingAnswer(run, { model, order, headers: asked.headers });
}

function refuseOtherDimensions(dimensions: number | undefined, model: ServedModel): void {
  if (dimensions === undefined || dimensions === model.card.dimensions) return;
  throw new Refusal({
    code: "invalid_value",
    param: "dimensions",
    message: `${model.id} makes vectors of ${model.card.dimensions} dimensions and no others. Leave 'dimensions' out.`,
  });
}

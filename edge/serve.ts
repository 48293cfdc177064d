import { conversationKey } from "../core/node-pool/conversation-key.ts";
import { Refusal } from "../core/refusal.ts";
import { admit, findModelOf, type ServeContext } from "./admit.ts";
import { AnswerReader } from "./answer-reader.ts";
import { authenticate } from "./authenticate.ts";
import type { ServedModel } from "./objects/status-object.ts";
import { streamedChatAnswer, wholeChatAnswer } from "./openai/chat-answer.ts";
import { parseChatRequest } from "./openai/chat-request.ts";
import { streamedCompletion, wholeCompletion } from "./openai/completion-answer.ts";
import { parseCompletionRequest } from "./openai/completion-request.ts";
import { embeddingAnswer } from "./openai/embedding-answer.ts";
import { parseEmbeddingRequest } from "./openai/embedding-request.ts";
import { joinChoices } from "./openai/join-choices.ts";
import { ofChoice } from "./openai/sampling.ts";
import { readJson } from "./read-body.ts";

/** One chat request's life, from key to last token. */
export async function serveChat(request: Request, context: ServeContext): Promise<Response> {
  const principal = await authenticate(request, context.env);
  const order = parseChatRequest(await readJson(request));
  const model = await findModelOf("chat", order.model, context.env);
  const { input } = order;
  const affinity = conversationKey({ accountId: principal.accountId, messages: input.messages });
  const task = { request, context, principal, model, affinity, isWhole: !order.isStream };
  const readers = Array.from({ length: order.choices }, (_, choice) => {
    const own = choice === 0 ? input : { ...input, sampling: ofChoice(input.sampling, choice) };
    return new AnswerReader(admit({ ...task, input: own }), { input: own });
  });
  await joinChoices(readers, (reader) => reader.run.begin());
  return order.isStream
    ? streamedChatAnswer(readers, { model, order, requestId: context.requestId, headers: context.headers })
    : wholeChatAnswer(readers, { model, order, headers: context.headers });
}

/** One text completion's life; each prompt and choice of it is a task. */
export async function serveCompletions(request: Request, context: ServeContext): Promise<Response> {
  const principal = await authenticate(request, context.env);
  const order = parseCompletionRequest(await readJson(request));
  const model = await findModelOf("chat", order.model, context.env);
  const task = { request, context, principal, model, affinity: null, isWhole: !order.isStream };
  const readers = order.inputs.map((input) => new AnswerReader(admit({ ...task, input }), { input }));
  await joinChoices(readers, (reader) => reader.run.begin());
  return order.isStream
    ? streamedCompletion(readers, { model, order, requestId: context.requestId, headers: context.headers })
    : wholeCompletion(readers, { model, order, headers: context.headers });
}

/** One embedding request's life. */
export async function serveEmbeddings(request: Request, context: ServeContext): Promise<Response> {
  const principal = await authenticate(request, context.env);
  const order = parseEmbeddingRequest(await readJson(request));
  const model = await findModelOf("embedding", order.model, context.env);
  refuseOtherDimensions(order.dimensions, model);
  const run = admit({ request, context, principal, model, input: order.input, affinity: null, isWhole: true });
  await run.begin();
  return embeddingAnswer(run, { model, order, headers: context.headers });
}

function refuseOtherDimensions(dimensions: number | undefined, model: ServedModel): void {
  if (dimensions === undefined || dimensions === model.card.dimensions) return;
  throw new Refusal({
    code: "invalid_value",
    param: "dimensions",
    message: `${model.id} makes vectors of ${model.card.dimensions} dimensions and no others. Leave 'dimensions' out.`,
  });
}

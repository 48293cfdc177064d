import { randomText } from "../../core/ids.ts";
import { conversationKey } from "../../core/node-pool/conversation-key.ts";
import { Refusal } from "../../core/refusal.ts";
import type { ChatInput, ChatMessage } from "../../core/wire/task-input.ts";
import { type Asked, admit, findModelOf, type ServeContext } from "../admit.ts";
import { type AnswerPiece, AnswerReader } from "../answer-reader.ts";
import { askAgain } from "../ask-again.ts";
import type { Principal } from "../authenticate.ts";
import type { Env } from "../env.ts";
import { errorBody, toRefusal } from "../errors.ts";
import type { StoredResponse } from "../objects/response-object.ts";
import { networkOf } from "../openai/answer-fields.ts";
import { sseResponse } from "../sse.ts";
import type { TrustPolicy } from "../trust/trust-policy.ts";
import {
  answerTurn,
  endedBody,
  itemIdOf,
  openBody,
  outputOf,
  ownerOf,
  type ResponseBody,
  type ResponseHead,
} from "./response-body.ts";
import { ResponseEvents } from "./response-events.ts";
import { listedItem, parseItems, refuseLooseResults, turnsOf, type WholeItem } from "./response-items.ts";
import { inputOf, parseResponseRequest, type ResponseOrder } from "./response-request.ts";

/** A response's making: who asks for what, after which turns. */
interface Making {
  head: ResponseHead;
  order: ResponseOrder;
  principal: Principal;
  items: readonly WholeItem[];
  turns: readonly ChatMessage[];
  input: ChatInput;
  /** The policy that the request named, wherever it did. */
  trust: TrustPolicy | undefined;
}

/** `POST /v1/responses`: whole, streamed, or in the background. */
export async function answerResponses(body: unknown, asked: Asked): Promise<Response> {
  const { env, headers, principal } = asked;
  const order = parseResponseRequest(body);
  const model = await findModelOf("chat", order.model, env);
  const [before, items] = await Promise.all([turnsBefore(order, principal, env), wholeItems(order, principal, env)]);
  const turns = [...before, ...turnsOf(items)];
  refuseLooseResults(turns);
  const input = inputOf(order, turns);
  const head = { id: `resp_${randomText(26)}`, createdAtMs: Date.now(), model: model.id, echo: order.echo };
  const trust = order.trust ?? asked.trust;
  const making: Making = { head, order, principal, items, turns, input, trust };
  if (order.isBackground) {
    const body = openBody(head, "queued");
    await save(making, { body, said: [] }, env);
    return Response.json(body, { headers });
  }
  const affinity = conversationKey({ accountId: principal.accountId, messages: input.messages });
  const run = admit({ asked, model, input, affinity, isWhole: !order.isStream, wishes: order });
  await run.begin();
  const reader = new AnswerReader(run, { input });
  return order.isStream ? streamed(reader, making, asked) : whole(reader, making, asked);
}

async function whole(reader: AnswerReader, making: Making, { env, headers }: ServeContext): Promise<Response> {
  const answer = await reader.whole();
  const output = outputOf(making.head.id, answer);
  const body = endedBody(making.head, { output, end: answer, network: networkOf([reader.run]) });
  if (making.order.isStored) await save(making, { body, said: [answerTurn(answer)] }, env);
  return Response.json(body, { headers });
}

/** Events as they come; the last goes out once the response is kept, so that who reads it can go on from it. */
function streamed(reader: AnswerReader, making: Making, { env, headers, requestId }: ServeContext): Response {
  const events = new ResponseEvents(making.head);
  return sseResponse(
    async (write) => {
      write(events.start());
      try {
        for (
          let pieces: AnswerPiece[] | undefined = reader.ready();
          pieces !== undefined;
          pieces = await reader.next()
        ) {
          const text = events.of(pieces);
          if (text !== "") write(text);
          if (events.end === undefined) continue;
          const { output, answer, end } = events;
          const body = endedBody(making.head, { output, end, network: networkOf([reader.run]) });
          const said = answerTurn({ ...answer, ...end, logprobs: [] });
          if (making.order.isStored) await save(making, { body, said: [said] }, env);
          write(events.last(body));
          return;
        }
      } catch (error) {
        const { code, message, param } = errorBody(toRefusal(error, requestId)).error;
        write(events.error({ code, message, param }));
      }
    },
    { onGone: () => reader.run.cancel(), headers },
  );
}

/** Keeps a response; one that is yet to be worked on is begun by its object. */
async function save(
  { head, order, principal, items, turns, input, trust }: Making,
  { body, said }: { body: ResponseBody; said: readonly ChatMessage[] },
  env: Env,
): Promise<void> {
  const inputItems = items.map((item, place) => listedItem(item, itemIdOf("msg", head.id, 1_000 + place)));
  const stored: StoredResponse = { body, inputItems, turns: [...turns, ...said] };
  const wishes = { wantsEvidence: order.wantsEvidence, ...(trust === undefined ? {} : { trust }) };
  const work = order.isBackground ? { principal, head: { ...head, echo: { ...head.echo } }, input, wishes } : undefined;
  await askAgain(() => responseStub(env, head.id).save(principal.accountId, stored, work));
}

async function turnsBefore(order: ResponseOrder, principal: Principal, env: Env): Promise<readonly ChatMessage[]> {
  const id = order.previousResponseId;
  if (id === null) return [];
  const stored = await readResponse(id, principal, env, "previous_response_id");
  if (["completed", "incomplete"].includes(stored.body.status)) return stored.turns;
  throw new Refusal({
    code: "invalid_value",
    param: "previous_response_id",
    message: `The response ${id} is ${stored.body.status}. Go on from one that is completed.`,
  });
}

/** The items of an order with those in the place of references that they name. */
async function wholeItems(order: ResponseOrder, principal: Principal, env: Env): Promise<WholeItem[]> {
  const read = new Map<string, Promise<StoredResponse>>();
  return Promise.all(
    order.items.map(async (item, place) => {
      if (item.type !== "item_reference") return item;
      const param = `input[${place}].id`;
      const owner = ownerOf(item.id);
      const stored = owner && (read.get(owner.responseId) ?? readResponse(owner.responseId, principal, env, param));
      if (owner !== undefined && stored !== undefined) read.set(owner.responseId, stored);
      const found = (await stored)?.body.output;
      const named = Array.isArray(found) ? found[owner?.place ?? -1] : undefined;
      const [whole] = named === undefined ? [] : parseItems([named]);
      if (whole !== undefined) return whole;
      throw new Refusal({
        code: "response_not_found",
        param,
        message: `There is no item ${item.id.slice(0, 100)} here.`,
      });
    }),
  );
}

/** The response of this id, or a refusal `response_not_found`: also where another account has it. */
export async function readResponse(
  id: string,
  { accountId }: Principal,
  env: Env,
  param?: string,
): Promise<StoredResponse> {
  const stored = /^resp_[0-9a-z]{8,64}$/.test(id)
    ? await askAgain<StoredResponse | undefined>(() => responseStub(env, id).read(accountId))
    : undefined;
  if (stored !== undefined) return stored;
  throw notFound(id, param);
}

export function notFound(id: string, param?: string): Refusal {
  return new Refusal({
    code: "response_not_found",
    param,
    message: `There is no response ${id.slice(0, 100)} here. Responses are kept for 30 days, unless 'store' is false.`,
  });
}

export function responseStub(env: Env, id: string) {
  return env.RESPONSE.get(env.RESPONSE.idFromName(id));
}

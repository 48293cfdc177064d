import type { Logprob } from "../../core/wire/node-frame.ts";
import type { ChatMessage } from "../../core/wire/task-input.ts";
import type { AnswerEnd, WholeAnswer } from "../answer-reader.ts";
import { tokenLogprob } from "../openai/answer-fields.ts";

/** A `response` object, of which only this much is looked at here. */
export type ResponseBody = Readonly<Record<string, unknown>> & { id: string; status: string };

/** What every form of one response has: who it is, and what was asked. */
export interface ResponseHead {
  id: string;
  createdAtMs: number;
  model: string;
  echo: Readonly<Record<string, unknown>>;
}

/** Ids of a response's own items hold the response's, so that an item can be found by its id alone. */
export const itemIdOf = (prefix: "msg" | "fc", responseId: string, place: number): string =>
  `${prefix}_${responseId.replace(/^resp_/, "")}_${place}`;

/** The response of such an item, and the item's place in its output; `undefined` for any other id. */
export function ownerOf(itemId: string): { responseId: string; place: number } | undefined {
  const [, rest, place] = /^(?:msg|fc)_([0-9a-z]{8,64})_([0-9]{1,4})$/.exec(itemId) ?? [];
  return rest === undefined ? undefined : { responseId: `resp_${rest}`, place: Number(place) };
}

/** A response that is not over. */
export function openBody(
  { id, createdAtMs, model, echo }: ResponseHead,
  status: "queued" | "in_progress",
): ResponseBody {
  return {
    ...{ id, object: "response", created_at: Math.floor(createdAtMs / 1_000), completed_at: null, status },
    ...{ error: null, incomplete_details: null, model, output: [] },
    ...echo,
  };
}

/** A response that is over, however it ended. */
export function endedBody(
  head: ResponseHead,
  { output, end, network }: { output: readonly object[]; end: Omit<AnswerEnd, "type">; network: object },
): ResponseBody {
  const isCut = end.finishReason === "length";
  return {
    ...openBody(head, "in_progress"),
    status: isCut ? "incomplete" : "completed",
    completed_at: isCut ? null : Math.floor(Date.now() / 1_000),
    incomplete_details: isCut ? { reason: "max_output_tokens" } : null,
    output,
    usage: {
      input_tokens: end.promptTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: end.completionTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: end.promptTokens + end.completionTokens,
    },
    network,
  };
}

/** A response that came to nothing. */
export function failedBody(head: ResponseHead, message: string): ResponseBody {
  return { ...openBody(head, "in_progress"), status: "failed", error: { code: "server_error", message } };
}

/** A message of the assistant's. */
export function messageItem(
  id: string,
  { text, logprobs, status }: { text: string; logprobs: readonly Logprob[]; status: string },
): object {
  return { id, type: "message", role: "assistant", status, content: [textPart(text, logprobs)] };
}

export function textPart(text: string, logprobs: readonly Logprob[]): object {
  return { type: "output_text", text, annotations: [], logprobs: logprobs.map(toLogprob) };
}

export function toLogprob(each: Logprob): object {
  return { ...tokenLogprob(each), top_logprobs: each.top.map(tokenLogprob) };
}

export function callItem(
  id: string,
  { callId, name, json, status }: { callId: string; name: string; json: string; status: string },
): object {
  return { id, type: "function_call", call_id: callId, name, arguments: json, status };
}

/** The output items of a whole answer. One that the length cut has an item that is incomplete: its last. */
export function outputOf(responseId: string, { text, calls, logprobs, finishReason }: WholeAnswer): object[] {
  const cut = finishReason === "length" ? "incomplete" : "completed";
  const output: object[] = [];
  if (text !== "" || calls.length === 0) {
    const status = calls.length === 0 ? cut : "completed";
    output.push(messageItem(itemIdOf("msg", responseId, 0), { text, logprobs, status }));
  }
  for (const [place, call] of calls.entries()) {
    const status = place === calls.length - 1 ? cut : "completed";
    const { id: callId, name, arguments: json } = call;
    output.push(callItem(itemIdOf("fc", responseId, output.length), { callId, name, json, status }));
  }
  return output;
}

/** What the answer adds to the conversation. */
export function answerTurn({ text, calls }: WholeAnswer): ChatMessage {
  return { role: "assistant", content: text, ...(calls.length === 0 ? {} : { toolCalls: calls }) };
}

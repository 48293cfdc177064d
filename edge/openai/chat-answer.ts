import type { Logprob } from "../../core/wire/node-frame.ts";
import type { AnswerEnd, AnswerPiece, AnswerReader, WholeAnswer } from "../answer-reader.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { sseEvent } from "../sse.ts";
import { headOf, networkOf, tokenLogprob, usageOf } from "./answer-fields.ts";
import type { ChatOrder } from "./chat-request.ts";
import { joinChoices } from "./join-choices.ts";
import { type ChoiceEvents, streamedChoices } from "./streamed-choices.ts";

type ExtraHeaders = Readonly<Record<string, string>>;

/** The whole answer as OpenAI's `chat.completion` object. Nodes that fail on the way are replaced unseen. */
export async function wholeChatAnswer(
  readers: readonly AnswerReader[],
  { model, order, headers }: { model: ServedModel; order: ChatOrder; headers: ExtraHeaders },
): Promise<Response> {
  const answers = await joinChoices(readers, (reader) => reader.whole());
  const asksLogprobs = order.input.sampling.logprobs !== undefined;
  const body = {
    ...headOf(firstOf(readers).run, { model, object: "chat.completion", prefix: "chatcmpl" }),
    choices: answers.map((answer, index) => ({
      index,
      message: messageOf(answer),
      logprobs: asksLogprobs ? logprobsOf(answer.logprobs) : null,
      finish_reason: answer.finishReason,
    })),
    usage: usageOf(answers),
    network: networkOf(readers.map((reader) => reader.run)),
  };
  return Response.json(body, { headers });
}

/**
 * The answer as OpenAI's `chat.completion.chunk` events: each choice's role at once, then text and calls as they come, the
 * finish reasons, the counts if asked for, `[DONE]`.
 */
export function streamedChatAnswer(
  readers: readonly AnswerReader[],
  {
    model,
    order,
    requestId,
    headers,
  }: { model: ServedModel; order: ChatOrder; requestId: string; headers: ExtraHeaders },
): Response {
  const events = new ChunkEvents(readers, { model, order });
  return streamedChoices(readers, { events, requestId, headers });
}

/** Writes the pieces of an answer's choices as events. What all chunks share is made into JSON once. */
class ChunkEvents implements ChoiceEvents {
  readonly #readers: readonly AnswerReader[];
  readonly #shared: object;
  readonly #opening: string;
  readonly #includeUsage: boolean;
  readonly #ends: AnswerEnd[] = [];

  constructor(readers: readonly AnswerReader[], { model, order }: { model: ServedModel; order: ChatOrder }) {
    const head = headOf(firstOf(readers).run, { model, object: "chat.completion.chunk", prefix: "chatcmpl" });
    this.#readers = readers;
    this.#includeUsage = order.includeUsage;
    this.#shared = { ...head, ...(order.includeUsage ? { usage: null } : {}) };
    this.#opening = JSON.stringify(this.#shared).slice(0, -1);
  }

  get isOver(): boolean {
    return this.#ends.length === this.#readers.length;
  }

  first(): string {
    return this.#readers
      .map((_, index) => this.#chunk(index, '{"role":"assistant","content":"","refusal":null}'))
      .join("");
  }

  of(index: number, pieces: readonly AnswerPiece[]): string {
    return pieces.map((piece) => this.#events(index, piece)).join("");
  }

  #events(index: number, piece: AnswerPiece): string {
    switch (piece.type) {
      case "text": {
        const logprobs = piece.logprobs === undefined ? "null" : JSON.stringify(logprobsOf(piece.logprobs));
        return this.#chunk(index, `{"content":${JSON.stringify(piece.text)}}`, { logprobs });
      }
      case "call": {
        const { id, name } = piece;
        const call = { index: piece.index, id, type: "function", function: { name, arguments: "" } };
        return this.#chunk(index, JSON.stringify({ tool_calls: [call] }));
      }
      case "arguments": {
        const call = { index: piece.index, function: { arguments: piece.text } };
        return this.#chunk(index, JSON.stringify({ tool_calls: [call] }));
      }
      case "end":
        return this.#end(index, piece);
    }
  }

  #end(index: number, end: AnswerEnd): string {
    this.#ends.push(end);
    const network = networkOf(this.#readers.map((reader) => reader.run));
    const more = this.isOver ? `,"network":${JSON.stringify(network)}` : "";
    const last = this.#chunk(index, "{}", { finishReason: end.finishReason, more });
    if (!this.isOver || !this.#includeUsage) return last;
    return last + sseEvent(JSON.stringify({ ...this.#shared, choices: [], usage: usageOf(this.#ends) }));
  }

  #chunk(
    index: number,
    delta: string,
    { logprobs = "null", finishReason, more = "" }: { logprobs?: string; finishReason?: string; more?: string } = {},
  ): string {
    const reason = finishReason === undefined ? "null" : `"${finishReason}"`;
    return sseEvent(
      `${this.#opening},"choices":[{"index":${index},"delta":${delta},"logprobs":${logprobs},"finish_reason":${reason}}]${more}}`,
    );
  }
}

function firstOf(readers: readonly AnswerReader[]): AnswerReader {
  const [first] = readers;
  if (first === undefined) throw new Error("a request has no choice");
  return first;
}

function messageOf({ text, calls }: WholeAnswer): object {
  const content = calls.length > 0 && text === "" ? null : text;
  const said = { role: "assistant", content, refusal: null };
  if (calls.length === 0) return said;
  return {
    ...said,
    tool_calls: calls.map(({ id, name, arguments: json }) => ({
      id,
      type: "function",
      function: { name, arguments: json },
    })),
  };
}

function logprobsOf(logprobs: readonly Logprob[]): object {
  const content = logprobs.map((each) => ({ ...tokenLogprob(each), top_logprobs: each.top.map(tokenLogprob) }));
  return { content, refusal: null };
}

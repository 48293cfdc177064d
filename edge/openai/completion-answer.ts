import type { Logprob } from "../../core/wire/node-frame.ts";
import type { AnswerEnd, AnswerPiece, AnswerReader } from "../answer-reader.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { sseEvent } from "../sse.ts";
import { headOf, networkOf, tokenLogprob, usageOf } from "./answer-fields.ts";
import type { CompletionOrder } from "./completion-request.ts";
import { joinChoices } from "./join-choices.ts";
import { type ChoiceEvents, streamedChoices } from "./streamed-choices.ts";

type ExtraHeaders = Readonly<Record<string, string>>;

interface CompletionContext {
  model: ServedModel;
  order: CompletionOrder;
  headers: ExtraHeaders;
}

/** The whole answer as OpenAI's `text_completion` object. */
export async function wholeCompletion(
  readers: readonly AnswerReader[],
  { model, order, headers }: CompletionContext,
): Promise<Response> {
  const answers = await joinChoices(readers, (reader) => reader.whole());
  const body = {
    ...completionHead(readers, model),
    choices: answers.map((answer, index) => ({
      text: echoOf(order, index) + answer.text,
      index,
      logprobs: asksLogprobs(order) ? logprobsOf(answer.logprobs, echoOf(order, index).length) : null,
      finish_reason: answer.finishReason,
    })),
    usage: usageOf(answers),
    network: networkOf(readers.map((reader) => reader.run)),
  };
  return Response.json(body, { headers });
}

/** The answer as a stream of `text_completion` events. */
export function streamedCompletion(
  readers: readonly AnswerReader[],
  { requestId, ...context }: CompletionContext & { requestId: string },
): Response {
  const events = new CompletionEvents(readers, context);
  return streamedChoices(readers, { events, requestId, headers: context.headers });
}

class CompletionEvents implements ChoiceEvents {
  readonly #readers: readonly AnswerReader[];
  readonly #order: CompletionOrder;
  readonly #shared: object;
  readonly #ends: AnswerEnd[] = [];
  /** Characters of each choice's text so far. */
  readonly #lengths: number[];

  constructor(readers: readonly AnswerReader[], { model, order }: { model: ServedModel; order: CompletionOrder }) {
    this.#readers = readers;
    this.#order = order;
    this.#shared = { ...completionHead(readers, model), ...(order.includeUsage ? { usage: null } : {}) };
    this.#lengths = readers.map((_, index) => echoOf(order, index).length);
  }

  get isOver(): boolean {
    return this.#ends.length === this.#readers.length;
  }

  first(): string {
    if (!this.#order.isEcho) return "";
    return this.#readers.map((_, index) => this.#chunk(index, { text: echoOf(this.#order, index) })).join("");
  }

  of(index: number, pieces: readonly AnswerPiece[]): string {
    return pieces.map((piece) => this.#events(index, piece)).join("");
  }

  #events(index: number, piece: AnswerPiece): string {
    if (piece.type === "text") {
      const offset = this.#lengths[index] ?? 0;
      this.#lengths[index] = offset + piece.text.length;
      const logprobs = piece.logprobs === undefined ? null : logprobsOf(piece.logprobs, offset);
      return this.#chunk(index, { text: piece.text, logprobs });
    }
    if (piece.type !== "end") throw new Error("a text completion calls no tools");
    this.#ends.push(piece);
    const network = networkOf(this.#readers.map((reader) => reader.run));
    const last = this.#chunk(index, { finishReason: piece.finishReason, more: this.isOver ? { network } : {} });
    if (!this.isOver || !this.#order.includeUsage) return last;
    return last + sseEvent(JSON.stringify({ ...this.#shared, choices: [], usage: usageOf(this.#ends) }));
  }

  #chunk(
    index: number,
    {
      text = "",
      logprobs = null,
      finishReason = null,
      more = {},
    }: { text?: string; logprobs?: object | null; finishReason?: string | null; more?: object },
  ): string {
    const choices = [{ text, index, logprobs, finish_reason: finishReason }];
    return sseEvent(JSON.stringify({ ...this.#shared, choices, ...more }));
  }
}

function completionHead(readers: readonly AnswerReader[], model: ServedModel): object {
  const [first] = readers;
  if (first === undefined) throw new Error("a request has no choice");
  return headOf(first.run, { model, object: "text_completion", prefix: "cmpl" });
}

function echoOf({ isEcho, inputs }: CompletionOrder, index: number): string {
  const prompt = inputs[index]?.prompt;
  return isEcho && typeof prompt === "string" ? prompt : "";
}

function asksLogprobs({ inputs }: CompletionOrder): boolean {
  return inputs.some(({ sampling }) => sampling.logprobs !== undefined);
}

/** In the form of OpenAI's older API; `offset` is where the first of the tokens begins in the choice's text. */
function logprobsOf(logprobs: readonly Logprob[], offset: number): object {
  const tokens = logprobs.map((each) => ({ ...tokenLogprob(each), top: each.top.map(tokenLogprob) }));
  let at = offset;
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ token, logprob }) => [token, logprob]))),
    text_offset: tokens.map(({ token }) => {
      const start = at;
      at += token.length;
      return start;
    }),
  };
}

import type { AnswerEnd, AnswerPiece, AnswerReader } from "../answer-reader.ts";
import { toRefusal } from "../errors.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { networkOf } from "../openai/answer-fields.ts";
import { sseNamedEvent, sseResponse } from "../sse.ts";
import { messageErrorBody } from "./message-errors.ts";

type ExtraHeaders = Readonly<Record<string, string>>;

const stopReasons = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" } as const;

/** The whole answer as Anthropic's `message` object. */
export async function wholeMessage(
  reader: AnswerReader,
  { model, headers }: { model: ServedModel; headers: ExtraHeaders },
): Promise<Response> {
  const answer = await reader.whole();
  const text = answer.text === "" && answer.calls.length > 0 ? [] : [textBlock(answer.text)];
  const body = {
    ...messageHead(reader, model),
    content: [...text, ...answer.calls.map((call) => toolBlock(call, inputOf(call.arguments)))],
    ...stopOf(answer),
    usage: usageOf(answer),
    network: networkOf([reader.run]),
  };
  return Response.json(body, { headers });
}

/** The answer as Anthropic's events: `message_start` at once, then blocks as they come. */
export function streamedMessage(
  reader: AnswerReader,
  { model, requestId, headers }: { model: ServedModel; requestId: string; headers: ExtraHeaders },
): Response {
  const events = new MessageEvents(reader, model);
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
          if (events.isOver) return;
        }
      } catch (error) {
        write(sseNamedEvent("error", messageErrorBody(toRefusal(error, requestId), requestId)));
      }
    },
    { onGone: () => reader.run.cancel(), headers },
  );
}

/** Writes an answer's pieces as events; each stretch of text and each call is a block. */
class MessageEvents {
  readonly #reader: AnswerReader;
  readonly #model: ServedModel;
  #blocks = 0;
  #open: "text" | "call" | undefined;
  #isOver = false;

  constructor(reader: AnswerReader, model: ServedModel) {
    this.#reader = reader;
    this.#model = model;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  start(): string {
    const usage = usageOf({ promptTokens: this.#reader.run.promptTokens, completionTokens: 0 });
    const stop = { stop_reason: null, stop_sequence: null, stop_details: null, container: null };
    const message = { ...messageHead(this.#reader, this.#model), content: [], ...stop, usage };
    return sseNamedEvent("message_start", { type: "message_start", message }) + sseNamedEvent("ping", { type: "ping" });
  }

  of(pieces: readonly AnswerPiece[]): string {
    return pieces.map((piece) => this.#events(piece)).join("");
  }

  #events(piece: AnswerPiece): string {
    switch (piece.type) {
      case "text":
        if (piece.text === "") return "";
        return this.#begin("text", textBlock("")) + this.#delta({ type: "text_delta", text: piece.text });
      case "call":
        return this.#close() + this.#begin("call", toolBlock(piece, {}));
      case "arguments":
        return this.#delta({ type: "input_json_delta", partial_json: piece.text });
      case "end":
        return this.#end(piece);
    }
  }

  #begin(kind: "text" | "call", block: object): string {
    if (this.#open === kind) return "";
    const closing = this.#close();
    this.#open = kind;
    const index = this.#blocks;
    return closing + sseNamedEvent("content_block_start", { type: "content_block_start", index, content_block: block });
  }

  #delta(delta: object): string {
    return sseNamedEvent("content_block_delta", { type: "content_block_delta", index: this.#blocks, delta });
  }

  #close(): string {
    if (this.#open === undefined) return "";
    const index = this.#blocks;
    this.#open = undefined;
    this.#blocks += 1;
    return sseNamedEvent("content_block_stop", { type: "content_block_stop", index });
  }

  #end(end: AnswerEnd): string {
    // An answer without a word has a block all the same.
    const empty = this.#blocks === 0 && this.#open === undefined ? this.#begin("text", textBlock("")) : "";
    this.#isOver = true;
    const { input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens, ...rest } = usageOf(end);
    const { server_tool_use, output_tokens_details } = rest;
    const usage = {
      ...{ input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens },
      ...{ server_tool_use, output_tokens_details },
    };
    const network = networkOf([this.#reader.run]);
    return (
      empty +
      this.#close() +
      sseNamedEvent("message_delta", { type: "message_delta", delta: stopOf(end), usage, network }) +
      sseNamedEvent("message_stop", { type: "message_stop" })
    );
  }
}

function messageHead({ run }: AnswerReader, model: ServedModel) {
  return { id: run.taskId.replace("task_", "msg_"), type: "message", role: "assistant", model: model.id };
}

function textBlock(text: string): object {
  return { type: "text", text, citations: null };
}

function toolBlock({ id, name }: { id: string; name: string }, input: unknown): object {
  return { type: "tool_use", id: id.replace("call_", "toolu_"), name, input, caller: { type: "direct" } };
}

/** Arguments that were cut off are no JSON: there is nothing to call with. */
function inputOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return {};
  }
}

function stopOf({ finishReason, stopSequence }: Pick<AnswerEnd, "finishReason" | "stopSequence">): object {
  const isSequence = finishReason === "stop" && stopSequence !== undefined;
  return {
    stop_reason: isSequence ? "stop_sequence" : stopReasons[finishReason],
    stop_sequence: isSequence ? stopSequence : null,
    stop_details: null,
    container: null,
  };
}

function usageOf({ promptTokens, completionTokens }: { promptTokens: number; completionTokens: number }) {
  return {
    input_tokens: promptTokens,
    output_tokens: completionTokens,
    cache_creation_input_tokens: null,
    cache_read_input_tokens: null,
    cache_creation: null,
    server_tool_use: null,
    service_tier: null,
    inference_geo: null,
    output_tokens_details: null,
  };
}

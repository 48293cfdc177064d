import type { Logprob } from "../../core/wire/node-frame.ts";
import type { AnswerEnd, AnswerPiece, WholeAnswer, WholeCall } from "../answer-reader.ts";
import { sseNamedEvent } from "../sse.ts";
import {
  callItem,
  itemIdOf,
  messageItem,
  openBody,
  type ResponseBody,
  type ResponseHead,
  textPart,
  toLogprob,
} from "./response-body.ts";

type Open =
  | { kind: "message"; id: string; place: number; text: string; logprobs: Logprob[] }
  | { kind: "call"; id: string; place: number; call: WholeCall };

/** Writes an answer's pieces as the events of OpenAI's Responses API, and remembers what it wrote. */
export class ResponseEvents {
  readonly #head: ResponseHead;
  readonly output: object[] = [];
  /** The answer as far as it came. */
  readonly answer: Pick<WholeAnswer, "text" | "calls"> = { text: "", calls: [] };
  #sequence = 0;
  #open: Open | undefined;
  #end: AnswerEnd | undefined;

  constructor(head: ResponseHead) {
    this.#head = head;
  }

  /** Set once the answer has ended. */
  get end(): AnswerEnd | undefined {
    return this.#end;
  }

  start(): string {
    const response = openBody(this.#head, "in_progress");
    return this.#event("response.created", { response }) + this.#event("response.in_progress", { response });
  }

  of(pieces: readonly AnswerPiece[]): string {
    return pieces.map((piece) => this.#piece(piece)).join("");
  }

  /** The last event, with the whole response. */
  last(response: ResponseBody): string {
    return this.#event(`response.${response.status}`, { response });
  }

  error({ code, message, param }: { code: string; message: string; param: string | null }): string {
    return this.#event("error", { code, message, param });
  }

  #piece(piece: AnswerPiece): string {
    switch (piece.type) {
      case "text":
        return this.#text(piece.text, piece.logprobs ?? []);
      case "call":
        return this.#close("completed") + this.#call(piece);
      case "arguments":
        return this.#arguments(piece.text);
      case "end":
        this.#end = piece;
        return this.#ending(piece);
    }
  }

  #text(text: string, logprobs: readonly Logprob[]): string {
    if (text === "" && this.#open?.kind !== "message") return "";
    const opening = this.#open?.kind === "message" ? "" : this.#close("completed") + this.#message();
    const open = this.#open;
    if (open?.kind !== "message") throw new Error("no message is open");
    open.text += text;
    open.logprobs.push(...logprobs);
    this.answer.text += text;
    const place = { item_id: open.id, output_index: open.place, content_index: 0 };
    const delta = { ...place, delta: text, logprobs: logprobs.map(toLogprob) };
    return opening + this.#event("response.output_text.delta", delta);
  }

  #message(): string {
    const place = this.output.length;
    const id = itemIdOf("msg", this.#head.id, place);
    this.#open = { kind: "message", id, place, text: "", logprobs: [] };
    const item = { id, type: "message", role: "assistant", status: "in_progress", content: [] };
    return (
      this.#event("response.output_item.added", { output_index: place, item }) +
      this.#event("response.content_part.added", {
        ...{ item_id: id, output_index: place, content_index: 0, part: textPart("", []) },
      })
    );
  }

  #call({ id: callId, name }: { id: string; name: string }): string {
    const place = this.output.length;
    const id = itemIdOf("fc", this.#head.id, place);
    const call = { id: callId, name, arguments: "" };
    this.#open = { kind: "call", id, place, call };
    this.answer.calls.push(call);
    const item = callItem(id, { callId, name, json: "", status: "in_progress" });
    return this.#event("response.output_item.added", { output_index: place, item });
  }

  #arguments(text: string): string {
    const open = this.#open;
    if (open?.kind !== "call") throw new Error("no call is open");
    open.call.arguments += text;
    const delta = { item_id: open.id, output_index: open.place, delta: text };
    return this.#event("response.function_call_arguments.delta", delta);
  }

  #ending({ finishReason }: AnswerEnd): string {
    // An answer without a word has a message all the same.
    const empty = this.output.length === 0 && this.#open === undefined ? this.#message() : "";
    return empty + this.#close(finishReason === "length" ? "incomplete" : "completed");
  }

  #close(status: "completed" | "incomplete"): string {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return "";
    const place = { item_id: open.id, output_index: open.place };
    if (open.kind === "call") {
      const { id: callId, name, arguments: json } = open.call;
      const item = callItem(open.id, { callId, name, json, status });
      this.output.push(item);
      const done = this.#event("response.function_call_arguments.done", { ...place, name, arguments: json });
      return done + this.#event("response.output_item.done", { output_index: open.place, item });
    }
    const { text, logprobs } = open;
    const item = messageItem(open.id, { text, logprobs, status });
    this.output.push(item);
    const part = textPart(text, logprobs);
    return (
      this.#event("response.output_text.done", {
        ...{ ...place, content_index: 0, text, logprobs: logprobs.map(toLogprob) },
      }) +
      this.#event("response.content_part.done", { ...place, content_index: 0, part }) +
      this.#event("response.output_item.done", { output_index: open.place, item })
    );
  }

  #event(type: string, data: object): string {
    const event = sseNamedEvent(type, { type, sequence_number: this.#sequence, ...data });
    this.#sequence += 1;
    return event;
  }
}

import { CallParser } from "../core/chat/call-parser.ts";
import { randomText } from "../core/ids.ts";
import { Refusal } from "../core/refusal.ts";
import type { Delivery } from "../core/task/driver-step.ts";
import type { Logprob } from "../core/wire/node-frame.ts";
import type { ChatInput, CompletionInput } from "../core/wire/task-input.ts";
import type { Answering } from "./trust/trusted-run.ts";

/** Why an answer ended, in words that every API has its own for. */
export type FinishReason = "stop" | "length" | "tool_calls";

/** A part of an answer as APIs tell it. */
export type AnswerPiece =
  /** `logprobs` are of the tokens that came with it; the text may be empty. */
  | { type: "text"; text: string; logprobs?: readonly Logprob[] }
  /** A call of a tool begins; `index` counts from 0. */
  | { type: "call"; index: number; id: string; name: string }
  | { type: "arguments"; index: number; text: string }
  | AnswerEnd;

export interface AnswerEnd {
  type: "end";
  finishReason: FinishReason;
  /** The stop sequence that ended the answer, where that is known. */
  stopSequence?: string;
  promptTokens: number;
  completionTokens: number;
}

/** A call of a tool, whole. */
export interface WholeCall {
  id: string;
  name: string;
  /** JSON text; cut off where the answer was. */
  arguments: string;
}

/** An answer, whole. */
export interface WholeAnswer extends Omit<AnswerEnd, "type"> {
  text: string;
  calls: WholeCall[];
  logprobs: Logprob[];
}

/** Reads one task's answer: text and calls of tools, piece by piece or whole. */
export class AnswerReader {
  readonly run: Answering;
  readonly #calls: CallParser | undefined;

  constructor(run: Answering, { input }: { input: ChatInput | CompletionInput }) {
    this.run = run;
    const mayCall = input.kind === "chat" && input.tools !== undefined && input.toolChoice !== "none";
    this.#calls = mayCall ? new CallParser() : undefined;
  }

  /** What is there and was not given before, without waiting. */
  ready(): AnswerPiece[] {
    return this.#piecesOf(this.run.ready());
  }

  /**
   * The next pieces, all that are there; the last of all is the end. `undefined` where the caller left before it. A list
   * may be empty: half a character. Throws the refusal to tell the caller otherwise.
   */
  async next(): Promise<AnswerPiece[] | undefined> {
    const parts = await this.run.next();
    return parts.length === 0 ? undefined : this.#piecesOf(parts);
  }

  async whole(): Promise<WholeAnswer> {
    const answer: Omit<WholeAnswer, keyof AnswerEnd> = { text: "", calls: [], logprobs: [] };
    for (let pieces: AnswerPiece[] | undefined = this.ready(); pieces !== undefined; pieces = await this.next()) {
      for (const piece of pieces) {
        if (piece.type === "end") {
          const { type: _, ...end } = piece;
          return { ...answer, ...end };
        }
        addTo(answer, piece);
      }
    }
    // The caller is gone: nobody reads this.
    throw new Refusal({ code: "stream_broken", message: "The request was cancelled." });
  }

  #piecesOf(parts: readonly Delivery[]): AnswerPiece[] {
    return parts.flatMap((part) => {
      if (part.type === "deliver") return this.#textPieces(part);
      return part.type === "end" ? this.#endPieces(part) : [];
    });
  }

  #textPieces({ text, logprobs }: Extract<Delivery, { type: "deliver" }>): AnswerPiece[] {
    const pieces = this.#calls === undefined ? wordsOf(text) : this.#calls.push(text).map(withId);
    if (logprobs === undefined || logprobs.length === 0) return pieces;
    const place = pieces.findIndex((piece) => piece.type === "text");
    const told = pieces[place];
    if (told?.type !== "text") return [{ type: "text", text: "", logprobs }, ...pieces];
    return pieces.with(place, { ...told, logprobs });
  }

  #endPieces({ finishReason, ...counts }: Extract<Delivery, { type: "end" }>): AnswerPiece[] {
    const rest = this.#calls?.flush().map(withId) ?? [];
    const isCalling = finishReason === "stop" && this.#calls?.hasCalls === true;
    return [...rest, { ...counts, finishReason: isCalling ? "tool_calls" : finishReason }];
  }
}

/** Whether the answer's end is among these. */
export function isEnded(pieces: readonly AnswerPiece[]): boolean {
  return pieces.at(-1)?.type === "end";
}

function wordsOf(text: string): AnswerPiece[] {
  return text === "" ? [] : [{ type: "text", text }];
}

function withId(part: ReturnType<CallParser["push"]>[number]): AnswerPiece {
  return part.type === "call" ? { ...part, id: `call_${randomText(24)}` } : part;
}

function addTo(answer: Omit<WholeAnswer, keyof AnswerEnd>, piece: Exclude<AnswerPiece, AnswerEnd>): void {
  if (piece.type === "text") {
    answer.text += piece.text;
    answer.logprobs.push(...(piece.logprobs ?? []));
  } else if (piece.type === "call") {
    answer.calls.push({ id: piece.id, name: piece.name, arguments: "" });
  } else {
    const call = answer.calls[piece.index];
    if (call === undefined) throw new Error("arguments came before their call");
    call.arguments += piece.text;
  }
}

import type { ChatInput, ChatMessage, Sampling } from "../../core/wire/task-input.ts";
import type { ChatOutcome, ChatPiece, Engine, PreparedChat } from "./engine.ts";

/** Always the likeliest token, twelve of them. */
export const greedy: Sampling = {
  temperature: 0,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 1,
  stop: [],
  maxTokens: 12,
};

export interface Answer {
  outcome: ChatOutcome;
  pieces: ChatPiece[];
  tokenIds: number[];
  text: string;
}

export interface Asking {
  messages?: ChatMessage[];
  /** Over {@link greedy}. */
  sampling?: Partial<Sampling>;
  continues?: readonly number[];
  signal?: AbortSignal;
  /** What the answer must be, and tools. */
  input?: Partial<Pick<ChatInput, "format" | "tools" | "toolChoice" | "isSingleCall">>;
  /** Called at each piece with the number of pieces so far. */
  onPiece?: (count: number) => void;
}

export const user = (content: string): ChatMessage => ({ role: "user", content });

/** Asks "hello", or what `asking` says, and returns all that came. */
export async function ask(engine: Engine, asking: Asking = {}): Promise<Answer> {
  const prepared = await prepare(engine, asking);
  const pieces: ChatPiece[] = [];
  const outcome = await prepared.run({
    onPiece: (piece) => {
      pieces.push(piece);
      asking.onPiece?.(pieces.length);
    },
    signal: asking.signal ?? new AbortController().signal,
  });
  const tokenIds = pieces.flatMap((piece) => piece.tokenIds);
  return { outcome, pieces, tokenIds, text: textOf(pieces) };
}

export async function prepare(
  engine: Engine,
  { messages = [user("hello")], sampling = {}, continues, input = {} }: Asking,
): Promise<PreparedChat> {
  const prepared = await engine.prepareChat(
    { kind: "chat", messages, sampling: { ...greedy, ...sampling }, ...input },
    continues === undefined ? undefined : { continues },
  );
  if (prepared.kind !== "prepared") throw new Error(`the prompt has ${prepared.promptTokens} tokens and does not fit`);
  return prepared;
}

export const textOf = (pieces: readonly ChatPiece[]): string => pieces.map((piece) => piece.text).join("");

/** What a reader has of an answer whose node was lost after `tokens` tokens. */
export function headOf(answer: Answer, tokens: number): { tokenIds: number[]; text: string } {
  const pieces: ChatPiece[] = [];
  let count = 0;
  for (const piece of answer.pieces) {
    count += piece.tokenIds.length;
    if (piece.tokenIds.length === 0 || count > tokens) break;
    pieces.push(piece);
  }
  return { tokenIds: pieces.flatMap((piece) => piece.tokenIds), text: textOf(pieces) };
}

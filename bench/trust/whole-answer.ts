import type { ChatInput, CompletionInput } from "../../core/wire/task-input.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";

/** What an engine says, whole; `logprobs` are empty where the input asks for none. */
export interface WholeAnswer {
  promptTokens: number;
  tokenIds: number[];
  text: string;
  logprobs: number[];
  finishReason: "stop" | "length";
}

/** Throws where the input does not fit the engine's context. */
export async function wholeAnswer(engine: Engine, input: ChatInput | CompletionInput): Promise<WholeAnswer> {
  const prepared = await engine.prepareChat(input);
  if (prepared.kind !== "prepared") throw new Error("a prompt does not fit the context");
  const said = { tokenIds: [] as number[], text: "", logprobs: [] as number[] };
  const { finishReason } = await prepared.run({
    signal: new AbortController().signal,
    onPiece: (piece) => {
      said.tokenIds.push(...piece.tokenIds);
      said.text += piece.text;
      said.logprobs.push(...(piece.logprobs ?? []).map(({ logprob }) => logprob));
    },
  });
  if (finishReason === "cancelled") throw new Error("an answer was cancelled");
  return { promptTokens: prepared.promptTokens, ...said, finishReason };
}

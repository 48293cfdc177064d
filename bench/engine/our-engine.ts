import type { ChatMessage, Sampling } from "../../core/wire/task-input.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { loadLlamaEngine } from "../../worker-node/engine/llama-engine.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import type { Answered } from "./round.ts";
import { serveRounds } from "./serve-rounds.ts";

/** This project's engine, as a node runs it, on one thread. */
await serveRounds(async ({ modelPath, slots, contextTokens }) => {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const engine = await loadLlamaEngine({ llama, modelPath, kind: "chat", slots, contextTokens, threads: 1 });
  return async ({ conversations, tokens }) => {
    const startedMs = performance.now();
    const answers = await Promise.all(conversations.map((messages) => answer(engine, { messages, tokens, startedMs })));
    return { answers, wallMs: performance.now() - startedMs };
  };
});

async function answer(
  engine: Engine,
  { messages, tokens, startedMs }: { messages: ChatMessage[]; tokens: number; startedMs: number },
): Promise<Answered> {
  const sampling: Sampling = {
    ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [] },
    maxTokens: tokens,
  };
  const prepared = await engine.prepareChat({ kind: "chat", messages, sampling });
  if (prepared.kind !== "prepared") throw new Error(`a prompt of ${prepared.promptTokens} tokens does not fit`);
  let text = "";
  let firstTokenMs: number | undefined;
  const outcome = await prepared.run({
    signal: new AbortController().signal,
    onPiece: (piece) => {
      firstTokenMs ??= performance.now() - startedMs;
      text += piece.text;
    },
  });
  const { promptTokens, completionTokens } = outcome;
  if (completionTokens !== tokens || firstTokenMs === undefined) {
    throw new Error(`an answer ended by itself after ${completionTokens} of ${tokens} tokens`);
  }
  return { promptTokens, tokens: completionTokens, text, firstTokenMs };
}

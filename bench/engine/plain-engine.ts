import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { createPromptTokenizer } from "../../worker-node/engine/prompt-tokens.ts";
import { readVocabulary } from "../../worker-node/engine/vocabulary.ts";
import type { Answered } from "./round.ts";
import { serveRounds } from "./serve-rounds.ts";

/** What this project's engine asked of llama.cpp's sampler when it used it. */
const candidateTokens = 1_024;

/**
 * node-llama-cpp with nothing of ours but the prompt's tokens: one context with a sequence for each conversation, all
 * evaluated at once, and the tokens only counted.
 */
await serveRounds(async ({ modelPath, slots, contextTokens }) => {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({ sequences: slots, contextSize: contextTokens, threads: 1 });
  const sequences = Array.from({ length: slots }, () => context.getSequence());
  const tokenize = createPromptTokenizer(model, readVocabulary(model));
  return async ({ conversations, tokens, temperature, seed }) => {
    const sampler = { temperature, topP: 1, topK: candidateTokens, minP: 0, seed };
    const evaluate = { ...(temperature === 0 ? { temperature } : sampler), yieldEogToken: true };
    for (const sequence of sequences) await sequence.clearHistory();
    const startedMs = performance.now();
    const answers = await Promise.all(
      conversations.map(async (messages, place) => {
        const sequence = sequences[place];
        if (sequence === undefined) throw new Error(`${conversations.length} conversations for ${slots} sequences`);
        return answer(sequence, { prompt: tokenize({ messages }), tokens, startedMs, evaluate });
      }),
    );
    const wallMs = performance.now() - startedMs;
    return { answers: answers.map(({ ids, ...rest }) => ({ ...rest, text: model.detokenize(ids) })), wallMs };
  };
});

async function answer(
  sequence: LlamaContextSequence,
  {
    prompt,
    tokens,
    startedMs,
    evaluate,
  }: { prompt: Token[]; tokens: number; startedMs: number; evaluate: SequenceEvaluateOptions },
): Promise<Omit<Answered, "text"> & { ids: Token[] }> {
  const ids: Token[] = [];
  let firstTokenMs = 0;
  for await (const token of sequence.evaluate(prompt, evaluate)) {
    if (ids.length === 0) firstTokenMs = performance.now() - startedMs;
    ids.push(token);
    if (ids.length === tokens) break;
  }
  return { promptTokens: prompt.length, tokens: ids.length, firstTokenMs, ids };
}

import { calibrationOf } from "../../core/validation/calibration.ts";
import type { ChatMessage, Sampling } from "../../core/wire/task-input.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { loadLlamaEngine } from "../../worker-node/engine/llama-engine.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import type { Answered, RoundToRun } from "./round.ts";
import { serveRounds } from "./serve-rounds.ts";

/** This project's engine, as a node runs it, on one thread. */
await serveRounds(async ({ modelPath, slots, contextTokens, copy }) => {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const engine = await loadLlamaEngine({
    ...{ llama, modelPath, kind: "chat", slots, contextTokens, threads: 1 },
    ...(copy === undefined ? {} : { copy: { path: copy.path, calibration: calibrationOf(copy.model) } }),
    logError: (message) => {
      throw new Error(message);
    },
  });
  return async ({ conversations, tokens, temperature, seed, atOnce = conversations.length, checks }) => {
    const sampling: Sampling = {
      ...{ temperature, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed, stop: [] },
      maxTokens: tokens,
    };
    const startedMs = performance.now();
    const checking = Promise.all(checks.map((each) => check(engine, { ...each, sampling })));
    const answers: Answered[] = [];
    const left = [...conversations.entries()];
    const work = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [place, messages] = next;
        answers[place] = await answer(engine, { messages, sampling, startedMs });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return { answers, wallMs: performance.now() - startedMs, checks: await checking };
  };
});

async function answer(
  engine: Engine,
  { messages, sampling, startedMs }: { messages: ChatMessage[]; sampling: Sampling; startedMs: number },
): Promise<Answered> {
  const prepared = await engine.prepareChat({ kind: "chat", messages, sampling });
  if (prepared.kind !== "prepared") throw new Error(`a prompt of ${prepared.promptTokens} tokens does not fit`);
  let text = "";
  const tokenIds: number[] = [];
  let firstTokenMs: number | undefined;
  const outcome = await prepared.run({
    signal: new AbortController().signal,
    onPiece: (piece) => {
      firstTokenMs ??= performance.now() - startedMs;
      text += piece.text;
      tokenIds.push(...piece.tokenIds);
    },
  });
  const { promptTokens, completionTokens } = outcome;
  if (completionTokens !== sampling.maxTokens || firstTokenMs === undefined) {
    throw new Error(`an answer ended by itself after ${completionTokens} of ${sampling.maxTokens} tokens`);
  }
  return { promptTokens, tokens: completionTokens, text, tokenIds, firstTokenMs };
}

async function check(
  engine: Engine,
  { messages, tokenIds, text, every, sampling }: RoundToRun["checks"][number] & { sampling: Sampling },
): Promise<{ ms: number; meanMargin: number }> {
  const startedMs = performance.now();
  const prepared = await engine.prepareCheck({
    ...{ kind: "check", tokenIds, text, finishReason: "length" },
    of: { kind: "chat", messages, sampling: { ...sampling, maxTokens: tokenIds.length } },
    positions: tokenIds.flatMap((_, position) => (position % every === 0 ? [position] : [])),
  });
  if (prepared.kind !== "prepared") throw new Error(`an answer of ${prepared.promptTokens} tokens does not fit`);
  const { findings, isTextOfTokens, isEndRight } = await prepared.run({ signal: new AbortController().signal });
  if (!isTextOfTokens || !isEndRight) throw new Error("an honest answer was found wrong");
  const meanMargin = findings.reduce((sum, { margin }) => sum + margin, 0) / findings.length;
  return { ms: performance.now() - startedMs, meanMargin };
}

import { type AnswerRow, answerKey } from "./answer-row.ts";
import { type Ask, answerTokens, samplingNames } from "./ask.ts";
import { allConditions, type ConditionsName } from "./conditions.ts";
import type { CheckJob, GenerateJob } from "./job.ts";
import { inParts } from "./plan.ts";
import { promptsOf, seedOf } from "./prompts.ts";
import { trialKey } from "./trial-row.ts";

/** One honest answer, made under one set of conditions and checked under another. */
export interface HonestPair {
  ask: Ask;
  maker: ConditionsName;
  checker: ConditionsName;
}

const names = Object.keys(allConditions) as ConditionsName[];
/** What a conversation had before, where one goes on. */
const earlierAnswer = "I can help you with that. What would you like to know?";
/** So many pairs in a row have one checker, so that it need not be loaded for each. */
const pairsPerChecker = 21;

/**
 * `count` honest pairs, each with a prompt and a seed of its own: every condition of the maker beside every one of the
 * checker, at each temperature, in turns. The first `n` are the same however many are asked for.
 */
export function planPairs(count: number): HonestPair[] {
  return promptsOf("calibration", count).map((prompt, index): HonestPair => {
    const maker = names[index % names.length] ?? "usual";
    const checker = names[Math.floor(index / pairsPerChecker) % names.length] ?? "usual";
    const sampling = samplingNames[Math.floor(index / names.length) % samplingNames.length] ?? "T=0";
    const earlier = { text: "Hello! Can you help me with a question?", answer: earlierAnswer };
    const ask: Ask = {
      ...{ promptId: prompt.id, text: prompt.text, sampling, seed: seedOf(`${prompt.id} pair`) },
      maxTokens: index % 2 === 0 ? answerTokens.long : answerTokens.short,
      ...(allConditions[maker].goesOn ? { earlier } : {}),
    };
    return { ask, maker, checker };
  });
}

/** Jobs that make the missing answers, by conditions. */
export function planHonestAnswers(
  pairs: readonly HonestPair[],
  answers: { get(key: string): AnswerRow | undefined },
  modelPath: string,
): GenerateJob[] {
  return names.flatMap((name) => {
    const asks = pairs
      .filter(({ maker, ask }) => maker === name && answers.get(answerKey({ maker, ask })) === undefined)
      .map(({ ask }) => ({ ask, wantsLogprobs: false }));
    return inParts(asks, 24).map(
      (part): GenerateJob => ({
        ...{ kind: "generate", maker: name, modelPath, conditions: allConditions[name], isPlain: false, asks: part },
      }),
    );
  });
}

/** Jobs that check those answers that are there and that nobody has checked, by the checker's conditions. */
export function planHonestChecks(
  pairs: readonly HonestPair[],
  {
    answers,
    done,
    modelPath,
  }: { answers: { get(key: string): AnswerRow | undefined }; done: { has(key: string): boolean }; modelPath: string },
): CheckJob[] {
  return names.flatMap((checker) => {
    const trials = pairs.flatMap(({ ask, maker, ...pair }): CheckJob["trials"] => {
      const answer = answers.get(answerKey({ maker, ask }));
      const isDone = done.has(trialKey({ adversary: "honest", ...ask, checker }));
      if (pair.checker !== checker || answer === undefined || isDone) return [];
      return [{ adversary: "honest", ask, answer, isCompared: false }];
    });
    const files = { honestPath: modelPath, encoderPath: "" };
    return inParts(trials, 24).map(
      (part): CheckJob => ({
        ...{ kind: "check", checker: allConditions[checker], ...files, trials: part },
      }),
    );
  });
}

import { type Adversary, type AdversaryName, adversaries, adversaryNames } from "./adversaries.ts";
import { type AnswerRow, answerKey } from "./answer-row.ts";
import { type Ask, answerTokens, type SamplingName, samplingNames } from "./ask.ts";
import { allConditions, type Conditions, copyFirst } from "./conditions.ts";
import type { CheckJob, GenerateJob } from "./job.ts";
import type { TrustModels } from "./make-models.ts";
import { type Maker, type MakerName, makers } from "./makers.ts";
import { promptsOf, seedOf } from "./prompts.ts";
import { trialKey } from "./trial-row.ts";

/** What embedding and log-probability distance say is worked out for so many trials of each adversary and sampling. */
const comparedTrials = 75;
/** Answers to so many prompts are long ones. */
const longAnswers = 200;
/** A job is ended once begun, so it is no longer than half a minute. */
const jobSize = { asks: 24, trials: 16 } as const;
const checker = allConditions.usual;
/** So many of each adversary's trials at a temperature are read by the copy too; of the adversaries named here more. */
const copyTrials = { each: 75, honest: 400, q4_0: 200 } as const;

/** A trial with the answers that it needs. */
interface PlannedTrial {
  adversary: AdversaryName;
  checker: Conditions;
  ask: Ask;
  from: Wanted;
  /** What an honest node says to the same ask, and with the other seed. */
  honest: Wanted | undefined;
  otherSeed: Wanted | undefined;
}

/** An answer that somebody must have made. */
interface Wanted {
  maker: MakerName;
  ask: Ask;
  wantsLogprobs: boolean;
}

const prompts = promptsOf("evaluation", 1_200);

/** The first `share` of every adversary's trials. */
export function planTrials(share: number): PlannedTrial[] {
  return adversaryNames.flatMap((name) =>
    samplingNames.flatMap((sampling) => {
      const { trials }: Adversary = adversaries[name];
      const all = trials[sampling] ?? 0;
      const count = Math.ceil(share * all);
      const withCopy = sampling === "T=0.7" ? 0 : Math.ceil(share * Math.min(all, copyTrialsOf(name)));
      return [
        ...Array.from({ length: count }, (_, index) => planTrial({ name, sampling, index })),
        ...Array.from({ length: withCopy }, (_, index) => withCopyRead(planTrial({ name, sampling, index }))),
      ];
    }),
  );
}

const copyTrialsOf = (name: AdversaryName): number =>
  name === "honest" || name === "q4_0" ? copyTrials[name] : copyTrials.each;

/** The same trial, read by the copy too, and compared with nothing else. */
function withCopyRead(trial: PlannedTrial): PlannedTrial {
  return { ...trial, checker: copyFirst, honest: undefined, otherSeed: undefined };
}

/** The key of the row that a trial becomes. */
export function keyOfPlanned({ adversary, ask: { promptId, sampling, seed }, checker }: PlannedTrial): string {
  return trialKey({ adversary, promptId, sampling, seed, checker: checker.name });
}

function planTrial({
  name,
  sampling,
  index,
}: {
  name: AdversaryName;
  sampling: SamplingName;
  index: number;
}): PlannedTrial {
  const adversary: Adversary = adversaries[name];
  // Without a temperature a second seed would be the same trial once more.
  const isPaired = adversary.hasTwoSeeds === true && sampling === "T=1";
  const at = isPaired ? Math.floor(index / 2) : index;
  const seed = isPaired && index % 2 === 1 ? "second" : "first";
  const ask = askOf({ at, sampling, seed });
  const source = adversary.source(sampling, at);
  const isCompared = at < comparedTrials && sampling !== "T=0.7";
  const from: Wanted = {
    maker: source.maker,
    ask: askOf({
      at: source.isOtherPrompt ? at + 1 : at,
      sampling: source.sampling ?? sampling,
      seed: source.isOtherSeed ? "second" : seed,
    }),
    wantsLogprobs: at < comparedTrials,
  };
  const honestMaker = source.maker === "honest" && name === "honest" ? "honest again" : "honest";
  const other = askOf({ at, sampling, seed: seed === "first" ? "second" : "first" });
  return {
    ...{ adversary: name, checker, ask, from },
    honest: isCompared ? { maker: honestMaker, ask, wantsLogprobs: true } : undefined,
    otherSeed: isCompared && sampling === "T=1" ? { maker: "honest", ask: other, wantsLogprobs: true } : undefined,
  };
}

function askOf({ at, sampling, seed }: { at: number; sampling: SamplingName; seed: "first" | "second" }): Ask {
  const prompt = prompts[at];
  if (prompt === undefined) throw new RangeError(`there is no prompt ${at}`);
  const maxTokens = at < longAnswers ? answerTokens.long : answerTokens.short;
  return { promptId: prompt.id, text: prompt.text, sampling, seed: seedOf(`${prompt.id} ${seed}`), maxTokens };
}

interface Answers {
  get(key: string): AnswerRow | undefined;
}

/** Jobs that make the answers which these trials need and nobody has made. */
export function planAnswers(trials: readonly PlannedTrial[], answers: Answers, models: TrustModels): GenerateJob[] {
  const missing = new Map<MakerName, Map<string, Wanted>>();
  for (const { from, honest, otherSeed } of trials) {
    for (const wanted of [from, honest, otherSeed]) {
      if (wanted === undefined || answers.get(answerKey(wanted)) !== undefined) continue;
      const ofMaker = missing.get(wanted.maker) ?? new Map<string, Wanted>();
      missing.set(wanted.maker, ofMaker);
      const before = ofMaker.get(answerKey(wanted));
      ofMaker.set(answerKey(wanted), before?.wantsLogprobs ? before : wanted);
    }
  }
  return [...missing].flatMap(([name, wanted]) => {
    const maker: Maker = makers[name];
    const asks = [...wanted.values()].map(({ ask, wantsLogprobs }) => ({ ask, wantsLogprobs }));
    return inParts(asks, jobSize.asks).map(
      (part): GenerateJob => ({
        ...{ kind: "generate", maker: name, modelPath: models[maker.model].path },
        conditions: allConditions[maker.conditions],
        ...(maker.system === undefined ? {} : { system: maker.system }),
        ...{ isPlain: maker.isPlain ?? false, asks: part },
      }),
    );
  });
}

/** Jobs that check those of these trials whose answers are there and that nobody has checked. */
export function planChecks(
  trials: readonly PlannedTrial[],
  { answers, done, models }: { answers: Answers; done: { has(key: string): boolean }; models: TrustModels },
): CheckJob[] {
  const textOf = (wanted: Wanted | undefined) => wanted && answers.get(answerKey(wanted))?.text;
  return [checker, copyFirst].flatMap((by) => {
    const ready = trials.flatMap((trial): CheckJob["trials"] => {
      const { adversary, ask, from, honest, otherSeed } = trial;
      const answer = answers.get(answerKey(from));
      if (trial.checker !== by || answer === undefined || done.has(keyOfPlanned(trial))) return [];
      const [honestText, otherSeedText] = [textOf(honest), textOf(otherSeed)];
      return [
        {
          ...{ adversary, ask, answer, isCompared: honest !== undefined },
          ...(honestText === undefined ? {} : { honestText }),
          ...(otherSeedText === undefined ? {} : { otherSeedText }),
        },
      ];
    });
    // The checker holds on to what it read last: claims of one prompt share its reading, those of one answer most of it.
    ready.sort((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1));
    const files = {
      ...{ honestPath: models.honest.path, encoderPath: models.encoder.path },
      ...(by === copyFirst ? { copyPath: models.copy.path } : {}),
    };
    return inParts(ready, jobSize.trials).map(
      (part): CheckJob => ({ kind: "check", checker: by, ...files, trials: part }),
    );
  });
}

const orderOf = ({ ask, answer }: CheckJob["trials"][number]) =>
  [ask.promptId, answer.maker, answer.ask.sampling, answer.ask.seed].join("|");

export function inParts<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, part) =>
    items.slice(part * size, (part + 1) * size),
  );
}

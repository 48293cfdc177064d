import type { AnswerRow } from "./answer-row.ts";
import type { SamplingName } from "./ask.ts";
import type { MakerName } from "./makers.ts";

/** What an adversary hands in for an ask. */
export interface Claim {
  tokenIds: readonly number[];
  text: string;
  finishReason: "stop" | "length";
  /** Added to the true number of prompt tokens. */
  extraPromptTokens?: number;
  /** Of each token as its maker's own model has it. */
  logprobs?: readonly number[];
}

/** Text and ids of the honest model's vocabulary. */
export interface Tongue {
  tokenize(text: string): number[];
  detokenize(tokenIds: readonly number[]): string;
  vocabularyTokens: number;
}

/** Which answer a claim is made from. */
export interface Source {
  maker: MakerName;
  /** As asked, unless given. */
  sampling?: SamplingName;
  /** Of the same prompt, drawn with its second seed. */
  isOtherSeed?: true;
  /** Of the next prompt. */
  isOtherPrompt?: true;
}

export interface Adversary {
  /** As the table has it. */
  title: string;
  trials: Partial<Record<SamplingName, number>>;
  /** True where each prompt is asked twice, with two seeds. */
  hasTwoSeeds?: true;
  source: (sampling: SamplingName, index: number) => Source;
  /** `undefined` where this answer gives no room for the cheat. */
  claim: (answer: AnswerRow, tongue: Tongue) => Claim | undefined;
}

const asIs = ({ tokenIds, text, finishReason, logprobs }: AnswerRow): Claim => ({
  ...{ tokenIds, text, finishReason },
  ...(logprobs === undefined ? {} : { logprobs }),
});
const both = (count: number) => ({ "T=0": count, "T=1": count });
/** An adversary that answers with another model, and tells its ids and its text as they are. */
const otherModel = (title: string, maker: MakerName, count: number): Adversary => ({
  ...{ title, trials: both(count), source: () => ({ maker }), claim: asIs },
});
/** One that starts from what the honest model says. */
const fromHonest = (title: string, claim: Adversary["claim"], count = 75): Adversary => ({
  ...{ title, trials: both(count), source: () => ({ maker: "honest" }), claim },
});

const canned =
  "That is a great question. There are many things to consider here, and the best answer depends on what you need. " +
  "In general it is a good idea to start with the basics, to take one step at a time, and to ask somebody who knows. " +
  "I hope that this helps you. Please let me know if there is anything else that I can do for you today.";

/** Every cheat of the table that a single answer shows, after the honest ones. */
export const adversaries = {
  honest: {
    title: "honest node, as a node runs by itself",
    trials: { "T=0": 1_000, "T=1": 1_200, "T=0.7": 400 },
    hasTwoSeeds: true,
    source: () => ({ maker: "honest" }),
    claim: asIs,
  },
  "honest alone": { ...otherModel("honest node, one answer at a time", "honest alone", 75) },
  "honest, 8-bit cache": { ...otherModel("honest node, 8-bit KV cache", "honest, 8-bit cache", 75) },
  "honest again": { ...otherModel("honest node, flash attention", "honest again", 75) },
  gemma: otherModel("another model, its own ids (gemma-3-270m)", "gemma", 75),
  "gemma retokenised": {
    title: "another model, its text in the honest model's ids",
    trials: both(500),
    source: () => ({ maker: "gemma" }),
    claim: ({ text, ask }, tongue) => inTongue({ text, most: ask.maxTokens }, tongue),
  },
  q4_0: { ...otherModel("Q4_0 for Q4_1", "q4_0", 200), trials: { ...both(200), "T=0.7": 100 } },
  q3_k_s: otherModel("Q3_K_S for Q4_1", "q3_k_s", 75),
  q8_0: otherModel("Q8_0 made of the Q4_1", "q8_0", 75),
  "perturbed-3%": otherModel("weights off by 3 %", "perturbed-3%", 75),
  "perturbed-1%": otherModel("weights off by 1 %", "perturbed-1%", 75),
  "perturbed-0.3%": otherModel("weights off by 0.3 %", "perturbed-0.3%", 75),
  canned: fromHonest("canned text", ({ ask }, tongue) => inTongue({ text: canned, most: ask.maxTokens }, tongue)),
  copied: {
    ...fromHonest("another prompt's answer", asIs),
    source: () => ({ maker: "honest", isOtherPrompt: true }),
  },
  truncated: fromHonest("half of the answer, said to have ended", ({ tokenIds }, tongue) =>
    cut(tokenIds, Math.floor(tokenIds.length / 2), "stop", tongue),
  ),
  "cut short": fromHonest("half of the answer, said to be all that was asked for", ({ tokenIds }, tongue) =>
    cut(tokenIds, Math.floor(tokenIds.length / 2), "length", tongue),
  ),
  padded: fromHonest("goes on after the end", (answer, tongue) => {
    if (answer.finishReason !== "stop") return undefined;
    const more = tongue.tokenize(` ${canned}`).slice(0, answer.ask.maxTokens - answer.tokenIds.length);
    const tokenIds = [...answer.tokenIds, ...more];
    return { tokenIds, text: tongue.detokenize(tokenIds), finishReason: "length" };
  }),
  "wrong count": fromHonest("a prompt of more tokens than it has", (answer) => ({
    ...asIs(answer),
    extraPromptTokens: 7,
  })),
  garbage: fromHonest("garbage after 16 tokens", ({ tokenIds, ask }, { detokenize }) => {
    if (tokenIds.length < 32) return undefined;
    // Ids of common tokens, the same for each seed.
    const ids = tokenIds.map((id, at) => (at < 16 ? id : 300 + ((ask.seed + at * 7_919) % 9_000)));
    return { tokenIds: ids, text: detokenize(ids), finishReason: "length" };
  }),
  "forged ids": fromHonest("other text than its ids spell", ({ tokenIds, finishReason }) => ({
    ...{ tokenIds, text: canned, finishReason },
  })),
  respelled: fromHonest("honest text in other ids", ({ text, finishReason, ask }, tongue) => {
    const ids = [...text].flatMap((character) => tongue.tokenize(character)).slice(0, ask.maxTokens);
    return { tokenIds: ids, text: tongue.detokenize(ids), finishReason };
  }),
  "other temperature": {
    ...fromHonest("another temperature (1 for 0, 0 for 1)", asIs, 100),
    source: (sampling) => ({ maker: "honest", sampling: sampling === "T=0" ? "T=1" : "T=0" }),
  },
  "near temperature": {
    ...fromHonest("temperature 0.7 and top-p 0.9 for 1 and 1", asIs),
    trials: { "T=1": 100 },
    source: () => ({ maker: "honest", sampling: "T=0.7" }),
  },
  "wide temperature": {
    ...fromHonest("temperature 1 and top-p 1 for 0.7 and 0.9", asIs),
    trials: { "T=0.7": 100 },
    source: () => ({ maker: "honest", sampling: "T=1" }),
  },
  "other seed": {
    ...fromHonest("another seed", asIs),
    trials: { "T=1": 100 },
    source: () => ({ maker: "honest", isOtherSeed: true }),
  },
  "other system prompt": otherModel("a system prompt of its own", "other system prompt", 75),
} as const satisfies Record<string, Adversary>;
export type AdversaryName = keyof typeof adversaries;
export const adversaryNames = Object.keys(adversaries) as AdversaryName[];

/** Names whose rows are of honest nodes. */
export const isHonest = (name: string) => name.startsWith("honest");

function inTongue({ text, most }: { text: string; most: number }, { tokenize, detokenize }: Tongue): Claim | undefined {
  const tokenIds = tokenize(text).slice(0, most);
  if (tokenIds.length === 0) return undefined;
  const isCut = tokenIds.length === most;
  return { tokenIds, text: detokenize(tokenIds), finishReason: isCut ? "length" : "stop" };
}

function cut(
  tokenIds: readonly number[],
  count: number,
  finishReason: "stop" | "length",
  { detokenize }: Tongue,
): Claim | undefined {
  if (count < 8) return undefined;
  const kept = tokenIds.slice(0, count);
  return { tokenIds: kept, text: detokenize(kept), finishReason };
}

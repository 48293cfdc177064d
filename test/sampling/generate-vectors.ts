import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LlamaModel } from "node-llama-cpp";
import { chooseToken } from "../../core/decoding/choose-token.ts";
import { claimMargin } from "../../core/decoding/claim-margin.ts";
import { gumbelNoise, philoxWords } from "../../core/decoding/gumbel-noise.ts";
import type { Candidate, DecodingRules } from "../../core/decoding/ranked-candidates.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { writeTinyChatModel } from "../models/tiny-gguf.ts";
import { tinyChatVocabulary } from "../models/tiny-vocabulary.ts";
import { type SamplingVectors, vectorsFile } from "./vectors.ts";

/** Writes docs/sampling-vectors.json: answers of the tiny model with random weights under many rules. */

const plain: DecodingRules = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 42 };
const space = tinyChatVocabulary.tokens.indexOf("Ġ");
/** As a grammar would that lets small letters through alone. */
const notLetters = tinyChatVocabulary.tokens.flatMap((text, id) => (/^[a-z]+$/.test(text) ? [] : [id]));

const answers: readonly { name: string; rules: DecodingRules; tokens?: number; forbidden?: readonly number[] }[] = [
  { name: "temperature 0", rules: { ...plain, temperature: 0 } },
  { name: "temperature 1", rules: plain },
  { name: "temperature 2, the greatest seed", rules: { ...plain, temperature: 2, seed: 0xffff_ffff } },
  { name: "top-k", rules: { ...plain, temperature: 2, topK: 5, seed: 0 } },
  { name: "top-p", rules: { ...plain, temperature: 2, topP: 0.4, seed: 7 } },
  { name: "min-p", rules: { ...plain, temperature: 2, minP: 0.3, seed: 8 } },
  { name: "top-k, top-p and min-p", rules: { ...plain, temperature: 1.3, topK: 40, topP: 0.8, minP: 0.15, seed: 9 } },
  { name: "bias", rules: { ...plain, logitBias: [[space, 4], [0, 3.5], [101, -100]], seed: 10 } }, // biome-ignore format: one line
  { name: "penalties", rules: { ...plain, temperature: 0.5, frequencyPenalty: 1, presencePenalty: 0.6 }, tokens: 8 },
  { name: "negative penalties", rules: { ...plain, temperature: 0.5, frequencyPenalty: -1, presencePenalty: -0.6 } },
  { name: "a mask", rules: { ...plain, topP: 0.9, seed: 11 }, forbidden: notLetters },
];
const defaultTokens = 3;

const folder = mkdtempSync(join(tmpdir(), "sampling-vectors-"));
const modelPath = join(folder, "chat.gguf");
writeTinyChatModel(modelPath, { seed: 1 });
const llama = await openLlama({ gpu: false, threads: 1 });
const model = await llama.loadModel({ modelPath });
const vectors: SamplingVectors = { noise: noise(), answers: [] };
for (const answer of answers) vectors.answers.push(await vectorsOf(model, answer));
writeFileSync(vectorsFile, `${JSON.stringify(vectors)}\n`);
await llama.dispose();
rmSync(folder, { recursive: true });

function noise(): SamplingVectors["noise"] {
  const places = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [42, 7, 49_151], [0xffff_ffff, 4_095, 262_143]]; // biome-ignore format: one line
  return places.map(([seed = 0, position = 0, tokenId = 0]) => {
    const place = { seed, position, tokenId };
    const [first, second] = philoxWords(place);
    return { ...place, words: [first, second], noise: gumbelNoise(place) };
  });
}

async function vectorsOf(
  model: LlamaModel,
  { name, rules, tokens = defaultTokens, forbidden = [] }: (typeof answers)[number],
): Promise<SamplingVectors["answers"][number]> {
  const context = await model.createContext({ contextSize: 128, threads: 1 });
  const sequence = context.getSequence();
  const all = [...model.iterateAllTokens()];
  const steps: SamplingVectors["answers"][number]["steps"] = [];
  const counts = new Map<number, number>();
  let unread = model.tokenize("tell me a story");
  for (let position = 0; position < tokens; position++) {
    const [last] = unread.slice(-1);
    if (last === undefined) throw new Error("nothing is read");
    const read = await sequence.controlledEvaluate([
      ...unread.slice(0, -1),
      [last, { generateNext: { logits: true } }],
    ]);
    const byToken = read.at(-1)?.next.logits;
    if (byToken === undefined) throw new Error("no logits came");
    // Nine digits tell 32-bit numbers apart; the vectors are of what is written.
    const logits = all.map((token) => Number((byToken.get(token) ?? Number.NaN).toPrecision(9)));
    const shut = new Set(forbidden);
    const candidates = logits.flatMap((logit, id): Candidate[] => (shut.has(id) ? [] : [[id, logit]]));
    const choice = chooseToken(candidates, rules, { counts, position });
    const token = choice === undefined ? undefined : all[choice];
    if (choice === undefined || token === undefined) throw new Error("no token was chosen");
    const likely = candidates.toSorted(([, one], [, other]) => other - one).map(([id]) => id);
    const claimed = [[choice], [likely[1] ?? 0], [likely[30] ?? 0], [likely[80] ?? 0, choice], [likely.at(-1) ?? 0]];
    const claims = [...claimed, ...(forbidden.length > 0 ? [[forbidden[0] ?? 0]] : [])].map((tokenIds) => ({
      ...{ tokenIds, ...claimMargin(tokenIds, candidates, rules, { counts, position }) },
    }));
    steps.push({ logits, forbidden: [...forbidden], choice, claims });
    counts.set(choice, (counts.get(choice) ?? 0) + 1);
    unread = [token];
  }
  await context.dispose();
  return { name, rules, steps };
}

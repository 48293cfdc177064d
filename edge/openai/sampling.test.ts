import { expect, test } from "vitest";
import { toSampling } from "./sampling.ts";

const rest = { maxTokens: null, topLogprobs: undefined };

test.each<[guarantee: string, fields: object, sampling: object]>([
  ["top_k is taken as it is", { top_k: 40 }, { topK: 40 }],
  ["there are 64 tokens to choose from, so as many are no bound", { top_k: 64 }, {}],
  ["more than there are is no bound", { top_k: 1_000 }, {}],
  ["0 is no bound, as at vLLM", { top_k: 0 }, {}],
  ["-1 is no bound, as at vLLM", { top_k: -1 }, {}],
  ["min_p is taken as it is", { min_p: 0.1 }, { minP: 0.1 }],
  ["a min_p of 0 asks for nothing", { min_p: 0 }, {}],
])("%s", (_guarantee, fields, expected) => {
  const { topK, minP } = toSampling(fields, rest);
  expect({ ...(topK === undefined ? {} : { topK }), ...(minP === undefined ? {} : { minP }) }).toEqual(expected);
});

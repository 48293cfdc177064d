import { expect, test } from "vitest";
import { chatInputSchema, completionInputSchema, embedInputSchema } from "../wire/task-input.ts";
import { checkerOf, isCheckable } from "./is-checkable.ts";

const sampling = {
  ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1 },
  ...{ stop: [], maxTokens: null },
};
const chat = (fields: object = {}, sampled: object = {}) =>
  chatInputSchema.parse({
    ...{ kind: "chat", messages: [{ role: "user", content: "Hello" }], ...fields },
    sampling: { ...sampling, ...sampled },
  });
const tools = [{ name: "clock", parameters: {}, isStrict: false }];

test.each([
  ["at temperature 0", chat(), true],
  ["of a text, at temperature 0", completionInputSchema.parse({ kind: "completion", prompt: "One", sampling }), true],
  ["in vectors", embedInputSchema.parse({ kind: "embedding", texts: ["One"] }), false],
  ["that was drawn", chat({}, { temperature: 0.1 }), false],
  ["with a frequency penalty", chat({}, { frequencyPenalty: 1 }), false],
  ["with a presence penalty", chat({}, { presencePenalty: -1 }), false],
  ["in a format", chat({ format: { type: "json_object" } }), false],
  ["with tools", chat({ tools }), false],
] as const)("an answer of a server's own sampler %s", (_what, input, can) => {
  expect(isCheckable(input, "own")).toBe(can);
  // What this project's engine chose can be made again in any case.
  expect(isCheckable(input, "verifiable")).toBe(true);
});

test.each([
  ["servers' own samplers", chat(), ["own", "own"], "plainValidator"],
  ["a server's own sampler, with a bias", chat({}, { logitBias: [[1, 5]] }), ["own"], "validator"],
  ["this project's engine", chat(), ["verifiable"], "validator"],
  ["an engine that does not say otherwise", chat(), [undefined], "validator"],
  ["a server's own sampler, continued by this project's engine", chat(), ["own", "verifiable"], "validator"],
  ["a model of vectors", embedInputSchema.parse({ kind: "embedding", texts: ["One"] }), ["own"], "validator"],
] as const)("an answer of %s is checked by whom it can be", (_what, input, decodings, checker) => {
  expect(checkerOf(input, decodings)).toBe(checker);
});

import { expect, test } from "vitest";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { completionInputSchema } from "../../core/wire/task-input.ts";
import { parseCompletionRequest } from "./completion-request.ts";

const once = { model: "model", prompt: "Once" };

function refusalOf(fields: object): { code: string; param: string | undefined } {
  try {
    parseCompletionRequest({ ...once, ...fields });
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("the body was taken");
}

test("a request that says nothing else gets OpenAI's defaults: 16 tokens", () => {
  const order = parseCompletionRequest(once);
  expect(order).toMatchObject({ model: "model", isEcho: false, isStream: false, includeUsage: false });
  expect(order.inputs).toMatchObject([
    { kind: "completion", prompt: "Once", sampling: { maxTokens: 16, temperature: 1 } },
  ]);
  for (const input of order.inputs) expect(completionInputSchema.parse(input)).toEqual(input);
});

test.each<[prompt: unknown, prompts: unknown[]]>([
  ["a", ["a"]],
  [
    ["a", "b"],
    ["a", "b"],
  ],
  [[5, 0], [[5, 0]]],
  [
    [[5], [7, 8]],
    [[5], [7, 8]],
  ],
])("the prompt %j is %j", (prompt, prompts) => {
  expect(parseCompletionRequest({ ...once, prompt }).inputs.map((input) => input.prompt)).toEqual(prompts);
});

test("each prompt's choices stand in a row, with other draws each", () => {
  const { inputs } = parseCompletionRequest({ ...once, prompt: ["a", "b"], n: 2, seed: 7 });
  expect(inputs.map(({ prompt, sampling }) => [prompt, sampling.seed])).toEqual([
    ["a", 7],
    ["a", 8],
    ["b", 7],
    ["b", 8],
  ]);
});

test.each<[guarantee: string, fields: object, code: string, param: string]>([
  ["a prompt is required", { prompt: undefined }, "missing_required_parameter", "prompt"],
  ["an empty list is none", { prompt: [] }, "invalid_value", "prompt"],
  ["texts and ids do not mix", { prompt: ["a", 1] }, "invalid_value", "prompt"],
  ["no tokens are too few", { max_tokens: 0 }, "invalid_value", "max_tokens"],
  ["six likeliest are too many", { logprobs: 6 }, "invalid_value", "logprobs"],
  ["the best of more than are given is refused", { best_of: 3 }, "invalid_value", "best_of"],
  ["an echo of ids is refused", { prompt: [1], echo: true }, "invalid_value", "echo"],
  ["a suffix is refused", { suffix: "the end" }, "unsupported_parameter", "suffix"],
  ["other trust is refused", { network: { trust: "consensus" } }, "unsupported_parameter", "network.trust"],
])("%s", (_guarantee, fields, code, param) => {
  const { param: found, ...rest } = refusalOf(fields);
  expect({ ...rest, param: found?.replace(/\[.*/, "") }).toEqual({ code, param });
});

test("prompts times choices have a bound", () => {
  const prompt = Array.from({ length: limits.completions / 2 }, () => "a");
  expect(parseCompletionRequest({ ...once, prompt, n: 2 }).inputs).toHaveLength(limits.completions);
  expect(refusalOf({ prompt, n: 3 })).toEqual({ code: "invalid_value", param: "prompt" });
});

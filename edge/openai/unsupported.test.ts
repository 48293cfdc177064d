import { expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import { refuseUnsupported } from "./unsupported.ts";

const names = ["tools", "n", "logprobs"];
const neutral = { n: (value: unknown) => value === 1 };

function refusedParam(body: object): string | undefined {
  try {
    refuseUnsupported(body, names, neutral);
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(error.code).toBe("unsupported_parameter");
    return error.param;
  }
}

test.each<[guarantee: string, body: object]>([
  ["a body without the parameter passes", {}],
  ["an undefined value asks for nothing", { tools: undefined }],
  ["null asks for nothing", { tools: null }],
  ["false asks for nothing", { logprobs: false }],
  ["an empty list asks for nothing", { tools: [] }],
  ["an empty object asks for nothing", { tools: {} }],
  ["a value listed as neutral asks for nothing", { n: 1 }],
  ["a parameter that is not on the list is not looked at", { user: "someone", metadata: { a: 1 } }],
])("%s", (_guarantee, body) => {
  expect(refusedParam(body)).toBeUndefined();
});

test.each<[guarantee: string, body: object, param: string]>([
  ["a list that holds something is refused", { tools: [{}] }, "tools"],
  ["an object that holds something is refused", { tools: { a: 1 } }, "tools"],
  ["true is refused", { logprobs: true }, "logprobs"],
  ["zero is a value like any other", { n: 0 }, "n"],
  ["an empty text is a value like any other", { tools: "" }, "tools"],
  ["a value that only resembles a neutral one is refused", { n: "1" }, "n"],
  ["the first that asks for something is the one named", { tools: [], n: 2, logprobs: true }, "n"],
])("%s", (_guarantee, body, param) => {
  expect(refusedParam(body)).toBe(param);
});

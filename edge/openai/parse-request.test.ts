import { expect, test } from "vitest";
import { z } from "zod";
import { Refusal } from "../../core/refusal.ts";
import { paramOf, parseRequest } from "./parse-request.ts";

const schema = z.object({
  name: z.string().min(1, "must not be empty"),
  size: z.int("must be a whole number").max(9, "must be at most 9").nullish(),
  kind: z.enum(["a", "b"], { error: "use a or b" }).optional(),
  parts: z.array(z.object({ text: z.string(), role: z.enum(["user"], { error: "use user" }) })).optional(),
  either: z
    .union([z.string(), z.array(z.object({ type: z.literal("text", { error: "only text" }), text: z.string() }))], {
      error: "must be a text or a list of parts",
    })
    .optional(),
});

/** The refusal of a body; the body itself where it was taken. */
function refusalOf(body: unknown): unknown {
  try {
    return parseRequest(schema, body);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { code: error.code, param: error.param, message: error.message };
  }
}

test("a body that fits comes back as the schema has it, without what the schema does not know", () => {
  expect(refusalOf({ name: "n", size: null, either: "text", unknown: 1 })).toEqual({
    name: "n",
    size: null,
    either: "text",
  });
});

test.each<[guarantee: string, body: unknown]>([
  ["a list is no request", [{ name: "n" }]],
  ["a text is no request", "name"],
  ["a number is no request", 7],
  ["null is no request", null],
  ["nothing is no request", undefined],
])("%s", (_guarantee, body) => {
  expect(refusalOf(body)).toEqual({
    code: "invalid_request",
    param: undefined,
    message: "The body must be one JSON object.",
  });
});

test.each<[guarantee: string, body: object, code: string, param: string, message: RegExp]>([
  [
    "a missing text is told as missing",
    {},
    "missing_required_parameter",
    "name",
    /^Missing required parameter: 'name'/,
  ],
  ["null is not missing but wrong", { name: null }, "invalid_value", "name", /^Invalid value for 'name'/],
  ["a value of another type is wrong", { name: 1 }, "invalid_value", "name", /expected string/],
  ["a bound is told in words", { name: "" }, "invalid_value", "name", /must not be empty\.$/],
  ["a fraction is told in words", { name: "n", size: 1.5 }, "invalid_value", "size", /must be a whole number\.$/],
  ["a number past its bound is told in words", { name: "n", size: 10 }, "invalid_value", "size", /at most 9\.$/],
  ["a value outside a list is told in words", { name: "n", kind: "c" }, "invalid_value", "kind", /use a or b\.$/],
  [
    "a field missing in a list is named with its place",
    { name: "n", parts: [{ text: "", role: "user" }, { role: "user" }] },
    "missing_required_parameter",
    "parts[1].text",
    /^Missing required parameter: 'parts\[1\]\.text'/,
  ],
  [
    "a missing one of a list of values is missing too",
    { name: "n", parts: [{ text: "" }] },
    "missing_required_parameter",
    "parts[0].role",
    /^Missing required parameter: 'parts\[0\]\.role'\. About it: use user\.$/,
  ],
  [
    "where no form of a field fits, the field is named",
    { name: "n", either: 3 },
    "invalid_value",
    "either",
    /must be a text or a list of parts\.$/,
  ],
  [
    "inside a form of a field, the place that is wrong is named",
    { name: "n", either: [{ type: "image" }] },
    "invalid_value",
    "either[0].type",
    /only text\.$/,
  ],
])("%s", (_guarantee, body, code, param, message) => {
  expect(refusalOf(body)).toEqual({ code, param, message: expect.stringMatching(message) });
});

test("a refusal never repeats the value that was sent", () => {
  const secret = "what-the-caller-sent";
  expect(JSON.stringify(refusalOf({ name: "n", kind: secret, size: secret }))).not.toContain(secret);
});

test.each<[path: PropertyKey[], text: string]>([
  [[], ""],
  [["model"], "model"],
  [["messages", 0, "content"], "messages[0].content"],
  [["stop", 3], "stop[3]"],
  [["messages", 0, "content", 1, "type"], "messages[0].content[1].type"],
])("the path %j is written %s", (path, text) => {
  expect(paramOf(path)).toBe(text);
});

import { expect, test } from "vitest";
import type { JsonSchema } from "../../../core/wire/task-input.ts";
import { SchemaError, schemaGrammar } from "./schema-grammar.ts";

test.each<[what: string, schema: JsonSchema, problem: RegExp]>([
  ["a word that cannot be enforced", { type: "integer", multipleOf: 2 }, /'multipleOf' cannot be enforced/],
  ["a word of another type", { type: "boolean", maxLength: 2 }, /'maxLength'/],
  ["a negation", { not: { type: "string" } }, /'not'/],
  ["a reference to elsewhere", { $ref: "https://example.com/schema.json" }, /must point into this schema/],
  ["a reference to nothing", { $ref: "#/$defs/none" }, /where there is nothing/],
  ["a loop of references", { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }, /calls itself without an end/],
  [
    "a value that holds itself",
    { type: "object", properties: { own: { $ref: "#" } }, required: ["own"] },
    /calls itself without an end/,
  ],
  ["a type that there is not", { type: "text" }, /no type "text"/],
  ["bounds with nothing between", { type: "integer", minimum: 3, maximum: 2 }, /no integer lies within/],
  [
    "integers between two that follow each other",
    { type: "integer", exclusiveMinimum: 1, exclusiveMaximum: 2 },
    /no integer/,
  ],
  ["a length with nothing between", { type: "string", minLength: 3, maxLength: 2 }, /no text has 3 to 2/],
  ["a look-ahead", { type: "string", pattern: "^(?=a)a$" }, /'\(\?'/],
  ["a back-reference", { type: "string", pattern: "^(a)\\1$" }, /'\\1' is not understood/],
  ["a pattern that repeats too often", { type: "string", pattern: "^(a{1000}){1001}$" }, /repeats more than/],
  ["a pattern and a length", { type: "string", pattern: "^a$", maxLength: 1 }, /only one can be enforced/],
  ["branches that are not apart", { oneOf: [{ type: "integer" }, { type: "number" }] }, /type of its own/],
  ["a required member that there is not", { type: "object", properties: {}, required: ["a"] }, /no property/],
  ["an unknown format", { type: "string", format: "colour" }, /no "colour"/],
  ["nesting past the limit", deep(80), /more than 64 levels/],
])("%s is refused by name", (_what, schema, problem) => {
  expect(() => schemaGrammar(schema)).toThrow(SchemaError);
  expect(() => schemaGrammar(schema)).toThrow(problem);
});

test.each<[what: string, schema: JsonSchema]>([
  [
    "a recursion that can end",
    { type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } }, required: ["next"] },
  ],
  ["words about a value", { type: "string", title: "t", description: "d", default: "x", examples: [] }],
  ["no word at all", {}],
  ["one constant", { const: { a: [1, null] } }],
  ["branches of types of their own", { oneOf: [{ type: "integer" }, { type: "string" }] }],
])("%s has a grammar", (_what, schema) => {
  expect(schemaGrammar(schema)).toMatch(/^root ::= /);
});

function deep(levels: number): JsonSchema {
  return levels === 0 ? { type: "null" } : { type: "array", items: deep(levels - 1) };
}

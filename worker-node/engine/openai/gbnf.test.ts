import { afterAll, expect, test } from "vitest";
import type { JsonSchema } from "../../../core/wire/task-input.ts";
import { randomSchema } from "../../../test/models/random-schema.ts";
import { schemaGrammar } from "../grammar/schema-grammar.ts";
import { openLlama } from "../open-llama.ts";
import { probeSchema } from "./probe-features.ts";

const llama = await openLlama({ gpu: false, threads: 1, logError: () => {} });
afterAll(() => llama.dispose());

/** llama.cpp's own parser, as llama-server has it; it throws where it does not understand. */
const parse = (schema: JsonSchema) => llama.createGrammar({ grammar: schemaGrammar(schema) });

test.each<[what: string, schema: JsonSchema]>([
  ["the probe's", probeSchema],
  ["of any object", { type: "object" }],
  ["of a recursion", { $defs: { a: { type: ["array"], items: { $ref: "#/$defs/a" } } }, $ref: "#/$defs/a" }],
  ["of texts with every escape", { enum: ['"\\\n\t\u0000\u007f', "größe 😀", "[a-z]"] }],
  ["of a pattern", { type: "string", pattern: "^[A-F]{2,3}(x|y)+\\.$" }],
])("a grammar %s is one that llama.cpp reads too", async (_what, schema) => {
  expect(await parse(schema)).toBeDefined();
});

test("grammars of random schemas are such that llama.cpp reads too", async () => {
  for (let seed = 0; seed < 200; seed++) expect(await parse(randomSchema(seed)), `seed ${seed}`).toBeDefined();
});

test("what llama.cpp does not read is noticed", async () => {
  await expect(llama.createGrammar({ grammar: "root ::= ref_0\nref_0 ::= [a-z" })).rejects.toThrow();
});

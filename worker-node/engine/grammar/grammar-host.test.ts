import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { philoxWords } from "../../../core/decoding/gumbel-noise.ts";
import type { JsonSchema } from "../../../core/wire/task-input.ts";
import { randomSchema } from "../../../test/models/random-schema.ts";
import { tinyChatVocabulary } from "../../../test/models/tiny-vocabulary.ts";
import { afterBytes, betweenCharacters } from "../utf8-state.ts";
import { makeVocabulary } from "../vocabulary.ts";
import { GrammarHost } from "./grammar-host.ts";
import type { GrammarSource } from "./grammar-source.ts";
import { schemaGrammar } from "./schema-grammar.ts";

const { tokens, special } = tinyChatVocabulary;
const types = tokens.map((_, id) => (Object.values(special).some((own) => own === id) ? 3 : 1));
const vocabulary = makeVocabulary({ ggml: { model: "gpt2", tokens, token_type: types } }, () => "");
const spellings = vocabulary.spellings();
/** A token without text ends an answer here. */
const endId = spellings.indexOf("");
const quoteId = spellings.indexOf('"');
const digitId = spellings.indexOf("7");
let host: GrammarHost;
beforeAll(() => {
  host = new GrammarHost({ texts: spellings, endIds: [endId] });
});
afterAll(() => host.dispose());

/** A number from 0 up to 1 for a position of an answer. */
const drawAt = (seed: number, position: number) => philoxWords({ seed, position, tokenId: 0 })[0] / 2 ** 32;

/** An answer whose every token is drawn from those that may come; ends as soon as it may, past a length. */
async function drawAnswer(source: GrammarSource, seed: number): Promise<string> {
  const matcher = await host.open(source, { tokenIds: [], param: "response_format" });
  const bytes: number[] = [];
  try {
    let mask = matcher.first;
    let state = betweenCharacters;
    for (let position = 0; position < 2_000; position += 1) {
      const ids = mask.ids() ?? [];
      const mayEnd = ids.includes(endId);
      // As the engine does: a grammar takes bytes for characters that are none.
      const others = ids.filter((id) => id !== endId && afterBytes(state, vocabulary.bytesOf(id)) !== undefined);
      if (others.length === 0 || (mayEnd && drawAt(seed + 1, position) < 0.5))
        return Buffer.from(bytes).toString("utf8");
      // A text without a bound, or one that waits for digits, would else go on for long.
      const draw = drawAt(seed + 2, position);
      const wanted = draw < 0.2 ? quoteId : draw < 0.5 ? digitId : -1;
      const id = others.includes(wanted) ? wanted : (others[Math.floor(drawAt(seed, position) * others.length)] ?? 0);
      bytes.push(...vocabulary.bytesOf(id));
      state = afterBytes(state, vocabulary.bytesOf(id)) ?? betweenCharacters;
      const next = await matcher.accept(id);
      if (next === undefined) return Buffer.from(bytes).toString("utf8");
      mask = next;
    }
  } finally {
    matcher.close();
  }
  throw new Error(`no end after 2,000 tokens: ${Buffer.from(bytes).toString("utf8").slice(0, 300)}`);
}

const schemas: readonly (readonly [what: string, schema: JsonSchema])[] = [
  ["integers within bounds", { type: "integer", minimum: -12, maximum: 1_234 }],
  ["integers above a bound", { type: "integer", exclusiveMinimum: 7.5 }],
  ["integers below a negative bound", { type: "integer", maximum: -98 }],
  ["numbers within bounds", { type: "number", minimum: -1.5, maximum: 2.25 }],
  ["numbers between two fractions", { type: "number", exclusiveMinimum: 0.2, exclusiveMaximum: 0.75 }],
  ["numbers above a bound", { type: "number", minimum: 99.5 }],
  ["numbers without bounds", { type: "number" }],
  ["a text of a length", { type: "string", minLength: 2, maxLength: 5 }],
  ["a text of a pattern", { type: "string", pattern: "^[a-c]+-(x|yz){2,3}\\.?$" }],
  ["a text with a pattern anywhere", { type: "string", pattern: "[0-9]{3}" }],
  ["a list of a length", { type: "array", items: { enum: [1, "two", null] }, minItems: 2, maxItems: 3 }],
  [
    "members of which some may lack",
    { type: "object", properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, required: ["b"] },
  ],
  ["a map", { type: "object", additionalProperties: { type: "boolean" } }],
  ["two types", { type: ["boolean", "null"] }],
];

test.each(schemas)("every answer of a grammar fits its schema: %s", async (_what, schema) => {
  const fits = new Ajv2020({ strict: false }).compile(schema);
  const ebnf = schemaGrammar(schema);
  for (let seed = 1; seed <= 10; seed += 1) {
    const text = await drawAnswer({ type: "text", ebnf }, seed);
    expect([text, fits(parsed(text))]).toEqual([text, true]);
  }
});

test("every answer of a schema drawn from a seed fits it", async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const schema = randomSchema(seed);
    const fits = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    const text = await drawAnswer({ type: "text", ebnf: schemaGrammar(schema) }, seed);
    expect([seed, text, fits(JSON.parse(text))]).toEqual([seed, text, true]);
  }
}, 60_000);

test("forced calls come one after the other in their form, and nothing beside them", async () => {
  const ebnf = schemaGrammar({ type: "object", properties: { city: { enum: ["Rome", "Oslo"] } }, required: ["city"] });
  const calls = [
    { name: "weather", ebnf },
    { name: "time", ebnf },
  ];
  const one = '<tool_call>\n\\{"name": "(weather|time)", "arguments": \\{"city": "(Rome|Oslo)"\\}\\}\n</tool_call>';
  for (let seed = 1; seed <= 5; seed += 1) {
    const single = await drawAnswer({ type: "calls", calls, isForced: true, isSingle: true }, seed);
    expect(single).toMatch(new RegExp(`^${one}$`));
    const several = await drawAnswer({ type: "calls", calls, isForced: true, isSingle: false }, seed);
    expect(several).toMatch(new RegExp(`^${one}(\n${one})*$`));
  }
});

test("a matcher goes on after the tokens of an answer that another began", async () => {
  const ebnf = schemaGrammar({ enum: ["abc", "abd"] });
  const idOf = (text: string) => spellings.indexOf(text);
  const began = ['"', "a", "b"].map(idOf);
  const matcher = await host.open({ type: "text", ebnf }, { tokenIds: began, param: "response_format" });
  expect([...'abcd"'].filter((character) => matcher.first.allows(idOf(character)))).toEqual(["c", "d"]);
  expect((await matcher.accept(idOf("c")))?.allows(idOf('"'))).toBe(true);
  matcher.close();
  await expect(host.open({ type: "text", ebnf }, { tokenIds: [idOf("x")], param: "response_format" })).rejects.toThrow(
    /does not fit the grammar/,
  );
});

test("a grammar that cannot be read is the task's fault, and harms no other", async () => {
  const broken = host.open({ type: "text", ebnf: "root ::= (" }, { tokenIds: [], param: "tools" });
  await expect(broken).rejects.toMatchObject({ name: "UnsupportedTaskError", param: "tools" });
  expect(await drawAnswer({ type: "text", ebnf: schemaGrammar({ const: 1 }) }, 1)).toBe("1");
});

/** A text as JSON, or what is wrong with it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return new Error(`${text} is no JSON`, { cause: error });
  }
}

import { Ajv2020 } from "ajv/dist/2020.js";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { randomSchema } from "../models/random-schema.ts";
import { DevnetProcess, newFolder } from "./devnet-process.ts";

const model = "smollm2-135m-instruct";
/** Requests at once: as many as two nodes take. */
const atOnce = 4;

const { STRUCTURED_RUNS: runs } = z
  .object({ STRUCTURED_RUNS: z.coerce.number().int().min(1).max(10_000).default(16) })
  .parse(process.env);

let devnet: DevnetProcess;
let client: OpenAI;
beforeAll(async () => {
  devnet = await DevnetProcess.start({ folder: newFolder(), models: [model], nodes: 2, slots: 2, cache: "shared" });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0, timeout: 600_000 });
});
afterAll(() => devnet.remove());

/** What is wrong with the answer of one schema; `undefined` where it ended by itself, parses and fits. */
async function problemOf(seed: number): Promise<string | undefined> {
  const schema = randomSchema(seed);
  const { choices } = await client.chat.completions.create({
    model,
    seed,
    temperature: 1,
    max_tokens: 1_500,
    messages: [{ role: "user", content: "Describe something as JSON." }],
    response_format: { type: "json_schema", json_schema: { name: "thing", strict: true, schema } },
  });
  const [{ finish_reason: reason, message: { content } = { content: null } } = { finish_reason: "none" }] = choices;
  const told = `seed ${seed}: ${JSON.stringify(schema)} gave ${content}`;
  if (reason !== "stop") return `${told}, which ended by ${reason}`;
  const fits = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  try {
    if (fits(JSON.parse(content ?? ""))) return undefined;
  } catch {
    return `${told}, which is no JSON`;
  }
  return `${told}: ${JSON.stringify(fits.errors)}`;
}

test(`answers of ${runs} schemas drawn from a seed all end by themselves, parse and fit`, async () => {
  const problems: string[] = [];
  let next = 1;
  const worker = async () => {
    for (let seed = next++; seed <= runs; seed = next++) {
      const problem = await problemOf(seed);
      if (problem !== undefined) problems.push(problem);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  expect(problems).toEqual([]);
  console.log(`structured: ${runs} of ${runs} answers fit their schemas`);
}, 3_600_000);

test("without the mask the same model does not fit such a schema: the control", async () => {
  const fits = new Ajv2020({ strict: false, validateFormats: false });
  const outcomes = await Promise.all(
    [1, 2, 3, 4].map(async (seed) => {
      const schema = randomSchema(seed);
      const content = `Answer with JSON alone that fits this schema: ${JSON.stringify(schema)}`;
      const { choices } = await client.chat.completions.create({
        ...{ model, seed, temperature: 1, max_tokens: 200, messages: [{ role: "user", content }] },
      });
      try {
        return fits.validate(schema, JSON.parse(choices[0]?.message.content ?? ""));
      } catch {
        return false;
      }
    }),
  );
  expect(outcomes).toContain(false);
});

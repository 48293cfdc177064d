// An answer that fits a schema, whatever the model: npx node examples/structured-output.ts
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const schema = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 30 },
    size: { enum: ["small", "large"] },
    sights: { type: "array", items: { type: "string", maxLength: 20 }, maxItems: 3 },
  },
  required: ["city", "size", "sights"],
  additionalProperties: false,
};

const client = new OpenAI(findRouter());
const { choices } = await client.chat.completions.create({
  model: "smollm2-135m-instruct",
  temperature: 0,
  max_tokens: 200,
  messages: [{ role: "user", content: process.argv[2] ?? "Describe a city in Norway." }],
  response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema } },
});
console.log(JSON.stringify(JSON.parse(choices[0]?.message.content ?? ""), null, 2));

// A conversation that the router keeps: npx node examples/responses.ts
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const common = { model: "smollm2-135m-instruct", temperature: 0, max_output_tokens: 60 };

const first = await client.responses.create({ ...common, input: "My name is Ada. What is the capital of France?" });
console.log(first.output_text);

const stream = await client.responses.create({
  ...{ ...common, previous_response_id: first.id, input: "And what is my name?", stream: true },
});
for await (const event of stream) if (event.type === "response.output_text.delta") process.stdout.write(event.delta);
console.log();

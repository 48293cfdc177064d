// The same, token by token, with the counts at the end: npx node examples/stream.ts
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const stream = await client.chat.completions.create({
  model: "smollm2-135m-instruct",
  max_tokens: 80,
  stream: true,
  stream_options: { include_usage: true },
  messages: [{ role: "user", content: process.argv[2] ?? "Tell me a very short story." }],
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  if (chunk.usage) console.log(`\n${chunk.usage.prompt_tokens} tokens in, ${chunk.usage.completion_tokens} out`);
}

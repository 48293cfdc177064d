// The AI SDK on this network: npx node examples/ai-sdk.ts
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";
import { findRouter } from "./find-router.ts";

const network = createOpenAICompatible({ name: "cortensor-edge", includeUsage: true, ...findRouter() });
const stream = streamText({
  model: network("smollm2-135m-instruct"),
  temperature: 0,
  maxOutputTokens: 60,
  system: "You are a helpful assistant.",
  prompt: process.argv[2] ?? "What is the capital of France?",
});
for await (const text of stream.textStream) process.stdout.write(text);
console.log(`\n${(await stream.usage).outputTokens} tokens`);

// The same network through Anthropic's client: npx node examples/anthropic.ts
import Anthropic from "@anthropic-ai/sdk";
import { findRouter } from "./find-router.ts";

const { baseURL, apiKey } = findRouter();
// Anthropic's client puts /v1 before its paths itself.
const client = new Anthropic({ apiKey, baseURL: baseURL.replace(/\/v1$/, "") });
const stream = client.messages.stream({
  model: "smollm2-135m-instruct",
  max_tokens: 60,
  temperature: 0,
  system: "You are a helpful assistant.",
  messages: [{ role: "user", content: process.argv[2] ?? "What is the capital of France?" }],
});
stream.on("text", (text) => process.stdout.write(text));
const { stop_reason: reason, usage } = await stream.finalMessage();
console.log(`\n${reason}: ${usage.input_tokens} tokens in, ${usage.output_tokens} out`);

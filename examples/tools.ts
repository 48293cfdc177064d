// A question that takes a tool, and the answer with what the tool said: npx node examples/tools.ts
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const model = "smollm2-135m-instruct";
const messages: OpenAI.ChatCompletionMessageParam[] = [
  { role: "user", content: process.argv[2] ?? "What is the weather in Oslo?" },
];
const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city, now",
      parameters: {
        type: "object",
        properties: { city: { type: "string", maxLength: 30 } },
        required: ["city"],
        additionalProperties: false,
      },
      strict: true,
    },
  },
];

// "required" forces a call; "auto" leaves it to the model.
const first = await client.chat.completions.create({
  ...{ model, messages, tools, tool_choice: "required", parallel_tool_calls: false, temperature: 0, max_tokens: 80 },
});
const message = first.choices[0]?.message;
const call = message?.tool_calls?.[0];
if (message === undefined || call?.type !== "function") throw new Error("nothing was called");
const { city }: { city: string } = JSON.parse(call.function.arguments);
console.log(`called ${call.function.name} for ${city}`);

messages.push(message, { role: "tool", tool_call_id: call.id, content: "3 degrees and sunny" });
const second = await client.chat.completions.create({
  ...{ model, messages, tools, tool_choice: "none", temperature: 0, max_tokens: 80 },
});
console.log(second.choices[0]?.message.content);

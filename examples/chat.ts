// One question, one answer. Run it against `npm start`: npx node examples/chat.ts
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const answer = await client.chat.completions.create({
  model: "smollm2-135m-instruct",
  temperature: 0,
  max_tokens: 60,
  messages: [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content: process.argv[2] ?? "What is the capital of France?" },
  ],
});
console.log(answer.choices[0]?.message.content);

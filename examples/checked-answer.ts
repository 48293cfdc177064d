// An answer that another operator's node has checked, and its evidence in a file, for a check of your own:
// cortensor-node receipt replay answer.json. Run it against `npm start`: npx node examples/checked-answer.ts answer.json
import { writeFileSync } from "node:fs";
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const question = {
  model: "smollm2-135m-instruct",
  temperature: 0,
  max_tokens: 60,
  messages: [
    { role: "system" as const, content: "You are a helpful assistant." },
    { role: "user" as const, content: "What is the capital of France?" },
  ],
  // This network's own part of the API: OpenAI's SDK passes on what it does not know.
  network: { trust: "checked", evidence: true },
};
const answer = await client.chat.completions.create(question);
console.log(answer.choices[0]?.message.content);
console.log("network" in answer ? answer.network : "this router has no network");
writeFileSync(process.argv[2] ?? "answer.json", JSON.stringify(answer));

// A LangChain model on this network: npx node examples/langchain.ts
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { findRouter } from "./find-router.ts";

const { baseURL, apiKey } = findRouter();
const model = new ChatOpenAI({
  ...{ model: "smollm2-135m-instruct", apiKey, temperature: 0, maxTokens: 100, configuration: { baseURL } },
});
const person = z.object({ name: z.string().max(20), age: z.int().min(0).max(120) });
const structured = model.withStructuredOutput(person, { method: "jsonSchema", strict: true });
console.log(await structured.invoke(process.argv[2] ?? "Ada is 36 years old."));

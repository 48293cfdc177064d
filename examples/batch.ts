// Many questions at once, answered in the background: npx node examples/batch.ts
import OpenAI, { toFile } from "openai";
import { findRouter } from "./find-router.ts";

const client = new OpenAI(findRouter());
const cities = ["Oslo", "Rome", "Lima", "Cairo"];
const lines = cities.map((city) =>
  JSON.stringify({
    custom_id: city,
    method: "POST",
    url: "/v1/chat/completions",
    body: {
      model: "smollm2-135m-instruct",
      max_tokens: 20,
      messages: [{ role: "user", content: `In which country is ${city}?` }],
    },
  }),
);
const input = await client.files.create({
  purpose: "batch",
  file: await toFile(Buffer.from(lines.join("\n")), "in.jsonl"),
});
let batch = await client.batches.create({
  ...{ input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h" },
});
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 500));
  batch = await client.batches.retrieve(batch.id);
}
console.log(batch.status, batch.request_counts);
const output = await (await client.files.content(batch.output_file_id ?? "")).text();
for (const line of output.trimEnd().split("\n")) {
  const { custom_id: city, response } = JSON.parse(line);
  console.log(`${city}: ${response.body.choices[0].message.content.replaceAll("\n", " ")}`);
}

// Finds the text that is nearest in meaning to a query: npx node examples/embeddings-search.ts "something to eat"
import OpenAI from "openai";
import { findRouter } from "./find-router.ts";

const texts = ["The cat sleeps on the sofa.", "Stir the soup and add salt.", "The train to Lyon leaves at noon."];
const query = process.argv[2] ?? "What shall we cook?";

const client = new OpenAI(findRouter());
const { data } = await client.embeddings.create({ model: "all-minilm-l6-v2", input: [query, ...texts] });
const [queryVector, ...textVectors] = data.map((item) => item.embedding);

// The vectors have length 1, so the dot product is the cosine.
const ranked = textVectors
  .map((vector, index) => ({
    text: texts[index],
    similarity: vector.reduce((sum, value, at) => sum + value * (queryVector?.[at] ?? 0), 0),
  }))
  .sort((one, other) => other.similarity - one.similarity);
for (const { text, similarity } of ranked) console.log(similarity.toFixed(3), text);

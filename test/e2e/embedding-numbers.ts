import { z } from "zod";

const bodySchema = z.looseObject({
  data: z.array(z.looseObject({ embedding: z.union([z.string(), z.array(z.number())]) })),
});

/**
 * A body of embeddings with numbers in the place of base64: OpenAI's description knows only those, and its own clients
 * ask for base64 and get it. Throws where a text is no whole list of 32-bit numbers.
 */
export function embeddingsAsNumbers(body: object): object {
  const { data, ...rest } = bodySchema.parse(body);
  return { ...rest, data: data.map(({ embedding, ...each }) => ({ ...each, embedding: numbersOf(embedding) })) };
}

function numbersOf(embedding: string | number[]): number[] {
  if (typeof embedding !== "string") return embedding;
  const bytes = Buffer.from(embedding, "base64");
  if (bytes.length % 4 !== 0 || bytes.toString("base64") !== embedding) throw new Error("this is no base64 of numbers");
  return Array.from({ length: bytes.length / 4 }, (_, place) => bytes.readFloatLE(place * 4));
}

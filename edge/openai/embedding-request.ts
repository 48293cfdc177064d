import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { EmbedInput } from "../../core/wire/task-input.ts";
import { parseRequest } from "./parse-request.ts";

const text = z.string().min(1, "must not be empty");

const embeddingRequestSchema = z.object({
  model: z.string().min(1),
  input: z.union(
    [
      text,
      z
        .array(text)
        .min(1, "must hold at least one text")
        .max(limits.embeddingInputs, `must hold at most ${limits.embeddingInputs} texts`),
    ],
    { error: "must be a text or a list of texts, none of them empty; lists of token ids are not supported yet" },
  ),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int("must be a whole number").min(1, "must be at least 1").nullish(),
});

/** An embedding request, checked. */
export interface EmbeddingOrder {
  model: string;
  input: EmbedInput;
  encoding: "float" | "base64";
  dimensions: number | undefined;
}

/** The order of a `POST /v1/embeddings` body (OpenAI API reference, Create embeddings). */
export function parseEmbeddingRequest(body: unknown): EmbeddingOrder {
  const request = parseRequest(embeddingRequestSchema, body);
  const texts = typeof request.input === "string" ? [request.input] : request.input;
  const characters = texts.reduce((sum, each) => sum + each.length, 0);
  if (characters > limits.promptCharacters) {
    throw new Refusal({
      code: "prompt_too_large",
      param: "input",
      message: `The input has ${characters} characters and the limit is ${limits.promptCharacters}. Send it in parts.`,
    });
  }
  return {
    model: request.model,
    encoding: request.encoding_format ?? "float",
    dimensions: request.dimensions ?? undefined,
    input: { kind: "embedding", texts },
  };
}
